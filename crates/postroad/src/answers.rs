//! Answers of `inquiry` as this program prints them: in words for people, as lines of JSON for programs.

mod change;
mod gateways;
mod json;
mod legend;
mod palette;
mod phrase;
mod report;

pub(crate) use change::{reason, short};
pub(crate) use gateways::Gateways;
pub(crate) use json::{Line, line};
pub(crate) use legend::legend;
pub(crate) use palette::{Palette, wrapped};
pub(crate) use report::{Candidates, text};
