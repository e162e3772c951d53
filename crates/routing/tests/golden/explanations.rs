//! Explanations word for word. A script is an organization file, a line `---`, and questions with their answers:
//!
//! ```text
//! $ explain fabrikam.com from A1 size 5MB
//! ```
//!
//! The thing explained is a domain, `database NAME`, `group on SERVER`, or `TYPE:address`. After a change that is meant,
//! `POSTROAD_REWRITE=1 cargo nextest run -p routing` writes the answers anew; read the difference before keeping it.

use std::path::Path;
use std::sync::Arc;

use envelope::{ByteSize, Domain, Revision};
use routing::{Destination, Explanation, RoutingTables};
use topology::Organization;

use crate::world::{name, server};

fn check(script: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/explanations").join(script);
    let text = std::fs::read_to_string(&path).unwrap();
    let (file, questions) = text.split_once("\n---\n").unwrap();
    let contents = organization::load(file, Revision(42)).unwrap_or_else(|problems| panic!("{script}:\n{problems}"));
    let organization = Arc::new(contents.organization);
    let mut answered = format!("{file}\n---\n");
    for question in questions.lines().filter(|line| line.starts_with("$ ")) {
        answered.push_str(&format!("\n{question}\n{}", answer(&organization, question)));
    }
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        std::fs::write(&path, answered).unwrap();
    } else {
        assert_eq!(text, answered, "{script} says otherwise");
    }
}

fn answer(organization: &Arc<Organization>, question: &str) -> Explanation {
    let rest = question.strip_prefix("$ explain ").unwrap();
    let (what, rest) = rest.split_once(" from ").unwrap();
    let (from, size) = rest.split_once(" size ").unwrap_or((rest, "1KB"));
    let size: ByteSize = size.parse().unwrap();
    let tables = RoutingTables::build(organization.clone(), &server(from)).unwrap();
    if let Some(database) = what.strip_prefix("database ") {
        tables.explain(Destination::Mailbox(&name(database)), size)
    } else if let Some(on) = what.strip_prefix("group on ") {
        tables.explain(Destination::ExpansionServer(&server(on)), size)
    } else if let Some((kind, text)) = what.split_once(':') {
        tables.explain(Destination::NonSmtp { kind, text }, size)
    } else {
        tables.explain(Destination::External(&Domain::parse(what).unwrap()), size)
    }
}

#[test]
fn connectors() {
    check("connectors.txt");
}

#[test]
fn hubs_and_groups() {
    check("hubs-and-groups.txt");
}

#[test]
fn edge() {
    check("edge.txt");
}
