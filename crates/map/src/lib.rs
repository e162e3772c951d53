//! The organization as a picture: sites as boxes, site links as lines with their costs, and the way of one message.
//!
//! ```text
//!   Organization ──Survey::of──▶ Survey ─┬─▶ fold ─▶ draw ──▶ SVG
//!   Inquiry, Subject ──follow──▶ Journey ┘    │         layout: where boxes go; shapes: how large they are; labels: costs
//!                                             └ regions, of which those that are shut are one box each
//! ```
//!
//! Pure: the same organization is always drawn the same way, by whoever shows it. Tables and JSON are the business of
//! those who print; here are values, and the drawing with what is written on it.

mod journey;
mod labels;
mod layout;
mod marks;
mod regions;
mod shapes;
mod survey;
mod svg;
#[cfg(test)]
mod tests;

pub use journey::{Arrival, ArrivalFate, Journey, JourneyError, LegView, STEPS_MAX, StepView};
pub use marks::{Marks, ServerMark};
pub use regions::{Folded, Region, SITES_LEGIBLE, fold, regions};
pub use shapes::{headline, link_cost, plain, server_text, space};
pub use survey::{ConnectorView, FoldView, LinkView, ServerView, SiteView, Survey};
pub use svg::{draw, draw_marked};
