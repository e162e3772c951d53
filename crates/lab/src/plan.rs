//! The lab file: an organization file with two more sections, `internet:` and `lab:`.
//!
//! ```yaml
//! sites: […]            # … and everything else of an organization file
//! internet:
//!   domains: […]        # see internet::description
//!   hosts: […]
//! lab:
//!   network: 127.77.0.0
//!   smtpPort: 2500
//!   dnsPort: 5300
//!   processes: service   # or server, or site
//! ```
//!
//! The two sections are told from the rest by lines, before any YAML is parsed: a section starts at a line with its key in
//! the first column and ends before the next such line. Each part is then parsed with the lines of the other left empty,
//! so that every position is one of the file as written. An anchor of one part is unknown in the other.

use std::net::Ipv4Addr;

use envelope::{Domain, Revision};
use organization::{Contents, FileProblem, FileProblems, Position, Shape};
use serde::Deserialize;
use topology::{Problem, Weight};

use crate::internet::{DNS_PORT_DEFAULT, Description, SMTP_PORT_DEFAULT};

/// Sections that are not the organization's.
const SECTIONS: [&str; 2] = ["internet", "lab"];

/// A lab, described.
#[derive(Clone, Debug)]
pub struct LabFile {
    /// The organization file, with the lab's lines left empty: for whoever applies it with its secrets.
    pub organization_text: String,
    /// What it says, secrets left out.
    pub organization: Contents,
    /// What is around it.
    pub internet: Description,
    /// Where it all runs.
    pub settings: LabSettings,
}

/// The `lab:` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LabSettings {
    /// Loopback network of which everything gets an address, first two octets; without it, the first from 127.77.0.0 on
    /// that no other lab of this machine uses.
    pub network: Option<Ipv4Addr>,
    /// Port of all hosts of the internet: the `port` of Send connectors that deliver by MX.
    pub smtp_port: u16,
    /// Port of its DNS server.
    pub dns_port: u16,
    /// What a process runs.
    pub processes: Processes,
}

/// What a process of a lab runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Processes {
    /// One service, as in production.
    #[default]
    Service,
    /// All services of a server, as `postroad up` does: for labs of many servers on one machine.
    Server,
    /// All services of all Mailbox servers of a site: for labs of hundreds. They have one log, and who kills one kills all of them. An
    /// Edge server, which is outside of the forest, has a process of its own.
    Site,
}

impl Default for LabSettings {
    fn default() -> Self {
        Self { network: None, smtp_port: SMTP_PORT_DEFAULT, dns_port: DNS_PORT_DEFAULT, processes: Processes::Service }
    }
}

/// What the two sections may have.
const SHAPE: Shape = Shape::Keys(&[("internet", crate::internet::SHAPE), ("lab", Shape::Keys(LAB))]);
const LAB: &[(&str, Shape)] =
    &[("network", Shape::Any), ("smtpPort", Shape::Any), ("dnsPort", Shape::Any), ("processes", Shape::Any)];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sections {
    internet: Description,
    lab: LabSettings,
}

impl LabFile {
    /// Reads and checks a lab file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with positions.
    pub fn parse(text: &str) -> Result<Self, FileProblems> {
        let (organization_text, lab_text) = split(text);
        let mut problems = organization::unknown_keys(&lab_text, SHAPE);
        let sections =
            if problems.is_empty() { sections(&lab_text).map_err(|problem| problems.push(problem)) } else { Err(()) };
        match (sections, organization::load(&organization_text, Revision(0))) {
            (Ok(Sections { internet, lab }), Ok(organization)) => {
                Ok(Self { organization_text, organization, internet, settings: lab })
            }
            (_, loaded) => {
                problems.extend(loaded.err().map(|loaded| loaded.0).unwrap_or_default());
                problems.sort_by_key(|problem| problem.at);
                Err(FileProblems(problems))
            }
        }
    }

    /// The forest that the organization is: its default accepted domain.
    #[must_use]
    pub fn forest(&self) -> Domain {
        let default = self.organization.organization.default_domain().cloned();
        default.unwrap_or_else(|| Domain::parse("lab.example").expect("a domain"))
    }
}

fn sections(text: &str) -> Result<Sections, FileProblem> {
    if text.trim().is_empty() {
        return Ok(Sections::default());
    }
    let sections: Sections = serde_saphyr::from_str(text).map_err(|error| {
        let at = error.location().filter(|location| location.line() > 0);
        let at = at.map(|location| Position { line: location.line(), column: location.column() });
        problem(at, "", error.without_snippet().to_string())
    })?;
    if sections.lab.network.is_some_and(|network| !network.is_loopback()) {
        let text = "only a network of 127.0.0.0/8 is on this machine alone".to_owned();
        return Err(problem(None, "lab.network", text));
    }
    Ok(sections)
}

fn problem(at: Option<Position>, place: &str, text: String) -> FileProblem {
    FileProblem { at, problem: Problem { weight: Weight::Error, place: place.to_owned(), text } }
}

/// The organization's lines and the lab's, each with the other's left empty.
fn split(text: &str) -> (String, String) {
    let (mut organization, mut lab) = (String::with_capacity(text.len()), String::new());
    let mut within_lab = false;
    for line in text.split_inclusive('\n') {
        if let Some(key) = section_key(line) {
            within_lab = SECTIONS.contains(&key);
        }
        let (taken, other) = if within_lab { (&mut lab, &mut organization) } else { (&mut organization, &mut lab) };
        taken.push_str(line);
        other.push('\n');
    }
    (organization, lab)
}

/// The key of a line that starts a section: text, or quoted text, in the first column, and a colon.
fn section_key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let ends_key = rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']);
    let bare = key.trim_end().trim_matches(['"', '\'']);
    let is_key = !bare.is_empty() && bare.chars().all(char::is_alphanumeric);
    (ends_key && is_key).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORGANIZATION: &str = "\
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sites:
- name: Berlin
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
";

    #[test]
    fn a_lab_file_is_an_organization_file_with_two_more_sections() {
        let sections = "internet:\n  hosts:\n  - {name: mx.fabrikam.example}\n# a note\n\"lab\": {smtpPort: 2525}\n";
        for text in [format!("{sections}{ORGANIZATION}"), format!("{ORGANIZATION}{sections}")] {
            let file = LabFile::parse(&text).unwrap();
            assert_eq!(file.organization.organization.servers().len(), 1);
            assert_eq!(file.internet.hosts[0].name.as_str(), "mx.fabrikam.example");
            assert_eq!(file.settings, LabSettings { smtp_port: 2525, ..LabSettings::default() });
            assert_eq!(file.forest().as_str(), "contoso.example");
        }
        assert_eq!(LabFile::parse(ORGANIZATION).unwrap().settings, LabSettings::default());
    }

    #[test]
    fn positions_are_those_of_the_whole_file() {
        for (text, expected) in [
            (format!("{ORGANIZATION}internet:\n  host: []\n"), "7:3: "),
            (format!("internet: {{}}\n\n{}", ORGANIZATION.replace("fqdn", "fqdm")), "7:5: "),
            (format!("{ORGANIZATION}lab:\n  smtpPort: many\n"), "7:13: "),
            (format!("lab: {{}}\n{ORGANIZATION}lab: {{}}\n"), "7:1: "),
            (format!("lab: {{network: 192.0.2.0}}\n{ORGANIZATION}"), "error: lab.network: "),
            (format!("{ORGANIZATION}labs: {{}}\n"), "6:1: "),
        ] {
            let error = LabFile::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn what_nobody_knows_is_told_at_once_in_every_section() {
        let organization = ORGANIZATION.replace("fqdn:", "fqdm:");
        let text = format!("internet: {{host: [], domains: [{{nane: a}}]}}\nlab:\n  smtpport: 1\n{organization}");
        let told = LabFile::parse(&text).unwrap_err().to_string();
        let places: Vec<&str> = told.lines().filter_map(|line| line.split(" error: ").next()).collect();
        assert_eq!(&places[..4], ["1:12:", "1:33:", "3:3:", "8:5:"], "{told}");
        assert!(told.contains("internet.domains[1].nane: there is no such key; did you mean name?"), "{told}");
        assert!(told.contains("lab.smtpport: there is no such key; did you mean smtpPort?"), "{told}");
    }

    /// What the reader of `text` expects where it meets the key `nothing`, by its own complaint.
    fn expected(text: &str) -> Vec<String> {
        let error = serde_saphyr::from_str::<Sections>(text).err().unwrap().without_snippet().to_string();
        let (_, names) = error.split_once("expected ").unwrap_or_else(|| panic!("{text}: {error}"));
        let names = names.split(" at line ").next().unwrap().trim_start_matches("one of ");
        names.split(", ").flat_map(|name| name.split(" or ")).map(|name| name.trim_matches('`').to_owned()).collect()
    }

    #[test]
    fn the_shape_has_every_key_that_is_read_and_no_other() {
        for place in [
            "{}",
            "internet: {}",
            "internet: {domains: [{}]}",
            "internet: {domains: [{mx: [{}]}]}",
            "internet: {hosts: [{}]}",
            "internet: {hosts: [{behavior: {}}]}",
            "internet: {hosts: [{behavior: {login: {}}}]}",
            "internet: {hosts: [{behavior: {faults: [{}]}}]}",
            "lab: {}",
        ] {
            let with = |key: &str| place.replacen("{}", &format!("{{{key}: 1}}"), 1);
            let mut names = expected(&with("nothing"));
            let mut known: Vec<String> = Vec::new();
            for name in &names {
                assert!(organization::unknown_keys(&with(name), SHAPE).is_empty(), "{place}: {name}");
            }
            let told = organization::unknown_keys(&with("nothingofthesort"), SHAPE)[0].to_string();
            known.extend(told.rsplit("there are ").next().unwrap().split(", ").map(str::to_owned));
            names.sort();
            known.sort();
            assert_eq!(names, known, "{place}");
        }
    }
}
