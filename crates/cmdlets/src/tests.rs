//! The documented commands over an organization in memory.

mod audit;
mod certificates;
mod commands;
mod corpus;
mod edge;
mod pages;
mod permissions;
mod queues;
mod recipes;
mod servers;
mod session;
mod world;
