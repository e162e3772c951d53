//! The language as it is documented: what is typed, and what comes out (SH-*). The connectors of the vectors are three plain
//! objects: the shell knows nothing of mail.

mod errors;
mod language;
mod vectors;
mod world;

pub(crate) use world::{run, run_with};
