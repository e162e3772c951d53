//! What was changed since the last `postroad apply`, by other means: a file describes the whole organization, and one that was
//! written before takes it back.

use std::fmt::Write as _;
use std::time::SystemTime;

use directory::{Administration, RevisionRecord};

use super::output;

/// So many changes are asked for, the newest first, until the last `postroad apply` is among them: mostly that was the last
/// change, and each costs a question to the directory.
const RECORDS: [usize; 3] = [2, 16, 100];
/// Changes that are shown.
const SHOWN_MAX: usize = 5;
/// What applies a file.
const APPLY: &str = "postroad apply";
/// What changes that come this way bring, a file leaves alone.
const LEFT_ALONE: &str = "postroad sync";

/// In words; nothing when there is nothing, or it cannot be read: a plan is a plan without it.
pub(super) async fn told(directory: &dyn Administration) -> String {
    for most in RECORDS {
        let Ok(records) = directory.revisions(most).await else { break };
        if let Some(last) = last_apply(&records) {
            return text(&records, last);
        }
        if records.len() < most {
            break;
        }
    }
    // There was none, or it is forgotten: then the file may be as old as that.
    String::new()
}

fn is_by(record: &RevisionRecord, what: &str) -> bool {
    record.author.as_ref().is_some_and(|author| author.through.starts_with(what))
}

/// Where in `records` the last `postroad apply` is.
fn last_apply(records: &[RevisionRecord]) -> Option<usize> {
    records.iter().position(|record| is_by(record, APPLY))
}

/// What was changed after the one at `last`.
fn text(records: &[RevisionRecord], last: usize) -> String {
    let others: Vec<_> = records[..last].iter().filter(|record| !is_by(record, LEFT_ALONE)).collect();
    if others.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\nSince the last `{APPLY}` (revision {}) others made changes. The plan takes back what the file does not say of them:\n",
        records[last].revision
    );
    for record in others.iter().take(SHOWN_MAX) {
        let author = record.author.as_ref();
        let author = author.map_or_else(String::new, |author| format!(" {} ({})", author.who, author.through));
        let at = output::time(SystemTime::from(record.at));
        let _ = writeln!(text, "  {} {at}{author}: {}", record.revision, record.summary);
    }
    if let Some(more @ 1..) = others.len().checked_sub(SHOWN_MAX) {
        let _ = writeln!(text, "  and {more} more: `postroad revisions`");
    }
    text.push_str("`postroad export` writes a file of what is there now.\n");
    text
}

#[cfg(test)]
mod tests {
    use directory::Author;
    use envelope::{Revision, Timestamp};

    use super::*;

    fn record(revision: u64, through: &str) -> RevisionRecord {
        let author = Some(Author::new("anna@mail1", through));
        let summary = format!("+ Send connector C{revision}");
        RevisionRecord { revision: Revision(revision), at: Timestamp::from_millis(0), summary, author }
    }

    fn since(records: &[RevisionRecord]) -> String {
        last_apply(records).map(|last| text(records, last)).unwrap_or_default()
    }

    #[test]
    fn what_others_changed_is_told() {
        let told = since(&[record(9, "postroad shell"), record(8, "postroad sync ldap"), record(7, "postroad apply")]);
        assert!(told.contains("(revision 7)"), "{told}");
        assert!(told.contains(" anna@mail1 (postroad shell): + Send connector C9\n"), "{told}");
        assert!(!told.contains("C8"), "{told}");
        let many: Vec<_> = (3..10).rev().map(|at| record(at, "postroad shell")).collect();
        let told = since(&[many, vec![record(2, "postroad apply --restored")]].concat());
        assert!(told.contains("C5\n") && !told.contains("C4\n") && told.contains("  and 2 more"), "{told}");
    }

    #[test]
    fn what_was_applied_or_synchronized_is_no_change_of_others() {
        for through in ["postroad apply", "postroad sync ldap"] {
            assert_eq!(since(&[record(9, through), record(8, "postroad apply")]), "", "{through}");
        }
        assert_eq!(since(&[record(9, "postroad shell")]), "", "nothing was ever applied");
    }
}
