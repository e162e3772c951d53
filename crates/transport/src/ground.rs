//! The words that all rooms share: what a next hop answers, how recipients end, what a message waits for, what was seen of it
//! on its way in, what is submitted, whose sender was told a moment ago, what is known and not written down, and by which
//! decision a message goes where it goes; and which delivery agents are there. Nothing here does anything.

pub(crate) mod agents;
pub(crate) mod answer;
pub(crate) mod decision;
pub(crate) mod fate;
pub(crate) mod parcel;
pub(crate) mod seen;
pub(crate) mod submitted;
pub(crate) mod told;
pub(crate) mod unrecorded;
pub(crate) mod wait;
