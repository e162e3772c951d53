//! The organization file (YAML) and the stored form of directory objects.
//!
//! Both are made from the same tables of documented property names ([`Kind`] by kind), and both are apart from the types
//! of `topology`, which know no format. What is written here are texts and trees: no file is opened, no network asked, no
//! secret sealed (whoever can do that hands in [`Secrets`]).
//!
//! | for | use |
//! |---|---|
//! | `postroad explain --organization FILE` | [`load`] |
//! | `postroad apply` | [`Document::parse`], [`Document::to_draft`], [`objects`], [`plan`](plan()) |
//! | the same with very many recipients | [`Pieces`], [`recipients::Linter`] |
//! | `postroad export` | [`Document::from_draft`], [`Document::to_yaml`] |
//! | documents, parameters, forms | [`schema`] |
//! | an organization that begins | [`with_text_messaging`], [`made_at_the_beginning`] |
//! | objects as their properties, one by one | [`properties_of`], [`object_of`] |
//! | `directory` | [`encode`], [`decode`], [`assemble`], [`recipients::lint`] |
//!
//! An object without a `guid` gets one that is derived from its kind and name; see [`Kind::derived_guid`].

mod beginning;
mod document;
mod forms;
mod keys;
mod kind;
mod literal;
mod node;
mod object;
mod pieces;
pub mod plan;
mod property;
pub mod recipients;
pub mod schema;
mod secrets;
mod stored;
#[cfg(test)]
mod tests;
mod written;
mod yaml;

pub use beginning::{made_at_the_beginning, with_text_messaging};
pub use document::{Contents, Document, FileProblem, FileProblems, load, text_of};
pub use keys::{Shape, unknown_keys};
pub use kind::Kind;
pub use node::Position;
pub use object::{Object, assemble, objects};
pub use pieces::{PIECE_OCTETS, PIECES_FROM_OCTETS, Piece, Pieces, Placed};
pub use plan::{Change, Plan, PropertyChange, plan};
pub use secrets::{PasswordSource, Secrets, WithoutSecrets};
pub use stored::{STORED_OCTETS_MAX, STORED_VERSION, StoredError, Unknown, decode, decode_whole, encode, encode_with};
pub use written::{Properties, Written, Wrong, object_of, properties_of};
pub use yaml::{FILE_DEPTH_MAX, FILE_NODES_MAX, FILE_OCTETS_MAX};
