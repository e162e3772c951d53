//! Handing over to Transports that do as the test says.

#[cfg(test)]
mod candidates;
