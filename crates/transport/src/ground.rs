//! The words that all rooms share: what a next hop answers, how recipients end, what a message waits for, what was seen of it
//! on its way in, what is submitted, and by which decision it goes where it goes. Nothing here does anything.

pub(crate) mod answer;
pub(crate) mod decision;
pub(crate) mod fate;
pub(crate) mod parcel;
pub(crate) mod seen;
pub(crate) mod submitted;
pub(crate) mod wait;
