//! The service as a whole.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod ages;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod entrance;
#[cfg(test)]
mod external;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod files;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod local;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod pressure;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod sink;
#[cfg(test)]
mod support;
#[cfg(test)]
mod switchover;
#[cfg(test)]
mod view;
