//! The organization file: the whole configuration as one YAML document.
//!
//! ```text
//!   text ──parse──▶ Document ──to_draft──▶ OrganizationDraft ──Organization::validate──▶ Organization
//!    ▲                 │  ▲                      │                       │
//!    └────to_yaml──────┘  └──────from_draft──────┘                   Problems ──locate──▶ FileProblems
//! ```
//!
//! Reading opens no other file and computes no hash: that is done by the [`Secrets`] that the caller hands in.

use std::fmt;

use envelope::Revision;
use topology::{DirectoryRecipient, Organization, OrganizationDraft, Problem, Problems, Weight};

use crate::forms::server::label;
use crate::kind::Kind;
use crate::literal::Fault;
use crate::node::{Key, Node, Position, Value};
use crate::object::{self, Object};
use crate::property::{Detail, unknown_text};
use crate::recipients;
use crate::schema;
use crate::secrets::{Secrets, WithoutSecrets};
use crate::yaml;

/// A problem of an organization file, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// Where in the file, when it is at one place.
    pub at: Option<Position>,
    /// Place, weight and text.
    pub problem: Problem,
}

impl fmt::Display for FileProblem {
    /// `12:5: error: sendConnectors["Internet"].smartHost: there is no such property; did you mean smartHosts?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{at}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

/// Every problem found in an organization file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct FileProblems(pub Vec<FileProblem>);

impl fmt::Display for FileProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// An organization file that is YAML and whose sections are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    root: Node,
}

/// What a good file holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The checked organization.
    pub organization: Organization,
    /// `recipients:`; empty when the file does not speak of them.
    pub recipients: Vec<DirectoryRecipient>,
    /// What was accepted, but probably not meant.
    pub warnings: FileProblems,
}

impl Document {
    /// Parses YAML.
    ///
    /// # Errors
    /// What is not YAML, no mapping, or an unknown section; and with it everything that is wrong with the rest.
    pub fn parse(text: &str) -> Result<Self, FileProblems> {
        let (root, wrong) = yaml::read_sections(text);
        let whole = wrong.is_empty();
        let mut problems: Vec<FileProblem> =
            wrong.into_iter().map(|(at, text)| file_problem(at, String::new(), text)).collect();
        let root = if root.is_null() { Node::map(Vec::new()) } else { root };
        let Some(entries) = root.entries() else {
            let text = "an organization file is a mapping of sections, such as sites: […]";
            problems.push(file_problem(root.at, String::new(), text.into()));
            return Err(FileProblems(problems));
        };
        let sections = Kind::ALL.into_iter().map(Kind::section);
        let unknown = |key: &&Key| Kind::of_section(&key.text).is_none();
        let unknown = entries.iter().map(|(key, _)| key).filter(unknown);
        problems.extend(
            unknown.map(|key| {
                file_problem(key.at, key.text.clone(), unknown_text("section", &key.text, sections.clone()))
            }),
        );
        let document = Self { root };
        if problems.is_empty() {
            return Ok(document);
        }
        // A section that could not be read may hold what the others refer to.
        let read = document.read(&WithoutSecrets);
        problems.extend(if whole { document.everything_wrong(read) } else { read.problems });
        Err(in_order(problems))
    }

    /// The document that says what `draft` and `recipients` say, leaving out what is the default.
    #[must_use]
    pub fn from_draft(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Self {
        let objects = object::objects(draft, recipients);
        let written = |kind: Kind| {
            let nodes = objects.iter().filter(move |object| object.kind() == kind);
            nodes.map(|object| object.write(Detail::Changed)).collect::<Vec<_>>()
        };
        let mut sections = Vec::new();
        for kind in Kind::ALL {
            let mut nodes = written(kind);
            let node = match kind {
                Kind::TransportConfig => nodes.remove(0),
                _ => Value::List(nodes).into(),
            };
            let empty = node.items().is_some_and(<[Node]>::is_empty) || node.entries().is_some_and(<[_]>::is_empty);
            if !empty {
                sections.push((kind.section(), node));
            }
        }
        Self { root: Node::map(sections) }
    }

    /// The text of the file. Credentials are sealed and passwords are verifiers; neither ever was anything else here.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let sections = self.root.entries().unwrap_or_default();
        let section = |(key, node): &(Key, Node)| yaml::write(&Node::map(vec![(&key.text, node.clone())]));
        sections.iter().map(section).collect::<Vec<_>>().join("\n")
    }

    /// Whether the file speaks of recipients at all: one that does not leaves those of the directory alone.
    #[must_use]
    pub fn has_recipients(&self) -> bool {
        self.has_section(Kind::Recipient)
    }

    /// Whether the file has a section for objects of that kind, an empty one too.
    #[must_use]
    pub fn has_section(&self, kind: Kind) -> bool {
        self.root.get(kind.section()).is_some()
    }

    /// The organization and its recipients, unchecked as a whole, every value checked by itself.
    ///
    /// # Errors
    /// Every unknown property, missing property and wrong value; and with it what a check of the whole finds in the rest.
    pub fn to_draft(
        &self,
        secrets: &dyn Secrets,
    ) -> Result<(OrganizationDraft, Vec<DirectoryRecipient>), FileProblems> {
        let (mut draft, recipients) = self.to_objects(secrets)?;
        draft.settle();
        draft.complete();
        match written(&draft, &recipients).has_errors() {
            true => Err(in_order(self.located_errors(&draft, &recipients))),
            false => Ok((draft, recipients)),
        }
    }

    /// The objects as they are written, every value checked by itself.
    pub(crate) fn to_objects(
        &self,
        secrets: &dyn Secrets,
    ) -> Result<(OrganizationDraft, Vec<DirectoryRecipient>), FileProblems> {
        let read = self.read(secrets);
        match read.problems.is_empty() {
            true => Ok(object::assemble(read.objects.into_iter().map(|(object, _)| object))),
            false => Err(in_order(self.everything_wrong(read))),
        }
    }

    /// The recipients of a document that is a part of a file, every value checked by itself.
    pub(crate) fn to_recipients(&self, secrets: &dyn Secrets) -> Result<Vec<DirectoryRecipient>, FileProblems> {
        let read = self.read(secrets);
        match read.problems.is_empty() {
            true => Ok(object::assemble(read.objects.into_iter().map(|(object, _)| object)).1),
            false => Err(in_order(read.problems)),
        }
    }

    /// Reads every object as far as it can be read.
    fn read(&self, secrets: &dyn Secrets) -> Read {
        let mut read = Read::default();
        for (key, section) in self.root.entries().unwrap_or_default() {
            let Some(kind) = Kind::of_section(&key.text) else { continue };
            for (label, node) in labelled(kind, section, &mut read.problems) {
                let (object, mut faults) = Object::read_partly(kind, node, secrets);
                if let Some(object) = &object {
                    let in_range = |fault: &Fault| faults.iter().all(|known| known.path != fault.path);
                    let outside: Vec<Fault> = object.out_of_range(node).into_iter().filter(in_range).collect();
                    faults.extend(outside);
                }
                match object {
                    Some(object) => {
                        let paths = faults.iter().map(|fault| fault.path.clone()).collect();
                        read.objects.push((object, paths));
                    }
                    None => read.unread.extend(node.get("name").and_then(|name| name.scalar().map(String::from))),
                }
                read.problems.extend(faults.into_iter().map(|fault| {
                    let Fault { path, at, text } = fault;
                    file_problem(at, format!("{}{label}{path}", kind.section()), text)
                }));
            }
        }
        read
    }

    /// What no file may say together.
    fn located_errors(&self, draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Vec<FileProblem> {
        let mut found = topology::validation::lint(draft);
        found.0.extend(recipients::lint(draft, recipients).0);
        found.0.extend(written(draft, recipients).0);
        found.0.retain(|problem| problem.weight == Weight::Error);
        self.locate(&found).0
    }

    /// What is wrong with objects, and with what they say together: of one that has a fault only what it refers to.
    fn everything_wrong(&self, read: Read) -> Vec<FileProblem> {
        let Read { objects, unread, mut problems } = read;
        let faulty: Vec<(String, Vec<String>)> = objects
            .iter()
            .filter(|(_, faults)| !faults.is_empty())
            .map(|(object, faults)| (object.place(), faults.clone()))
            .collect();
        // What has no name can be referred to by nobody, and must not be taken for another one.
        let named = objects.into_iter().filter(|(_, faults)| !faults.iter().any(|fault| fault == ".name"));
        let (mut draft, recipients) = object::assemble(named.map(|(object, _)| object));
        draft.settle();
        draft.complete();
        let mut found = topology::validation::lint(&draft);
        found.0.extend(written(&draft, &recipients).0);
        found.0.extend(recipients::lint(&draft, &recipients).0);
        found.0.retain(|problem| {
            let known_elsewhere = unread.iter().any(|name| problem.text.ends_with(name.as_str()));
            let of_faulty =
                faulty.iter().find_map(|(place, faults)| Some((problem.place.strip_prefix(place)?, faults)));
            let worth_telling = match of_faulty {
                None => true,
                Some((property, faults)) => {
                    let refers = REFERENCES.contains(&property);
                    refers && !faults.iter().any(|fault| fault.starts_with(property))
                }
            };
            problem.weight == Weight::Error && worth_telling && !known_elsewhere
        });
        problems.extend(self.locate(&found).0);
        problems
    }

    /// Adds positions to what a linter found.
    #[must_use]
    pub fn locate(&self, problems: &Problems) -> FileProblems {
        let located = |problem: &Problem| FileProblem { at: self.find(&problem.place), problem: problem.clone() };
        FileProblems(problems.0.iter().map(located).collect())
    }

    /// The deepest known position on the way to `place`.
    fn find(&self, place: &str) -> Option<Position> {
        let end = place.find(['[', '.']).unwrap_or(place.len());
        let (section, mut rest) = place.split_at(end);
        let (key, node) = self.root.entries()?.iter().find(|(key, _)| key.text == section)?;
        let kind = Kind::of_section(section)?;
        let (mut at, mut node) = (key.at, node);
        let mut items = node.items().unwrap_or_default().iter().enumerate();
        let found = items.find_map(|(at, item)| Some((item, rest.strip_prefix(&label(kind, at, item))?)));
        if let Some((item, after)) = found {
            (at, node, rest) = (item.at, item, after);
        }
        for step in rest.split('.').skip(1) {
            let name = step.split('[').next().unwrap_or(step);
            let Some((key, value)) = node.entries()?.iter().find(|(key, _)| key.text.eq_ignore_ascii_case(name)) else {
                return at;
            };
            (at, node) = (key.at, value);
        }
        at
    }
}

/// Reads and checks a whole file, for whoever only routes by it: secrets are left out.
///
/// # Errors
/// Every problem of the file, with its position.
pub fn load(text: &str, revision: Revision) -> Result<Contents, FileProblems> {
    let document = Document::parse(text)?;
    let (draft, recipients) = document.to_draft(&WithoutSecrets)?;
    let mut problems = topology::validation::lint(&draft);
    problems.0.extend(recipients::lint(&draft, &recipients).0);
    problems.0.extend(written(&draft, &recipients).0);
    problems.0.extend(schema::without_effect(&draft));
    let located = in_order(document.locate(&problems).0);
    if problems.has_errors() {
        return Err(located);
    }
    match Organization::validate(draft, revision) {
        Ok(organization) => Ok(Contents { organization, recipients, warnings: located }),
        Err(problems) => Err(document.locate(&problems)),
    }
}

/// What a file must not say, beyond what no snapshot may hold; and what is probably not meant.
fn written(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Problems {
    let mut problems = topology::validation::written(draft);
    problems.0.extend(recipients::written(draft, recipients).0);
    problems
}

/// What could be read of a document.
#[derive(Default)]
struct Read {
    /// Objects, each with the paths of its faults.
    objects: Vec<(Object, Vec<String>)>,
    /// Names of objects of which nothing can be made.
    unread: Vec<String>,
    problems: Vec<FileProblem>,
}

/// Properties that refer to another object: whether that is there does not depend on the rest of the object.
const REFERENCES: [&str; 9] = [
    ".site",
    ".sites",
    ".dag",
    ".server",
    ".activeOn",
    ".database",
    ".expansionServer",
    ".sourceTransportServers",
    ".addressSpaces",
];

/// Problems in the order of the file.
fn in_order(mut problems: Vec<FileProblem>) -> FileProblems {
    problems.sort_by_key(|problem| problem.at);
    FileProblems(problems)
}

/// The text of a file.
///
/// # Errors
/// The first octet that is not UTF-8.
pub fn text_of(octets: Vec<u8>) -> Result<String, FileProblems> {
    String::from_utf8(octets).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let octet = error.as_bytes()[good.len()];
        let before = String::from_utf8_lossy(good);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let at = Position { line: count(before.matches('\n').count() + 1), column: count(line.chars().count() + 1) };
        let text = format!("the octet 0x{octet:02X} here is not UTF-8; save the file in that encoding");
        FileProblems(vec![file_problem(Some(at), String::new(), text)])
    })
}

fn labelled<'a>(kind: Kind, section: &'a Node, problems: &mut Vec<FileProblem>) -> Vec<(String, &'a Node)> {
    if section.is_null() {
        return Vec::new();
    }
    if kind == Kind::TransportConfig {
        return vec![(String::new(), section)];
    }
    let Some(items) = section.items() else {
        problems.push(file_problem(section.at, kind.section().to_owned(), "write a list: - {name: …}".into()));
        return Vec::new();
    };
    items.iter().enumerate().map(|(at, item)| (label(kind, at, item), item)).collect()
}

fn file_problem(at: Option<Position>, place: String, text: String) -> FileProblem {
    FileProblem { at, problem: Problem { weight: Weight::Error, place, text } }
}
