//! The parser: recursive descent over the characters, one look ahead, never back; so its time is linear in the text. It
//! never panics, and what is nested deeper than [`DEPTH_MAX`] is an error.
//!
//! Its parts are methods on one [`Parser`]: statements here, then pipelines and commands, expressions, texts, blocks.

mod block;
mod command;
mod expression;
mod statement;
mod text;

pub use expression::comparison;

use crate::cursor::{Cursor, Reads, SyntaxError};
use crate::tree::ScriptBlock;

/// How deep a script may nest.
pub const DEPTH_MAX: usize = 100;
/// Octets of a script.
pub const SCRIPT_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// Reads a whole script before anything of it runs (SH-72).
///
/// # Errors
/// The first thing that is wrong, or what is still open at the end of the text ([`SyntaxError::incomplete`]).
pub fn parse(text: &str) -> Result<ScriptBlock, SyntaxError> {
    let mut parser = Parser { cursor: Cursor::new(text), depth: 0 };
    if text.len() > SCRIPT_OCTETS_MAX {
        return parser.cursor.error(format!("The script has more than {SCRIPT_OCTETS_MAX} octets."), 0);
    }
    parser.body(None)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    depth: usize,
}

impl Parser<'_> {
    /// Reads something that may hold more of its sort.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Reads<T>) -> Reads<T> {
        if self.depth == DEPTH_MAX {
            let here = self.cursor.at();
            return self.cursor.error(format!("The script nests deeper than {DEPTH_MAX}."), here);
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Takes what must come next.
    fn expect(&mut self, wanted: &str, message: &str) -> Reads<()> {
        if self.cursor.take(wanted) { Ok(()) } else { self.cursor.missing(message) }
    }

    /// Blanks and line ends.
    fn lines(&mut self) -> Reads<()> {
        self.cursor.lines(false)
    }
}
