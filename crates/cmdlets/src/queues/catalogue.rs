//! Signatures of the commands of queues and messages, as their pages have them.

use std::rc::Rc;

use shell::{Parameter, Signature, Takes};

use super::show::{DIGEST, EXPORTED, MESSAGE, QUEUE};

/// Types of objects that name a server.
const SERVERS: [&str; 2] = ["ExchangeServer", "TransportServer"];
/// By what a digest is grouped.
const GROUPS: [&str; 9] = [
    "NextHopDomain",
    "DeliveryType",
    "LastError",
    "NextHopCategory",
    "NextHopKey",
    "RiskLevel",
    "Status",
    "ServerName",
    "OutboundIPPool",
];

/// All of them.
pub(crate) fn signatures() -> Vec<Signature> {
    let mut all = vec![get_queue(), digest(), get_message()];
    all.extend(ACTING.into_iter().map(acting));
    all.extend([export(), redirect(), assemble()]);
    all
}

fn words(of: &str, words: &[&str]) -> Takes {
    Takes::Word(of.into(), words.iter().map(|word| (*word).into()).collect())
}

fn identity(of: &str, form: &str, set: &[&str]) -> Parameter {
    let help = format!("The {form}; without a server one of the local server.");
    Parameter { accepts: vec![of.into()], ..Parameter::new("Identity", Takes::Text, help).at(0).piped().of_sets(set) }
}

fn server(set: &[&str]) -> Parameter {
    let accepts = SERVERS.iter().map(|of| Rc::from(*of)).collect();
    let help = "The server: its name or its FQDN; the local one unless told otherwise.";
    Parameter { accepts, ..Parameter::new("Server", Takes::Text, help).piped().of_sets(set) }
}

fn filter(set: &[&str]) -> Parameter {
    let help = "Only those for which it holds: Property -operator 'value', several joined by -and.";
    Parameter::new("Filter", Takes::Text, help).of_sets(set)
}

/// Sorting and pages (QU-57).
fn paging() -> Vec<Parameter> {
    let index = Takes::Whole(i64::from(i32::MIN), i64::from(i32::MAX));
    vec![
        Parameter::new("BookmarkIndex", index, "From the result of this number on; the first is 1."),
        Parameter::new("BookmarkObject", Takes::Any, "From this result on."),
        Parameter::new(
            "IncludeBookmark",
            Takes::Bool,
            "Whether the bookmark is among them; it is unless told otherwise.",
        ),
        Parameter::new(
            "ResultSize",
            Takes::Limit(Box::new(Takes::Any)),
            "How many at most: 1000 unless told otherwise, or unlimited.",
        ),
        Parameter::new("ReturnPageInfo", Takes::Bool, "Whether the number of all results is told too."),
        Parameter::new(
            "SearchForward",
            Takes::Bool,
            "Whether those after the bookmark are meant, in place of those before it.",
        ),
        Parameter::new("SortOrder", Takes::List, "Properties to sort by: +FromAddress,-Size."),
    ]
}

fn kinds() -> [Parameter; 2] {
    let parameter = |name: &str, help: &str| Parameter::new(name, Takes::List, help);
    [
        parameter("Exclude", "Not these: Internal, External, Empty, or delivery types."),
        parameter("Include", "Only these: Internal, External, Empty, or delivery types."),
    ]
}

fn examples(all: &[(&str, &str)]) -> Vec<(Rc<str>, Rc<str>)> {
    all.iter().map(|(command, meaning)| ((*command).into(), (*meaning).into())).collect()
}

fn get_queue() -> Signature {
    let mut parameters =
        vec![identity(QUEUE, "queue, SERVER\\QUEUE", &["Identity"]), filter(&["Server"]), server(&["Server"])];
    parameters.extend(kinds());
    parameters.extend(paging());
    Signature {
        name: "Get-Queue".into(),
        synopsis: "Shows queues: what waits, for where, and why.".into(),
        examples: examples(&[
            ("Get-Queue", "all of the local server"),
            (
                "Get-Queue -Server MBX01 -Filter \"Status -eq 'Retry'\" | Format-List",
                "what waits for a retry, with every property",
            ),
            ("Get-Queue -Exclude Internal", "what leaves the organization"),
        ]),
        returns: QUEUE.into(),
        parameters,
        ..Signature::default()
    }
}

fn digest() -> Signature {
    let list = |name: &str, help: &str| Parameter::new(name, Takes::List, help).piped().of_sets(&[name]).required();
    let mut parameters = vec![
        list("Dag", "Servers of these database availability groups."),
        Parameter::new("Forest", Takes::Switch, "All servers.").of_sets(&["Forest"]).required(),
        Parameter { accepts: SERVERS.iter().map(|of| Rc::from(*of)).collect(), ..list("Server", "These servers.") },
        list("Site", "Servers of these sites."),
        Parameter::new(
            "DetailsLevel",
            words("DetailsLevel", &["None", "Normal", "Verbose"]),
            "How much is told of each queue.",
        ),
        filter(&[]),
        Parameter::new("GroupBy", words("QueueDigestGroupBy", &GROUPS), "By what queues are grouped."),
        Parameter::new("ResultSize", Takes::Limit(Box::new(Takes::Any)), "How many groups at most."),
        Parameter::new(
            "Timeout",
            Takes::Span,
            "Accepted without effect: servers are asked until they answer or are given up.",
        ),
    ];
    parameters.extend(kinds());
    Signature {
        name: "Get-QueueDigest".into(),
        synopsis: "Shows queues of several servers in groups, the longest first.".into(),
        examples: examples(&[
            ("Get-QueueDigest -Forest", "by next hop, over all servers"),
            ("Get-QueueDigest -Site Berlin -GroupBy ServerName", "how much waits on each server of a site"),
        ]),
        returns: DIGEST.into(),
        parameters,
        ..Signature::default()
    }
}

fn get_message() -> Signature {
    let queue = Parameter {
        accepts: vec![QUEUE.into()],
        ..Parameter::new("Queue", Takes::Text, "The queue, SERVER\\QUEUE.").piped().of_sets(&["Queue"])
    };
    let mut parameters = vec![
        Parameter {
            from_pipeline: false,
            from_property: false,
            ..identity(MESSAGE, "message, SERVER\\QUEUE\\MESSAGE", &["Identity"])
        },
        filter(&["Filter"]),
        queue,
        server(&["Filter"]),
        Parameter::new("IncludeRecipientInfo", Takes::Switch, "Its recipients too."),
        Parameter::new(
            "IncludeComponentLatencyInfo",
            Takes::Switch,
            "Accepted without effect: `postroad trace` has the time of each step.",
        ),
    ];
    parameters.extend(paging());
    Signature {
        name: "Get-Message".into(),
        synopsis: "Shows messages in queues.".into(),
        examples: examples(&[
            ("Get-Message -Filter \"FromAddress -like '*@contoso.com'\"", "of a domain, on the local server"),
            ("Get-Queue -Filter \"Status -eq 'Retry'\" | Get-Message | Format-List", "those that wait for a retry"),
        ]),
        returns: MESSAGE.into(),
        parameters,
        ..Signature::default()
    }
}

/// A command that acts upon queues or messages: its name, what it does, whether it asks, examples.
type Row = (&'static str, &'static str, bool, &'static [(&'static str, &'static str)]);

const ACTING: [Row; 6] = [
    (
        "Suspend-Queue",
        "Stops a queue: mail comes in, what is being sent is finished, nothing else leaves it, also after a restart.",
        true,
        &[("Suspend-Queue MBX01\\contoso.com -Confirm:$false", "nothing leaves it any more")],
    ),
    (
        "Resume-Queue",
        "Lets mail of a suspended queue go on.",
        false,
        &[("Resume-Queue MBX01\\contoso.com", "it goes on")],
    ),
    (
        "Retry-Queue",
        "Tries a queue in Retry now, or sends its mail to the categorizer.",
        false,
        &[
            ("Retry-Queue -Filter \"Status -eq 'Retry'\"", "every one of the local server"),
            ("Retry-Queue MBX01\\Unreachable -Resubmit $true", "routes what had no route anew"),
        ],
    ),
    (
        "Suspend-Message",
        "Stops a message: it waits until it is resumed or expires, also after a restart.",
        true,
        &[("Suspend-Message MBX01\\7\\42 -Confirm:$false", "it waits")],
    ),
    (
        "Resume-Message",
        "Lets a suspended message go on; one of the poison queue goes to the categorizer.",
        false,
        &[("Resume-Message MBX01\\7\\42", "it goes on")],
    ),
    (
        "Remove-Message",
        "Ends a message: for the recipients that wait in that queue.",
        true,
        &[(
            "Remove-Message -Filter \"FromAddress -eq 'kweku@contoso.com'\" -WithNDR $false",
            "all of a sender's on the local server, and nobody is told",
        )],
    ),
];

fn acting((name, synopsis, asks, shown): Row) -> Signature {
    let of_queues = name.ends_with("-Queue");
    let (of, form) =
        if of_queues { (QUEUE, "queue, SERVER\\QUEUE") } else { (MESSAGE, "message, SERVER\\QUEUE\\MESSAGE") };
    // CM-47: of queues a server alone means all of its.
    let filter = Parameter { mandatory: !of_queues, ..filter(&["Filter"]) };
    let mut parameters = vec![identity(of, form, &["Identity"]).required(), filter, server(&["Filter"])];
    match name {
        "Retry-Queue" => {
            parameters.push(Parameter::new("Resubmit", Takes::Bool, "Whether its mail goes to the categorizer."))
        }
        "Remove-Message" => {
            let help = "Whether its sender gets a report; he does unless told otherwise.";
            parameters.push(Parameter::new("WithNDR", Takes::Bool, help));
        }
        _ => {}
    }
    Signature {
        name: name.into(),
        synopsis: synopsis.into(),
        examples: examples(shown),
        changes: true,
        asks,
        parameters,
        ..Signature::default()
    }
}

fn export() -> Signature {
    Signature {
        name: "Export-Message".into(),
        synopsis: "Gives a suspended message as a file for a Replay directory; the message stays.".into(),
        parameters: vec![identity(MESSAGE, "message, SERVER\\QUEUE\\MESSAGE", &[]).required()],
        examples: examples(&[("Export-Message MBX01\\7\\42 | AssembleMessage -Path message.eml", "into a file")]),
        changes: true,
        returns: EXPORTED.into(),
        ..Signature::default()
    }
}

fn assemble() -> Signature {
    let input = Parameter {
        accepts: vec![EXPORTED.into()],
        ..Parameter::new("InputObject", Takes::Any, "What Export-Message gives.").piped()
    };
    Signature {
        name: "AssembleMessage".into(),
        synopsis: "Writes an exported message into a file.".into(),
        parameters: vec![Parameter::new("Path", Takes::Text, "The file.").at(0).required(), input],
        examples: examples(&[("Export-Message MBX01\\7\\42 | AssembleMessage -Path message.eml", "into a file")]),
        ..Signature::default()
    }
}

fn redirect() -> Signature {
    let server = Parameter::new("Server", Takes::Text, "The server that takes no new mail from then on.").required();
    let target = Parameter::new("Target", Takes::List, "The server that gets what waits.").required();
    Signature {
        name: "Redirect-Message".into(),
        synopsis: "Has a server take no new mail and send what waits to another; `postroad queue redirect SERVER --end` ends it.".into(),
        parameters: vec![server, target],
        examples: examples(&[("Redirect-Message -Server MBX01 -Target MBX02", "before MBX01 is maintained")]),
        changes: true,
        asks: true,
        ..Signature::default()
    }
}
