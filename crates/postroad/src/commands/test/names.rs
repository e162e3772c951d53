//! Names in a test file that nothing in the organization has: an expectation about a connector that is misspelt would hold, or
//! fail, for ever.

use topology::Organization;

use super::file::Expectations;

/// Most letters by which a name may differ from the one that is suggested.
const LETTERS_WRONG_MAX: usize = 2;

/// What `expect` names and the organization has not, each in words.
pub(super) fn unknown(expect: &Expectations, organization: &Organization) -> Vec<String> {
    let connectors: Vec<String> = organization.connectors().map(|connector| connector.name().to_string()).collect();
    let sites: Vec<String> = organization.sites().iter().map(|site| site.name.to_string()).collect();
    let servers: Vec<String> = organization.servers().iter().map(|server| server.name.to_string()).collect();
    let eliminated = expect.eliminated.iter().flatten().map(|(connector, _)| connector);
    let sets: [(&str, &str, Vec<&String>, &[String]); 7] = [
        ("connector", "connector", expect.connector.iter().collect(), &connectors),
        ("notConnector", "connector", expect.not_connector.iter().flatten().collect(), &connectors),
        ("eliminated", "connector", eliminated.collect(), &connectors),
        ("primarySite", "site", expect.primary_site.iter().collect(), &sites),
        ("path", "site", expect.path.iter().flatten().collect(), &sites),
        ("stops", "site", expect.stops.iter().flatten().collect(), &sites),
        ("targets", "server", expect.targets.iter().flatten().collect(), &servers),
    ];
    let mut problems = Vec::new();
    for (key, kind, named, there) in sets {
        let missing = named.into_iter().filter(|name| !there.iter().any(|known| same(known, name)));
        problems.extend(missing.map(|name| format!("{key}: there is no {kind} {name}{}", suggested(name, there))));
    }
    problems
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// `; is it Internet?`, or what there is.
fn suggested(name: &str, there: &[String]) -> String {
    let near = there.iter().map(|known| (distance(&known.to_lowercase(), &name.to_lowercase()), known)).min();
    match near {
        Some((wrong, known)) if wrong <= LETTERS_WRONG_MAX => format!("; is it {known}?"),
        Some(_) if there.len() <= 12 => format!("; there are {}", there.join(", ")),
        _ => String::new(),
    }
}

/// Letters to add, leave out or change (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = at;
        row[0] = at + 1;
        for (column, candidate) in other.iter().enumerate() {
            let changed = before + usize::from(letter != *candidate);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn letters_are_counted() {
        for (one, other, wrong) in [("internet", "interent", 2), ("a", "", 1), ("", "abc", 3), ("oslo", "oslo", 0)] {
            assert_eq!((distance(one, other), distance(other, one)), (wrong, wrong), "{one} {other}");
        }
    }
}
