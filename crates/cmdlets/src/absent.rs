//! Documented commands that are not there: each says so, why, and what to do instead. None is *not recognized*.

/// Names, and why not.
pub(crate) const ABSENT: &[(&[&str], &str)] = &[
    (
        &["Search-MessageTrackingReport", "Get-MessageTrackingReport"],
        "a report is what `postroad track MESSAGE` prints: the whole way of a message over all servers; Get-MessageTrackingLog \
         shows the events of one",
    ),
    (
        &["New-EdgeSyncServiceConfig", "Set-EdgeSyncServiceConfig"],
        "EdgeSync has nothing to set: a change is on its way within seconds, and everything is compared every three minutes; what \
         it did is in the log of the admin service (Get-EdgeSyncServiceConfig shows the intervals)",
    ),
    (
        &[
            "Get-TransportAgent",
            "Enable-TransportAgent",
            "Disable-TransportAgent",
            "Set-TransportAgent",
            "Install-TransportAgent",
            "Uninstall-TransportAgent",
            "Get-TransportPipeline",
        ],
        "no code of others runs in the transport services: a filter stands in front of the front end, by SMTP, and a program that \
         takes mail attends a Delivery Agent connector (`postroad agent`)",
    ),
    (
        &["Get-TransportRule", "New-TransportRule", "Set-TransportRule", "Remove-TransportRule", "Test-Message"],
        "mail is not changed or judged by rules: a filter that does it stands between two connectors, as a smart host of a Send \
         connector (`postroad test` says where mail goes)",
    ),
    (
        &["Get-NetworkConnectionInfo"],
        "the adapters of a server are its operating system's: `ip address` shows them, and `resolvectl` their name servers; those \
         that Transport asks are in Get-TransportService (ExternalDNSServers, InternalDNSServers)",
    ),
    (
        &["Test-Mailflow"],
        "it needs a mailbox of the system, which there is none of: `postroad probe` tries a Send connector without mail, \
         `postroad test` what would become of a message, and `postroad sendmail` with `postroad track` what becomes of a real one",
    ),
    (
        &["Set-AdminAuditLogConfig"],
        "every change is written down, by everybody, for 90 days: nothing of it can be turned off (Get-AdminAuditLogConfig)",
    ),
    (
        &["New-AdminAuditLogSearch"],
        "no report is mailed: Search-AdminAuditLog and `postroad audit` print what is found at once",
    ),
    (
        &["Get-ResubmitRequest", "Add-ResubmitRequest"],
        "there is no Safety Net: what was delivered is not kept for another time. What waits is decided anew by Retry-Queue \
         -Resubmit $true",
    ),
    (
        &["Get-RemoteDomain", "New-RemoteDomain", "Set-RemoteDomain", "Remove-RemoteDomain"],
        "nothing depends on the domain of a recipient outside but its connector: formats, automatic replies and forwarding are the \
         senders' own, and notifications go to whoever asked for them (RFC 3461)",
    ),
    (
        &[
            "Get-AddressRewriteEntry",
            "New-AddressRewriteEntry",
            "Set-AddressRewriteEntry",
            "Remove-AddressRewriteEntry",
        ],
        "addresses are not rewritten: give recipients a second address (Set-Mailbox -EmailAddresses), or put a gateway that \
         rewrites behind a Send connector",
    ),
    (
        &["Get-RoutingGroupConnector"],
        "there are no routing groups, which ended with Exchange 2003: sites and their links route (Get-ADSiteLink)",
    ),
    (
        &["Get-MailPublicFolder", "Enable-MailPublicFolder"],
        "there are no public folders: a mailbox that several read, or a group, takes their mail",
    ),
    (
        &["Connect-Mailbox", "Restore-Mailbox"],
        "a mailbox that is removed leaves its folder in its database: New-Mailbox with the same address finds it again",
    ),
    (
        &["Enable-Mailbox", "Enable-MailContact", "Enable-DistributionGroup"],
        "there are no users, contacts or groups without mail that it could be given to: New-Mailbox, New-MailContact and \
         New-DistributionGroup make them with it, and `postroad sync` takes them out of a directory of people",
    ),
    (
        &["Add-MailboxPermission", "Get-MailboxPermission", "Remove-MailboxPermission"],
        "who opens a mailbox is for the program to say by which it is read; who may send as whom is not asked in transport",
    ),
    (
        &["Get-UnifiedGroup", "Get-UnifiedGroupLinks"],
        "they are of the cloud: groups here are Get-DistributionGroup and Get-DistributionGroupMember",
    ),
    (
        &["Set-ManagementRoleEntry"],
        "role groups have the documented features and no others: `postroad cert issue --administrator` says who is in which",
    ),
    (
        &["Get-EmailAddressPolicy"],
        "addresses are given one by one: New-Mailbox makes the first of the alias and the default accepted domain",
    ),
];
