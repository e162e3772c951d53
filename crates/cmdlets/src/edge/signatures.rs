//! The commands as help and completion know them.

use std::rc::Rc;

use shell::{Parameter, Signature, Takes};

use super::{STATUS, SUBSCRIPTION, SYNCHRONIZATION};

/// Largest `MaxReportSize`.
const REPORT_SIZE_MAX: i64 = 1_000_000;

fn example(command: &str, meaning: &str) -> (Rc<str>, Rc<str>) {
    (Rc::from(command), Rc::from(meaning))
}

fn directory() -> Parameter {
    Parameter::new("DomainController", Takes::Text, "Accepted without effect: there is one directory.")
}

fn new() -> Signature {
    Signature {
        name: "New-EdgeSubscription".into(),
        synopsis:
            "Subscribes an Edge server to a site: writes the file on the Edge server, takes it up in the organization."
                .into(),
        examples: vec![
            example(r#"New-EdgeSubscription -FileName "C:\Data\EdgeSubscription.xml""#, "on the Edge server"),
            example(
                r#"New-EdgeSubscription -FileData ([System.IO.File]::ReadAllBytes('C:\Data\EdgeSubscription.xml')) -Site "Default-First-Site-Name""#,
                "on a Mailbox server of the site",
            ),
        ],
        returns: SUBSCRIPTION.into(),
        changes: true,
        asks: true,
        parameters: vec![
            Parameter::new("FileName", Takes::Text, "Where the file is written, on the Edge server."),
            Parameter::new("FileData", Takes::Octets, "What is in the file, in the organization."),
            Parameter::new("Site", Takes::Text, "The site whose Mailbox servers exchange mail with it."),
            Parameter::new(
                "CreateInternetSendConnector",
                Takes::Bool,
                "Whether it sends to the internet: $true unless told otherwise.",
            ),
            Parameter::new(
                "CreateInboundSendConnector",
                Takes::Bool,
                "Whether it sends mail of accepted domains to the site: $true unless told otherwise.",
            ),
            Parameter::new(
                "AccountExpiryDuration",
                Takes::Span,
                "How long the file may be used: 24 hours unless told otherwise, at least 2 minutes.",
            ),
            Parameter::new("Force", Takes::Switch, "Without asking, and in the place of a file that is there."),
            directory(),
        ],
        ..Signature::default()
    }
}

fn target() -> Parameter {
    Parameter::new("TargetServer", Takes::Text, "Only this Edge server.")
}

fn test() -> Signature {
    let of_all = |parameter: Parameter| parameter.of_sets(&["Default"]);
    Signature {
        name: "Test-EdgeSynchronization".into(),
        synopsis: "Compares Edge servers with the organization, and changes nothing.".into(),
        examples: vec![
            example("Test-EdgeSynchronization -MaxReportSize 500 -MonitoringContext $true", "what differs"),
            example("Test-EdgeSynchronization -VerifyRecipient kate@contoso.com", "whether Kate is known"),
        ],
        returns: STATUS.into(),
        parameters: vec![
            of_all(target()),
            Parameter::new("VerifyRecipient", Takes::Text, "Only whether this address is known as it ought to be.")
                .of_sets(&["SingleValidation"])
                .required(),
            of_all(Parameter::new(
                "MaxReportSize",
                Takes::Limit(Box::new(Takes::Whole(1, REPORT_SIZE_MAX))),
                "Most objects that are named: 1000 unless told otherwise, or unlimited.",
            )),
            of_all(Parameter::new("ExcludeRecipientTest", Takes::Switch, "Without recipients.")),
            of_all(Parameter::new(
                "FullCompareMode",
                Takes::Switch,
                "Reads every recipient, whatever is known of what was told before.",
            )),
            of_all(Parameter::new(
                "MonitoringContext",
                Takes::Bool,
                "Whether what is found is told as an event for monitoring, too (property Events).",
            )),
            directory(),
        ],
        ..Signature::default()
    }
}

/// All of them.
pub(crate) fn signatures() -> Vec<Signature> {
    let identity =
        || Parameter::new("Identity", Takes::Text, "The Edge server: its name, name in DNS or GUID.").at(0).piped();
    let get = Signature {
        name: "Get-EdgeSubscription".into(),
        synopsis: "Shows Edge subscriptions.".into(),
        examples: vec![example("Get-EdgeSubscription | Format-List", "all of them, with everything")],
        returns: SUBSCRIPTION.into(),
        parameters: vec![identity(), directory()],
        ..Signature::default()
    };
    let remove = Signature {
        name: "Remove-EdgeSubscription".into(),
        synopsis: "Ends an Edge subscription on the side on which it is run: run it on both.".into(),
        examples: vec![example("Remove-EdgeSubscription -Identity Edge1", "ends that of Edge1")],
        changes: true,
        asks: true,
        parameters: vec![identity().required(), Parameter::new("Force", Takes::Switch, "Without asking."), directory()],
        ..Signature::default()
    };
    let start = Signature {
        name: "Start-EdgeSynchronization".into(),
        synopsis: "Tells Edge servers now what has changed in the organization.".into(),
        examples: vec![example("Start-EdgeSynchronization -Server Mailbox01", "those of the site of Mailbox01")],
        returns: SYNCHRONIZATION.into(),
        changes: true,
        parameters: vec![
            Parameter::new(
                "Server",
                Takes::Text,
                "Edge servers of the site of this Mailbox server; whichever server of the site holds the lease does it.",
            ),
            target(),
            Parameter::new("ForceFullSync", Takes::Switch, "Reads and compares everything, whatever was sent before."),
            Parameter::new("ForceUpdateCookie", Takes::Switch, "The same: there is no cookie."),
        ],
        ..Signature::default()
    };
    vec![get, new(), remove, start, test()]
}
