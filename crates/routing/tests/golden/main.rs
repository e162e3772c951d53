//! Routing as a whole: worked examples, rules by id, explanations word for word, and properties against slow models.
#![cfg(test)]

mod equal;
mod examples;
mod explanations;
mod log;
mod metamorphic;
mod model;
mod next_hops;
mod properties;
mod random;
mod rules;
mod world;
