//! The part of the program `postroad` that others can run too: a process of its services. Its commands are in the program.

pub mod service;
