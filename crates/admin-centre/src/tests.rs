//! The centre asked as a browser asks it, over an organization in memory: who gets in, what is refused, what a page says.

mod brought;
mod changes;
mod door;
mod frame;
mod hostile;
mod live;
mod perimeter;
mod sizes;
mod wire;
pub(crate) mod world;
