//! The rules that decide, by their names. What a name means stands in `docs/rules.md`, one line each with its public page:
//! people read it there, and commands print it from here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// The page, as the program carries it.
const PAGE: &str = include_str!("../../../docs/rules.md");

/// What each name means, and which pages say so.
static RULES: LazyLock<BTreeMap<&'static str, Rule>> = LazyLock::new(|| {
    let links: BTreeMap<&str, &'static str> = PAGE.lines().filter_map(link).collect();
    PAGE.lines().filter_map(|line| rule(line, &links)).collect()
});

/// The rule behind a choice or an elimination, such as `RT-48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub &'static str);

/// What `docs/rules.md` says of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, as the page writes it.
    pub id: RuleId,
    /// The rule in one line.
    pub text: &'static str,
    /// Addresses of the public pages that it was taken from; at least one.
    pub sources: Vec<&'static str>,
}

impl RuleId {
    /// What the rule says. Nothing for a name that the page does not have, which no name in this program is.
    #[must_use]
    pub fn rule(self) -> Option<&'static Rule> {
        Rule::find(self.0)
    }
}

impl Rule {
    /// The rule of that name, in whatever case.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        RULES.get(name.to_uppercase().as_str())
    }

    /// Every rule, by name.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        RULES.values()
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// `[mail-routing]: https://…`
fn link(line: &'static str) -> Option<(&'static str, &'static str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// `| RT-34 | what it says | [page], [page] |`
fn rule(line: &'static str, links: &BTreeMap<&str, &'static str>) -> Option<(&'static str, Rule)> {
    let cells: Vec<&'static str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [id, text, pages] = cells[..] else { return None };
    let (family, number) = id.split_once('-')?;
    if family.chars().any(|one| !one.is_ascii_uppercase()) || number.parse::<u16>().is_err() {
        return None; // the head of a table
    }
    let page = |page: &'static str| links.get(page.strip_prefix('[')?.strip_suffix(']')?).copied();
    Some((id, Rule { id: RuleId(id), text, sources: pages.split(", ").filter_map(page).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_page_has_a_rule_and_a_source() {
        let (rules, _) = PAGE.split_once("## What no test shows").unwrap();
        let lines =
            rules.lines().filter(|line| line.starts_with("| ") && line.contains("-") && !line.starts_with("| id"));
        assert_eq!(RULES.len(), lines.count(), "a line is there twice, or is none");
        for rule in Rule::all() {
            assert!(!rule.text.is_empty(), "{}", rule.id);
            assert!(!rule.sources.is_empty(), "{} has no source whose link the page gives", rule.id);
            assert!(rule.sources.iter().all(|source| source.starts_with("https://")), "{rule:?}");
        }
    }

    #[test]
    fn a_rule_is_found_by_its_name() {
        let rule = Rule::find("rt-34").expect("RT-34 is a rule");
        assert_eq!(rule.id, RuleId("RT-34"));
        assert_eq!(rule.text, "First all target servers of the primary site are tried.");
        assert_eq!(RuleId("RT-34").rule(), Some(rule));
        assert_eq!(Rule::find("no rule"), None);
    }
}
