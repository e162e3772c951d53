//! The administrator audit log: every change of the organization, by whom, through what, from where, and what it was before. One
//! object that was changed is one line; what was refused is written too. The search has the options of
//! `Search-AdminAuditLog`.
//!
//! No secret is ever in it: whoever records a change shows those as `(sensitive)`.

use std::io;
use std::path::{Path, PathBuf};

use envelope::{Revision, Timestamp};

use crate::files::{day, parse, there};
use crate::record::{LogForm, LogLimits, Record, Row};
use crate::search::each_line;

/// What the names of its files begin with.
pub const PREFIX: &str = "AdminAudit";
/// The fields of a line, as the header names them.
pub const FIELDS: &str = "date-time,caller,through,client,originating-server,cmdlet,object-modified,object-id,\
cmdlet-parameters,modified-properties,succeeded,error,revision,log-id";
/// Octets of the properties of one object that are written.
const PROPERTIES_OCTETS_MAX: usize = 32 * 1024;

/// Folder of the files in a state directory.
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("logs").join("AdminAudit")
}

/// A property that changed, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedProperty {
    /// As documented.
    pub name: String,
    /// What it was; empty where there is no such thing.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// One object that was changed, or was not to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub caller: Box<str>,
    /// Through what: `postroad apply`, …
    pub through: Box<str>,
    /// From where: an address, or `local`.
    pub client: Box<str>,
    /// The server on which the change was made.
    pub server: Box<str>,
    /// The documented cmdlet that does the same: `Set-SendConnector`.
    pub cmdlet: Box<str>,
    /// `sendConnectors["Partner"]`
    pub object: Box<str>,
    /// Its identity.
    pub object_id: Box<str>,
    /// What changed of it.
    pub properties: Vec<AuditedProperty>,
    /// The revision that it made, zero for none; or why it was not made.
    pub outcome: Result<Revision, Box<str>>,
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(PROPERTIES_OCTETS_MAX)]
}

impl Record for AuditRecord {
    const FORM: LogForm = LogForm { log_type: "Administrator Audit Log", fields: FIELDS, limits: LogLimits::AUDIT };

    fn at(&self) -> Timestamp {
        self.at
    }

    fn write(&self, number: u64, row: &mut Row) {
        let names: Vec<&str> = self.properties.iter().map(|property| property.name.as_str()).collect();
        // What was said, and changed nothing that there was, has no old value.
        let changed = |property: &AuditedProperty| match &property.old {
            old if old.is_empty() => format!("{}: {}", property.name, property.new),
            old => format!("{}: {old} -> {}", property.name, property.new),
        };
        let changed: Vec<String> = self.properties.iter().map(changed).collect();
        row.value(self.at.to_iso8601());
        for text in
            [&self.caller, &self.through, &self.client, &self.server, &self.cmdlet, &self.object, &self.object_id]
        {
            row.text(text);
        }
        row.list(bounded(&names.join(";"))).list(bounded(&changed.join("; ")));
        match &self.outcome {
            // An act that is no change of the configuration makes no revision.
            Ok(Revision(0)) => row.value("True").empty().empty(),
            Ok(revision) => row.value("True").empty().value(revision),
            Err(why) => row.value("False").text(why).empty(),
        };
        row.value(number);
    }
}

/// What is looked for: everything that is given must hold; of a list one. Texts are compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// From this time on (`StartDate`).
    pub start: Option<Timestamp>,
    /// Before this time (`EndDate`).
    pub end: Option<Timestamp>,
    /// What was done (`Cmdlets`).
    pub cmdlets: Vec<String>,
    /// Names or identities of what was changed (`ObjectIds`).
    pub object_ids: Vec<String>,
    /// `UserIds`
    pub user_ids: Vec<String>,
    /// Properties that were set (`Parameters`).
    pub parameters: Vec<String>,
    /// Whether it was made (`IsSuccess`).
    pub success: Option<bool>,
    /// Lines passed over before the first (`StartIndex`).
    pub start_index: usize,
}

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine(pub Vec<String>);

impl AuditLine {
    /// The field of this name; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let at = FIELDS.split(',').position(|known| known == name);
        at.and_then(|at| self.0.get(at)).map(String::as_str).unwrap_or_default()
    }

    /// The name of the object, without its kind.
    fn object_name(&self) -> &str {
        let object = self.get("object-modified");
        object.split_once("[\"").and_then(|(_, rest)| rest.strip_suffix("\"]")).unwrap_or(object)
    }
}

impl AuditQuery {
    /// Whether a line is one of those that are looked for.
    #[must_use]
    pub fn matches(&self, line: &AuditLine) -> bool {
        let same = |wanted: &String, found: &str| wanted.to_lowercase() == found.to_lowercase();
        let one_of = |wanted: &[String], found: &[&str]| {
            wanted.is_empty() || wanted.iter().any(|wanted| found.iter().any(|found| same(wanted, found)))
        };
        let parameters: Vec<&str> = line.get("cmdlet-parameters").split(';').collect();
        // Times of one form compare as texts.
        let at = line.get("date-time");
        self.start.is_none_or(|start| *at >= *start.to_iso8601())
            && self.end.is_none_or(|end| *at < *end.to_iso8601())
            && one_of(&self.cmdlets, &[line.get("cmdlet")])
            && one_of(&self.user_ids, &[line.get("caller")])
            && one_of(&self.object_ids, &[line.get("object-modified"), line.object_name(), line.get("object-id")])
            && one_of(&self.parameters, &parameters)
            && self.success.is_none_or(|success| success == (line.get("succeeded") == "True"))
    }
}

/// The newest `limit` lines in `folder` that `query` looks for, the newest first. Blocks.
///
/// # Errors
/// When a file cannot be read; a folder that is not there has none.
pub fn search(folder: &Path, query: &AuditQuery, limit: usize) -> io::Result<Vec<AuditLine>> {
    let mut files = match there(folder, |name| parse(name, PREFIX)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        there => there?,
    };
    files.retain(|file| {
        query.start.is_none_or(|start| file.day >= day(start)) && query.end.is_none_or(|end| file.day <= day(end))
    });
    let mut found = Vec::new();
    for file in files.iter().rev() {
        each_line(file, |fields| {
            let line = AuditLine(fields);
            if query.matches(&line) {
                found.push(line);
            }
        })?;
        // Several processes write files of one day side by side: a day is searched to its end.
        let enough = found.len() >= limit.saturating_add(query.start_index);
        let day_ends = files.iter().rev().all(|other| other.day < file.day || other.number >= file.number);
        if enough && day_ends {
            break;
        }
    }
    // Of the same moment, too, what was written later is newer.
    found.reverse();
    found.sort_by(|one, other| other.get("date-time").cmp(one.get("date-time")));
    Ok(found.into_iter().skip(query.start_index).take(limit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Log, LogSettings};

    fn record(number: u64, cmdlet: &str, caller: &str, outcome: Result<Revision, Box<str>>) -> AuditRecord {
        let property =
            |name: &str, old: &str, new: &str| AuditedProperty { name: name.into(), old: old.into(), new: new.into() };
        AuditRecord {
            at: Timestamp::from_millis(1_795_335_330_250 + number * 3_600_000),
            caller: caller.into(),
            through: "postroad apply".into(),
            client: "192.0.2.7".into(),
            server: "MAIL1".into(),
            cmdlet: cmdlet.into(),
            object: "sendConnectors[\"To Partner\"]".into(),
            object_id: "5fd9e1a2-7b7d-4c3a-9f3e-0d9a1d6d7c11".into(),
            properties: vec![
                property("port", "25", "587"),
                property("authenticationCredential", "(none)", "(sensitive)"),
            ],
            outcome,
        }
    }

    #[test]
    fn what_was_changed_is_found_by_every_option_the_newest_first() {
        let state = tempfile::tempdir().unwrap();
        let settings = LogSettings { folder: folder(state.path()), prefix: PREFIX, version: "0" };
        // A command writes a file of its own; the service goes on with its.
        let (service, command) = (Log::new(settings.clone(), || ()), Log::new(settings, || ()));
        service.record(record(0, "New-SendConnector", "anna", Ok(Revision(7))));
        command.record(record(1, "Set-SendConnector", "root", Ok(Revision(8))));
        service.record(record(2, "Remove-SendConnector", "Anna", Err("anna, of no role group, may not".into())));
        drop((service, command));
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let at = |hours: u64| Some(Timestamp::from_millis(1_795_335_330_250 + hours * 3_600_000));
        let all = AuditQuery::default;
        for (query, revisions) in [
            (all(), vec!["", "8", "7"]),
            (AuditQuery { start: at(1), ..all() }, vec!["", "8"]),
            (AuditQuery { end: at(1), ..all() }, vec!["7"]),
            (AuditQuery { cmdlets: texts(&["set-sendconnector"]), ..all() }, vec!["8"]),
            (AuditQuery { user_ids: texts(&["ANNA"]), ..all() }, vec!["", "7"]),
            (AuditQuery { object_ids: texts(&["to partner"]), ..all() }, vec!["", "8", "7"]),
            (AuditQuery { object_ids: texts(&["5fd9e1a2-7b7d-4c3a-9f3e-0d9a1d6d7c11"]), ..all() }, vec!["", "8", "7"]),
            (AuditQuery { object_ids: texts(&["Partner"]), ..all() }, vec![]),
            (AuditQuery { parameters: texts(&["Port", "fqdn"]), ..all() }, vec!["", "8", "7"]),
            (AuditQuery { parameters: texts(&["fqdn"]), ..all() }, vec![]),
            (AuditQuery { success: Some(false), ..all() }, vec![""]),
            (AuditQuery { success: Some(true), start_index: 1, ..all() }, vec!["7"]),
        ] {
            let found = search(&folder(state.path()), &query, 10).unwrap();
            let found: Vec<&str> = found.iter().map(|line| line.get("revision")).collect();
            assert_eq!(found, revisions, "{query:?}");
        }
        let newest = search(&folder(state.path()), &all(), 2).unwrap();
        assert_eq!(newest.len(), 2);
        assert_eq!(newest[0].get("error"), "anna, of no role group, may not");
        let changed = "port: 25 -> 587; authenticationCredential: (none) -> (sensitive)";
        assert_eq!(newest[1].get("modified-properties"), changed);
        assert_eq!(search(Path::new("/no/such/folder"), &all(), 1).unwrap(), []);
    }
}
