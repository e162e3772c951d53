//! The language of the management shell: a clean subset of what administrators of Exchange type, read and run here. The crate
//! knows nothing of mail and nothing of this project; whoever embeds it hands in a [`console`] and [`Commands`].
//!
//! ```text
//!   text ──parse──▶ tree ──Machine──▶ values ──display──▶ text
//!                             │ ▲
//!                  Call, bound│ │Objects, one by one
//!                             ▼ │
//!                          Commands (cmdlets)        Console: ask, write, files, time
//! ```
//!
//! | module | what |
//! |---|---|
//! | `cursor`, [`parser`], [`tree`] | characters, two modes of reading, the tree |
//! | [`value`], `literal`, `cast`, `operator`, `member`, `layout`, `wildcard` | values and what can be done with them |
//! | [`signature`], [`binder`] | what commands take, and how words become that |
//! | [`machine`] | statements, pipelines that pass objects on one by one, functions, the shell's own commands |
//! | [`display`], [`failure`] | how objects and failures look |
//! | [`completion`], [`highlight`] | what a line editor asks |
//!
//! Everything is bounded: nesting, steps, texts, regular expressions (which are linear in time).
//!
//! # Why no parser of others
//!
//! `tree-sitter-powershell` 0.26 was tried on 355 documented commands: 68 do not parse, 65 of them for comma lists without quotes
//! such as `Format-List Name,Usage`, the commonest thing that is typed. It gives error nodes without a cause where a message with
//! its place is wanted, nothing for text that is not finished, and its parser is C behind `unsafe`. The two modes of reading are a
//! matter of two functions when the parser is written by hand.

pub mod binder;
mod cast;
pub mod completion;
pub mod console;
mod cursor;
pub mod display;
pub mod failure;
pub mod highlight;
pub mod json;
mod layout;
pub mod literal;
pub mod machine;
mod member;
mod operator;
pub mod parser;
pub mod signature;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod value;
mod wildcard;
mod words;

pub use binder::Bound;
pub use cast::{CREDENTIAL, credential};
pub use console::{Call, Commands, Console, Objects, Session, Stream};
pub use cursor::SyntaxError;
pub use failure::Failure;
pub use machine::{Ended, Machine};
pub use parser::parse;
pub use signature::{Parameter, Signature, Takes};
pub use value::{Object, Secret, Table, Value};
pub use wildcard::like;
