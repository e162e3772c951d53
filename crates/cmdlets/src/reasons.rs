//! Documented parameters that the commands do not take, each with why, and what to do instead; and those that are taken with the
//! one value that says what is so anyway. What nobody keeps is refused: a setting without effect is none.

use shell::Takes;

/// Why a parameter is refused: the end of a noun or command, the beginning or end of the parameter's name, the reason.
type Reason = (&'static [&'static str], &'static [&'static str], &'static str);

const FOLDER: &str = "logs lie below the folder `state` of the server's settings file, because a process may write there and nowhere \
                      else; how much is kept is said by the parameters …MaxAge, …MaxDirectorySize and …MaxFileSize";
const NO_LOG: &str = "there is no such log: metrics and traces tell it (docs/metrics.md, `postroad trace`)";
const NAME_SERVERS: &str =
    "the name servers of a server are said once, by Set-TransportService, for all of its services";
const AGENTS: &str = "there are no transport agents in the process: filters stand in front of the front end, by SMTP";
const MAILBOX: &str = "a mailbox here is a folder that others read by their own program: Transport delivers into it and keeps nothing \
                       else of it";
const MODERATION: &str = "there is no moderation: restrict senders with AcceptMessagesOnlyFrom, RejectMessagesFrom and \
                          RequireSenderAuthenticationEnabled";

/// The first that fits counts. `*` at the end of a name is a beginning, at its beginning an end.
const REASONS: &[Reason] = &[
    (
        &["TransportService"],
        &["PickupDirectoryPath", "ReplayDirectoryPath", "RootDropDirectoryPath"],
        "where a process may read and write is its server's to say: `pickup`, `replay` and `drop` of the settings file",
    ),
    (&["TransportService"], &["PickupDirectoryMax*"], "the limits of Pickup are the documented defaults and fixed"),
    (&["Service"], &["AgentLog*", "AntispamAgentsEnabled", "*AgentLogEnabled", "*AgentLogMaxAge"], AGENTS),
    (
        &["FrontendTransportService", "MailboxTransportService"],
        &["ConnectivityLog*", "RoutingTableLog*"],
        "the connections and the routing tables of a server are in the logs of its Transport: Set-TransportService",
    ),
    (
        &["FrontendTransportService"],
        &["TransientFailureRetry*"],
        "the front end keeps nothing: it tries each Transport once, and whoever sends tries again; Set-TransportService has the \
         retries of what waits",
    ),
    (&["FrontendTransportService", "MailboxTransportService"], &["ExternalDNS*", "InternalDNS*"], NAME_SERVERS),
    (
        &["Service"],
        &["ExternalDNSAdapter*", "InternalDNSAdapter*"],
        "name servers are those of the machine, or those of ExternalDNSServers and InternalDNSServers, whatever the adapter",
    ),
    (
        &["Service"],
        &["ExternalDNSProtocolOption", "InternalDNSProtocolOption"],
        "name servers are asked by UDP, and by TCP for what does not fit, as RFC 7766 has it",
    ),
    (
        &["MailboxTransportService"],
        &["ReceiveProtocolLog*", "SendProtocolLog*", "MailboxDeliveryConnector*", "RoutingTable*"],
        "Mailbox Transport does not speak SMTP: it is called by the implicit connector, and `postroad trace` tells what it did",
    ),
    (&["Service"], &["*LogPath", "*LogFilePath"], FOLDER),
    (
        &["TransportService"],
        &["MaxConcurrentMailbox*"],
        "Set-MailboxTransportService has it: deliveries and submissions are limited where they are made",
    ),
    (
        &["Service"],
        &["IntraOrgConnectorProtocolLoggingLevel"],
        "the implicit connector does not speak SMTP: `postroad trace` tells what was said on it",
    ),
    (
        &["Service"],
        &["PipelineTracing*", "ContentConversionTracing*"],
        "every message has a trace: `postroad trace` tells it, and the content of mail is written down nowhere",
    ),
    (
        &["Service"],
        &["ExternalIPAddress"],
        "a Received line has the address of the connection, as RFC 5321 §4.4 wants it",
    ),
    (
        &["TransportService"],
        &["RecipientValidationCacheEnabled"],
        "what the directory says is always remembered, and never longer than until it changes",
    ),
    (
        &["TransportService"],
        &["UseDowngradedExchangeServerAuth"],
        "servers know each other by certificates alone: there is nothing weaker to fall back to",
    ),
    (&["TransportService"], &["TransportSync*", "WindowsLive*"], "mail is fetched from no accounts elsewhere"),
    (&["Service"], &["*Log*"], NO_LOG),
    (
        &["ExchangeServer"],
        &["Static*", "Domain"],
        "there are no domain controllers: the directory is that of the settings file",
    ),
    (
        &["ExchangeServer"],
        &["Mitigations*", "ProductKey", "MonitoringGroup", "RingLevel", "InternetWebProxy*", "DataCollection*"],
        "nothing of it is here: the server calls nobody and needs no key",
    ),
    (&["ExchangeServer"], &["Status"], "`postroad check` and the health page of the admin centre tell how a server is"),
    (
        &[""],
        &["OrganizationalUnit", "IgnoreDefaultScope", "ReadFromDomainController", "Credential"],
        "recipients are not in organizational units, and there is one directory",
    ),
    (&[""], &["*Archive*", "ArchiveDomain"], "mailboxes have no archives"),
    (
        &["Mailbox"],
        &["*Password", "*Passwords", "AccountDisabled", "UserPrincipalName"],
        "a password is set by -Password and changed by whoever administers it: nobody is asked for a new one at the log-on",
    ),
    (
        &[""],
        &[
            "SoftDeletedMailbox",
            "Inactive*",
            "StoreMailboxIdentity",
            "Permanent*",
            "*Hold*",
            "*Legal*",
            "RemovedMailbox",
        ],
        "a mailbox that is removed is out of the directory at once and its folder stays: nothing is deleted softly, or held",
    ),
    (
        &["Mailbox"],
        &["Forwarding*", "DeliverToMailboxAndForward"],
        "mail is sent on by a group that has the mailbox and a mail contact as members: New-MailContact, New-DistributionGroup",
    ),
    (&["Mailbox"], &["Database"], "a mailbox is removed by its name or address, and its folder stays in its database"),
    (&[""], &["Moderat*", "*Moderat*", "BypassModeration*", "ArbitrationMailbox"], MODERATION),
    (
        &[""],
        &[
            "MailTip*",
            "DisplayName",
            "SimpleDisplayName",
            "FirstName",
            "LastName",
            "Initials",
            "Phone",
            "Office",
            "Notes",
        ],
        "recipients have names and addresses; what an address book shows besides is kept by whoever has one",
    ),
    (&[""], &["*Quota*", "UseDatabase*"], "how much a mailbox may hold is the file system's to say"),
    (
        &["Mailbox"],
        &["GroupMailbox", "Arbitration", "AuditLog", "PublicFolder", "*Room*", "Equipment", "Shared"],
        MAILBOX,
    ),
    (
        &["DistributionGroup"],
        &["RoomList", "ManagedBy", "Member*Restriction"],
        "a group is a list of addresses; administrators \
     change it: Add-DistributionGroupMember",
    ),
    (
        &["TransportConfig"],
        &["Journal*", "*Journal*"],
        "nothing is journaled; a group on the way or a connector with AddressSpaces takes copies where somebody needs them",
    ),
    (
        &["TransportConfig"],
        &["GenerateCopyOfDSNFor"],
        "no copies of notifications are kept for the postmaster: the message tracking log has each failure with its status \
         (Get-MessageTrackingLog -EventId FAIL)",
    ),
    (
        &["TransportConfig"],
        &["Shadow*", "SafetyNet*", "*ShadowFailure", "*Shadow", "MaxDumpster*"],
        "there is no shadow redundancy and no Safety Net: a message is on one disk, synced, before it is answered for",
    ),
    (&["TransportConfig"], &["*Dsn*", "DSN*"], "notifications are made in one form for everybody (docs/rules.md, DSN)"),
    (&["TransportConfig"], &["Transport*", "ReplyAll*", "*AgentGenerated*", "Supervision*"], AGENTS),
];

/// Parameters that are taken with one value, which says what is so anyway: the end of the noun, the name, what it takes, the value
/// as it is written, and why no other.
type Settled = (&'static str, &'static str, Takes, &'static str, &'static str);

const SETTLED: &[Settled] = &[
    ("ExchangeServer", "ErrorReportingEnabled", Takes::Bool, "False", "a server reports nothing to anybody"),
    ("ExchangeServer", "CustomerFeedbackEnabled", Takes::Bool, "False", "a server reports nothing to anybody"),
    ("ExchangeServer", "DataCollectionEnabled", Takes::Bool, "False", "a server reports nothing to anybody"),
    ("DistributionGroup", "IgnoreNamingPolicy", Takes::Switch, "True", "there is no naming policy"),
];

/// Why a documented parameter of a command is refused.
pub(crate) fn of(command: &str, parameter: &str) -> &'static str {
    let fits = |pattern: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => parameter.contains(rest.trim_end_matches('*')),
        (Some(end), None) => parameter.ends_with(end),
        (None, Some(start)) => parameter.starts_with(start),
        (None, None) => parameter == pattern,
    };
    let noun = command.split_once('-').map_or(command, |(_, noun)| noun);
    let of = |(nouns, names, _): &&Reason| {
        nouns.iter().any(|end| noun.ends_with(end)) && names.iter().any(|name| fits(name))
    };
    REASONS.iter().find(of).map_or("the organization keeps nothing of it", |(_, _, why)| why)
}

/// The parameters that are taken with one value, of a noun.
pub(crate) fn settled(noun: &str) -> impl Iterator<Item = &'static Settled> {
    SETTLED.iter().filter(move |(of, ..)| *of == noun)
}
