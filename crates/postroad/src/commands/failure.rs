//! How a command says that it failed: why, and what the rules say that the reason names.

use std::process::ExitCode;

use super::output::{colours_of_errors, harmless, width};
use crate::answers::{Palette, legend};

/// Tells why a command failed, and gives its exit status.
pub(crate) fn failed(error: &anyhow::Error, status: u8) -> ExitCode {
    let palette = Palette { colours: colours_of_errors(), width: width() };
    let (red, plain) = if palette.colours { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let text = format!("{error:#}");
    eprintln!("{red}error:{plain} {}", harmless(&text));
    eprint!("{}", legend(&text, palette));
    ExitCode::from(status)
}
