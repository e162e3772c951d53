//! The service as a whole.

#[cfg(test)]
mod service;
