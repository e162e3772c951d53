//! An organization file with more recipients than are read at once: the configuration is a document as always, recipients come
//! in pieces of some thousand, each read, checked and let go.
//!
//! ```text
//!   sites: …           ┐
//!   servers: …         ├─▶ configuration (the lines of recipients left empty: positions are those of the file)
//!   recipients:        ┘
//!     - {name: a …}    ┐
//!     - {name: b …}    ├─▶ Piece, Piece, …
//!     - …              ┘
//! ```
//!
//! The section is told from the rest by lines, as the sections of a lab file are. It must be a block list, one `-` below the
//! other: whatever writes a million recipients writes that. A section in another form is no matter of pieces.

use std::ops::Range;

use topology::DirectoryRecipient;

use crate::document::{Document, FileProblem, FileProblems};
use crate::kind::Kind;
use crate::node::Position;
use crate::secrets::Secrets;

/// Octets of a file from which its recipients are read in pieces. Below, everything that is wrong is told at once.
pub const PIECES_FROM_OCTETS: usize = 256 * 1024;
/// About so many octets are a piece.
pub const PIECE_OCTETS: usize = 128 * 1024;

/// A file in pieces.
#[derive(Debug)]
pub struct Pieces {
    text: String,
    section: Range<usize>,
    /// Octets of each piece, and the lines before it.
    pieces: Vec<(Range<usize>, u64)>,
}

impl Pieces {
    /// Divides `text` into pieces of about `octets`, if its recipients can be; else it comes back as it was.
    ///
    /// # Errors
    /// The text, whose recipients are not a block list.
    pub fn divide(text: String, octets: usize) -> Result<Self, String> {
        match divided(&text, octets) {
            Some((section, pieces)) => Ok(Self { text, section, pieces }),
            None => Err(text),
        }
    }

    /// Everything but recipients: an organization file with empty lines in their place.
    #[must_use]
    pub fn configuration(&self) -> String {
        let lines = self.text[self.section.clone()].matches('\n').count();
        let (before, after) = (&self.text[..self.section.start], &self.text[self.section.end..]);
        [before, &"\n".repeat(lines), after].concat()
    }

    /// The pieces, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Piece<'_>> {
        self.pieces.iter().map(|(octets, line)| Piece { text: &self.text[octets.clone()], line: *line })
    }
}

/// Some recipients of a file.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    text: &'a str,
    /// Lines of the file before it.
    line: u64,
}

impl Piece<'_> {
    /// The recipients, every value checked by itself; and the document that says where each stands.
    ///
    /// # Errors
    /// What is not YAML, and every unknown property, missing property and wrong value, at its place in the file.
    pub fn read(&self, secrets: &dyn Secrets) -> Result<(Vec<DirectoryRecipient>, Placed), FileProblems> {
        let shift = |problems: FileProblems| Placed::shifted(self.line, problems);
        let document = Document::parse(&format!("{}:\n{}", Kind::Recipient.section(), self.text)).map_err(shift)?;
        let recipients = document.to_recipients(secrets).map_err(shift)?;
        Ok((recipients, Placed { document, line: self.line }))
    }
}

/// Where the recipients of a piece stand.
pub struct Placed {
    document: Document,
    line: u64,
}

impl Placed {
    /// Adds positions to what a linter found.
    #[must_use]
    pub fn locate(&self, problems: &topology::Problems) -> FileProblems {
        Self::shifted(self.line, self.document.locate(problems))
    }

    fn shifted(line: u64, problems: FileProblems) -> FileProblems {
        // The key of the section was put before it.
        let shift = |at: Position| Position { line: (at.line + line).saturating_sub(1), column: at.column };
        let moved = problems.0.into_iter().map(|one| FileProblem { at: one.at.map(shift), ..one });
        FileProblems(moved.collect())
    }
}

type Divided = (Range<usize>, Vec<(Range<usize>, u64)>);

/// Where the section is, with its key, and the pieces of its list.
fn divided(text: &str, octets: usize) -> Option<Divided> {
    let key = format!("{}:", Kind::Recipient.section());
    let (mut at, mut line) = (0, 0_u64);
    let mut section: Option<usize> = None;
    let mut indent: Option<usize> = None;
    let mut pieces: Vec<(Range<usize>, u64)> = Vec::new();
    let mut end = text.len();
    for written in text.split_inclusive('\n') {
        let starts = written.trim_start_matches(' ');
        let indented = written.len() - starts.len();
        let is_item = starts.starts_with("- ");
        match (section, indent) {
            (None, _) if written.strip_prefix(&key).is_some_and(is_blank) => section = Some(at),
            (None, _) => {}
            // Between the key and the first item there may be comments.
            (Some(_), None) if is_blank(starts) => {}
            (Some(_), None) if is_item => {
                indent = Some(indented);
                pieces.push((at..at, line));
            }
            (Some(_), None) => return None,
            (Some(_), Some(_)) if indented == 0 && !is_item && !is_blank(starts) => {
                end = at;
                break;
            }
            (Some(_), Some(indent)) => {
                let (piece, _) = pieces.last_mut().expect("the first item began one");
                piece.end = at;
                if is_item && indented == indent && piece.len() >= octets {
                    pieces.push((at..at, line));
                }
            }
        }
        at += written.len();
        line += 1;
    }
    pieces.last_mut()?.0.end = end;
    // A second section of that name is a mistake that a document tells.
    let again = text[end..].split_inclusive('\n').any(|written| written.starts_with(&key));
    (!again).then_some((section?..end, pieces))
}

/// Nothing, or a comment.
fn is_blank(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::WithoutSecrets;

    const BEFORE: &str = "sites: [{name: A}]\n# people\nrecipients: # all\n\n";
    const AFTER: &str = "acceptedDomains: [{name: C, domainName: c.example, default: true}]\n";

    fn items(count: usize, indent: &str) -> String {
        let item = |number| {
            format!(
                "{indent}- name: r{number}\n{indent}  address: r{number}@c.example\n# note\n{indent}  members: []\n"
            )
        };
        (0..count).map(item).collect()
    }

    fn names(pieces: &Pieces) -> Vec<String> {
        let recipients = pieces.iter().flat_map(|piece| piece.read(&WithoutSecrets).unwrap().0);
        recipients.map(|recipient| recipient.name.to_string()).collect()
    }

    #[test]
    fn pieces_hold_what_the_file_holds_whatever_their_size() {
        for indent in ["", "  "] {
            let text = format!("{BEFORE}{}{AFTER}", items(50, indent));
            for octets in [1, 100, 1_000, 1_000_000] {
                let pieces = Pieces::divide(text.clone(), octets).unwrap();
                let wanted: Vec<_> = (0..50).map(|number| format!("r{number}")).collect();
                assert_eq!(names(&pieces), wanted, "{octets}");
                let configuration = pieces.configuration();
                assert_eq!(configuration.lines().count(), text.lines().count());
                assert!(configuration.ends_with(AFTER) && configuration.starts_with("sites:"), "{configuration}");
                assert!(octets > 1 || pieces.iter().count() == 50);
            }
        }
    }

    #[test]
    fn what_is_wrong_stands_where_the_file_has_it() {
        let text = format!("{BEFORE}{}", items(40, "  ")).replace("address: r33@", "adress: r33@");
        let line = u64::try_from(text.lines().position(|line| line.contains("adress")).unwrap() + 1).unwrap();
        let pieces = Pieces::divide(text, 200).unwrap();
        let wrong = pieces.iter().find_map(|piece| piece.read(&WithoutSecrets).err()).unwrap();
        assert!(wrong.to_string().contains(&format!("\n{line}:5: error: recipients[\"r33\"].adress")), "{wrong}");
        let piece = pieces.iter().nth(1).unwrap();
        let (recipients, placed) = piece.read(&WithoutSecrets).unwrap();
        let place = format!("recipients[\"{}\"].members", recipients[0].name);
        let problem = topology::Problem { weight: topology::Weight::Error, place, text: "x".to_owned() };
        let located = placed.locate(&topology::Problems(vec![problem]));
        assert_eq!(located.0[0].at.unwrap().line, piece.line + 4, "{located}");
    }

    #[test]
    fn what_is_no_block_list_is_left_to_a_document() {
        for section in ["recipients: [{name: a, address: a@c.example, members: []}]\n", "recipients: &x\n- a\n", ""] {
            assert!(Pieces::divide(format!("{AFTER}{section}"), 1).is_err(), "{section}");
        }
        let twice = format!("{BEFORE}{}{AFTER}{BEFORE}{}", items(2, ""), items(2, ""));
        assert_eq!(Pieces::divide(twice.clone(), 1).unwrap_err(), twice);
    }
}
