//! Compares an answer, as `postroad explain --json` gives it, with what a test expects.

use crate::answers::Line;

use super::file::Expectations;

/// An expectation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The key of the test file.
    pub expectation: String,
    pub expected: String,
    pub actual: String,
}

/// Names of objects and addresses differ without regard to case.
fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// What does not hold. Nothing: the test passes.
pub(super) fn check(expect: &Expectations, line: &Line) -> Vec<Failure> {
    let mut found = Found(Vec::new());
    let hop = line.next_hop.as_ref();
    found.text("outcome", expect.outcome.map(|outcome| outcome.as_str()), Some(line.outcome));
    found.text("connector", expect.connector.as_deref(), line.connector.as_deref());
    found.not_connector(expect, line);
    found.text("deliveryType", expect.delivery_type.map(|kind| kind.as_str()), hop.map(|hop| hop.delivery_type));
    found.text("nextHop", expect.next_hop.as_deref(), hop.map(|hop| hop.domain.as_str()));
    found.text("primarySite", expect.primary_site.as_deref(), line.primary_site.as_deref());
    found.list("path", expect.path.as_ref(), &line.path);
    let cost = |cost: u64| cost.to_string();
    found.text("cost", expect.cost.map(cost).as_deref(), line.cost.map(cost).as_deref());
    found.list("stops", expect.stops.as_ref(), &line.stops);
    found.list("targets", expect.targets.as_ref(), &line.targets);
    found.text("status", expect.status.as_deref(), line.status.as_deref());
    found.text("rule", expect.rule.as_deref(), line.rule);
    let resolved = line.resolved.as_deref().unwrap_or(&line.recipient);
    found.text("resolved", expect.resolved.as_deref(), Some(resolved));
    found.members(expect, line);
    found.eliminated(expect, line);
    found.0
}

struct Found(Vec<Failure>);

impl Found {
    fn add(&mut self, expectation: &str, expected: &str, actual: &str) {
        let [expectation, expected, actual] = [expectation, expected, actual].map(str::to_owned);
        self.0.push(Failure { expectation, expected, actual });
    }

    fn text(&mut self, key: &str, expected: Option<&str>, actual: Option<&str>) {
        if let Some(expected) = expected
            && !actual.is_some_and(|actual| same(actual, expected))
        {
            self.add(key, expected, actual.unwrap_or("nothing"));
        }
    }

    fn list(&mut self, key: &str, expected: Option<&Vec<String>>, actual: &[String]) {
        let Some(expected) = expected else { return };
        if expected.len() != actual.len() || !expected.iter().zip(actual).all(|(a, b)| same(a, b)) {
            self.add(key, &shown(expected), &shown(actual));
        }
    }

    fn not_connector(&mut self, expect: &Expectations, line: &Line) {
        let selected = std::iter::once(line).chain(&line.members).filter_map(|line| line.connector.as_deref());
        let selected: Vec<&str> = selected.collect();
        for connector in expect.not_connector.iter().flatten() {
            if let Some(selected) = selected.iter().find(|selected| same(selected, connector)) {
                self.add("notConnector", &format!("any other than {connector}"), selected);
            }
        }
    }

    fn members(&mut self, expect: &Expectations, line: &Line) {
        let sorted = |addresses: Vec<String>| {
            let mut addresses = addresses;
            addresses.sort_by_key(|address| address.to_lowercase());
            addresses
        };
        let members = sorted(line.members.iter().map(|member| member.recipient.clone()).collect());
        self.list("members", expect.members.clone().map(sorted).as_ref(), &members);
    }

    fn eliminated(&mut self, expect: &Expectations, line: &Line) {
        for (connector, rule) in expect.eliminated.iter().flatten() {
            let candidate = line.candidates.iter().find(|candidate| same(&candidate.connector, connector));
            let actual = match candidate {
                None => "not a candidate",
                Some(candidate) => candidate.eliminated.unwrap_or("selected"),
            };
            if !same(actual, rule) {
                self.add(&format!("eliminated[{connector}]"), rule, actual);
            }
        }
    }
}

fn shown(list: &[String]) -> String {
    format!("[{}]", list.join(", "))
}
