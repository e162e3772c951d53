//! The pages: which address is which, and what is answered where something is not there, not allowed, or not to be told.

pub(crate) mod audit;
pub(crate) mod certificates;
pub(crate) mod conflict;
pub(crate) mod difference;
pub(crate) mod door;
pub(crate) mod edit;
pub(crate) mod entrance;
pub(crate) mod explain;
pub(crate) mod find;
pub(crate) mod heat;
pub(crate) mod home;
pub(crate) mod impact;
pub(crate) mod import;
pub(crate) mod letters;
pub(crate) mod messages;
pub(crate) mod objects;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod proof;
pub(crate) mod provided;
pub(crate) mod queue_words;
pub(crate) mod queues;
pub(crate) mod rehearsal;
pub(crate) mod revisions;
pub(crate) mod send;
pub(crate) mod servers;
pub(crate) mod topology;
pub(crate) mod waterfall;
pub(crate) mod wizard;

use authority::Refusal;
use organization::Kind;

use crate::centre::Visit;
use crate::view::{Bit, Bits, NavigationArea, Sheet, Tone};

/// What a page is answered with.
pub(crate) enum Outcome {
    Sheet(Sheet),
    See(String),
    /// A session begins.
    Begin {
        secret: String,
        to: String,
    },
    /// It ends, and this is next.
    End(String),
    File {
        kind: &'static str,
        name: &'static str,
        body: Vec<u8>,
    },
}

/// Why there is no page.
pub(crate) enum Trouble {
    /// There is no such thing; what there is near it.
    Missing {
        what: String,
        near: Vec<Bits>,
    },
    Refused(Refusal),
    /// It cannot be told just now.
    Away(String),
    /// What was asked makes no sense.
    Wrong(String),
}

pub(crate) type Answered = Result<Outcome, Trouble>;

/// A kind of object with pages of its own.
pub(crate) struct Area {
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) title: &'static str,
    pub(crate) one: &'static str,
    pub(crate) about: &'static str,
}

/// Kinds of objects and where they are.
pub(crate) const AREAS: [Area; 11] = [
    Area {
        path: "send-connectors",
        kind: Kind::SendConnector,
        title: "Send connectors",
        one: "Send connector",
        about: "How mail leaves the organization. Without any, mail for outside waits in the Unreachable queue (SC-3).",
    },
    Area {
        path: "receive-connectors",
        kind: Kind::ReceiveConnector,
        title: "Receive connectors",
        one: "Receive connector",
        about: "How each server takes mail by SMTP: where it listens, from whom, and what they may.",
    },
    Area {
        path: "domains",
        kind: Kind::AcceptedDomain,
        title: "Accepted domains",
        one: "accepted domain",
        about: "Domains that mail is taken for. The default one completes addresses.",
    },
    Area {
        path: "x400-domains",
        kind: Kind::X400AuthoritativeDomain,
        title: "X.400 domains",
        one: "X.400 domain",
        about: "X.400 addresses that the organization answers for: whom nobody has is reported, not sent on (EN-72).",
    },
    Area {
        path: "sites",
        kind: Kind::Site,
        title: "Sites",
        one: "site",
        about: "Servers that reach each other well. Mail between sites goes by the least-cost path.",
    },
    Area {
        path: "site-links",
        kind: Kind::SiteLink,
        title: "Site links",
        one: "site link",
        about: "Connections between sites, with costs. What costs less is taken.",
    },
    Area {
        path: "databases",
        kind: Kind::Database,
        title: "Databases",
        one: "mailbox database",
        about: "Where mailboxes are. A database is active on one server.",
    },
    Area {
        path: "dags",
        kind: Kind::Dag,
        title: "Availability groups",
        one: "availability group",
        about: "Servers that stand for each other; to routing, one destination.",
    },
    Area {
        path: "delivery-agent-connectors",
        kind: Kind::DeliveryAgentConnector,
        title: "Delivery Agent connectors",
        one: "Delivery Agent connector",
        about: "How mail leaves to systems that do not speak SMTP, by an agent.",
    },
    Area {
        path: "foreign-connectors",
        kind: Kind::ForeignConnector,
        title: "Foreign connectors",
        one: "Foreign connector",
        about: "How mail leaves as files in a drop directory.",
    },
    Area {
        path: "settings",
        kind: Kind::TransportConfig,
        title: "Organization transport settings",
        one: "the organization",
        about: "Limits, Safety Net, notifications: what counts for the whole organization (AC-41).",
    },
];

/// The navigation, and where in it a path is.
pub(crate) fn areas(path: &str) -> Vec<NavigationArea> {
    let all: [(&str, &[(&str, &str)]); 4] = [
        (
            "Now",
            &[
                ("/", "Overview"),
                ("/queues", "Queues"),
                ("/messages", "Messages"),
                ("/explain", "Explain"),
                ("/topology", "Topology"),
            ],
        ),
        (
            "Mail flow",
            &[
                ("/send-connectors", "Send connectors"),
                ("/receive-connectors", "Receive connectors"),
                ("/domains", "Accepted domains"),
                ("/x400-domains", "X.400 domains"),
                ("/delivery-agent-connectors", "Delivery agents"),
                ("/foreign-connectors", "Foreign connectors"),
                ("/settings", "Transport settings"),
            ],
        ),
        (
            "Organization",
            &[
                ("/servers", "Servers"),
                ("/sites", "Sites"),
                ("/site-links", "Site links"),
                ("/databases", "Databases"),
                ("/dags", "Availability groups"),
                ("/certificates", "Certificates"),
            ],
        ),
        (
            "Changes",
            &[
                ("/plans", "Open plans"),
                ("/import", "Import"),
                ("/revisions", "History"),
                ("/audit", "Audit log"),
                ("/people", "People"),
            ],
        ),
    ];
    let here = |to: &str| if to == "/" { path == "/" } else { path == to || path.starts_with(&format!("{to}/")) };
    all.into_iter()
        .map(|(title, pages)| (title, pages.iter().map(|(to, text)| (*to, *text, here(to))).collect()))
        .collect()
}

/// A name as a part of an address.
pub(crate) fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
}

/// The page of an object.
pub(crate) fn place_of(kind: Kind, name: &str) -> String {
    if kind == Kind::Server {
        return format!("/servers/{}", segment(name));
    }
    match AREAS.iter().find(|area| area.kind == kind) {
        Some(area) if kind == Kind::TransportConfig => format!("/{}", area.path),
        Some(area) => format!("/{}/{}", area.path, segment(name)),
        None => "/".to_owned(),
    }
}

/// The page of an address, of somebody who is signed in.
pub(crate) async fn signed_in(visit: &Visit<'_>, secret: &str) -> Answered {
    let parts = visit.ask.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let post = visit.ask.post;
    match (post, parts.as_slice()) {
        (true, ["sign-out"]) => {
            visit.centre.sessions.end(secret);
            let provided = if visit.person.vouched.is_some() { "?provider=1" } else { "" };
            Ok(Outcome::End(format!("/sign-in{provided}")))
        }
        (false, ["sign-in", "provider"]) => provided::again(visit, secret).await,
        (false, ["sign-in", "callback"]) => provided::returned(visit.centre, visit.ask, secret).await,
        (_, ["prove"]) => proof::page(visit, secret).await,
        (false, ["sign-in"]) => Ok(Outcome::See("/".to_owned())),
        (false, []) => home::page(visit).await,
        (false, ["find"]) => find::page(visit).await,
        (_, ["queues", rest @ ..]) => queues::page(visit, rest).await,
        (false, ["messages"]) => messages::page(visit).await,
        (false, ["messages", id]) => messages::one(visit, id).await,
        (false, ["explain"]) => explain::page(visit).await,
        (false, ["topology"]) => topology::page(visit).await,
        (false, ["topology.svg"]) => topology::drawing(visit).await,
        (_, ["import", rest @ ..]) => import::page(visit, rest).await,
        (_, ["plans", rest @ ..]) => plan::page(visit, rest).await,
        (_, ["revisions", rest @ ..]) => revisions::page(visit, rest).await,
        (false, ["certificates"]) => certificates::page(visit).await,
        (_, ["certificates", rest @ ..]) => rehearsal::page(visit, rest).await,
        (false, ["audit"]) => audit::page(visit).await,
        (_, ["people", rest @ ..]) => people::page(visit, rest).await,
        (_, ["servers", rest @ ..]) => servers::page(visit, rest).await,
        (false, ["send-connectors"]) => send::list(visit).await,
        (_, ["send-connectors", "new", rest @ ..]) => wizard::page(visit, rest).await,
        (false, ["send-connectors", name]) => send::one(visit, name).await,
        (_, [path, rest @ ..]) => match AREAS.iter().find(|area| area.path == *path) {
            Some(area) => objects::page(visit, area, rest).await,
            None => Err(missing("page", &visit.ask.path)),
        },
        (true, []) => Err(missing("page", "/")),
    }
}

pub(crate) fn missing(what: &str, name: &str) -> Trouble {
    Trouble::Missing { what: format!("There is no {what} {name}"), near: Vec::new() }
}

/// The page of a trouble.
pub(crate) fn trouble(trouble: Trouble) -> Sheet {
    match trouble {
        Trouble::Missing { what, near } => {
            let mut sheet = Sheet::new("Not found");
            sheet.status = 404;
            let lines = if near.is_empty() { vec![Bit::link("/", "To the overview").into()] } else { near };
            sheet.notice(Tone::Bad, what, lines);
            sheet
        }
        Trouble::Refused(refusal) => {
            let mut sheet = Sheet::new("Not for you");
            sheet.status = 403;
            let asks = "Role groups are given by a certificate (`postroad cert issue --role-group`), by the account of this centre, or \
                        by what its settings make of the groups of a provider.";
            sheet.notice(Tone::Bad, refusal.to_string(), vec![asks.into()]);
            sheet
        }
        Trouble::Away(why) => {
            let mut sheet = Sheet::new("Not known just now");
            sheet.status = 503;
            sheet.notice(Tone::Bad, "This cannot be told or done just now", vec![why.into()]);
            sheet
        }
        Trouble::Wrong(why) => {
            let mut sheet = Sheet::new("That is not understood");
            sheet.status = 400;
            sheet.notice(Tone::Bad, why, Vec::new());
            sheet
        }
    }
}
