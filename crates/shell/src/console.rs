//! What the shell asks of the world around it: somebody who reads and answers, files, the time; and the commands that are not
//! its own. The machine knows no other way out.

use std::rc::Rc;

use time::OffsetDateTime;

use crate::binder::Bound;
use crate::failure::Failure;
use crate::signature::Signature;
use crate::tree::Extent;
use crate::value::Value;

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What commands return, as it is shown; whole lines.
    Output,
    /// Failures.
    Error,
    /// Warnings.
    Warning,
    /// What `-Verbose` adds.
    Verbose,
    /// What is for the reader alone: `Write-Host`, `What if:`. As it stands, with its own line ends.
    Host,
}

/// The world around the machine.
pub trait Console {
    /// The time of now.
    fn now(&mut self) -> OffsetDateTime;
    /// Shows a text.
    fn write(&mut self, stream: Stream, text: &str);
    /// Asks, without echo for a secret. Nothing when there is nobody to ask.
    fn ask(&mut self, prompt: &str, secret: bool) -> Option<String>;
    /// Columns of what is shown.
    fn width(&self) -> usize;
    /// Reads a file.
    ///
    /// # Errors
    /// Why not.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;
    /// Writes a file, or adds to it.
    ///
    /// # Errors
    /// Why not.
    fn save(&mut self, path: &str, octets: &[u8], append: bool) -> Result<(), String>;
    /// Writes a file that nobody else may read. One that is there stays, unless `replace`.
    ///
    /// # Errors
    /// Why not.
    fn keep(&mut self, path: &str, octets: &[u8], replace: bool) -> Result<(), String>;
    /// An environment variable.
    fn environment(&self, name: &str) -> Option<String>;
    /// A new GUID.
    fn guid(&mut self) -> String;
    /// Whether somebody wants everything to stop (Ctrl+C).
    fn interrupted(&mut self) -> bool;
}

/// What a command is given.
pub struct Call<'a> {
    /// The command.
    pub signature: &'a Signature,
    /// Its parameters.
    pub bound: &'a Bound,
    /// Its place.
    pub place: Extent,
}

/// What a command returns, made as it is taken.
pub type Objects = Box<dyn Iterator<Item = Value>>;

/// The commands that are not the shell's own.
pub trait Commands {
    /// All of them.
    fn signatures(&self) -> Vec<Rc<Signature>>;
    /// Runs one.
    ///
    /// # Errors
    /// What went wrong; nothing was changed then, unless the failure says so.
    fn invoke(&mut self, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure>;
    /// The columns of the table that is shown for objects of a type when nobody says which: label and property.
    fn view(&self, of: &str) -> Vec<(&'static str, &'static str)>;
    /// Values that a parameter may take, for completion: names of objects.
    fn candidates(&mut self, command: &str, parameter: &str) -> Vec<String>;
}

/// What was answered to everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToAll {
    /// Nothing yet.
    #[default]
    Ask,
    /// Yes to all.
    Yes,
    /// No to all.
    No,
}

/// How a command speaks with whoever runs it.
pub struct Session<'a> {
    console: &'a mut dyn Console,
    what_if: bool,
    confirm: Option<bool>,
    asks: bool,
    to_all: &'a mut ToAll,
    quiet: bool,
}

impl<'a> Session<'a> {
    /// A session for one call.
    pub fn new(
        console: &'a mut dyn Console,
        what_if: bool,
        confirm: Option<bool>,
        asks: bool,
        quiet: bool,
        to_all: &'a mut ToAll,
    ) -> Self {
        Self { console, what_if, confirm, asks, to_all, quiet }
    }

    /// Whether a change shall be made: `-WhatIf` says what would be, and no; a question may be asked before (CM-60…CM-63).
    ///
    /// # Errors
    /// A question that nobody can answer: nothing is changed (CM-65).
    pub fn should(&mut self, description: &str) -> Result<bool, Failure> {
        if self.what_if {
            self.console.write(Stream::Host, &format!("What if: {description}\n"));
            return Ok(false);
        }
        if !self.confirm.unwrap_or(self.asks) || *self.to_all == ToAll::Yes {
            return Ok(true);
        }
        if *self.to_all == ToAll::No {
            return Ok(false);
        }
        let prompt = format!(
            "\nConfirm\nAre you sure you want to perform this action?\n{description}\n[Y] Yes  [A] Yes to All  [N] No  [L] No to All  \
             [S] Suspend  [?] Help (default is \"Y\"): "
        );
        loop {
            let Some(answer) = self.console.ask(&prompt, false) else {
                let message = format!("Nothing was changed, because there is nobody to ask. {description}");
                return Err(Failure::new("OperationStopped", "ConfirmationRequired", message)
                    .by("CM-65")
                    .advise("add -Confirm:$false"));
            };
            match answer.trim().to_ascii_lowercase().as_str() {
                "" | "y" | "yes" => return Ok(true),
                "a" => {
                    *self.to_all = ToAll::Yes;
                    return Ok(true);
                }
                "n" | "no" => return Ok(false),
                "l" => {
                    *self.to_all = ToAll::No;
                    return Ok(false);
                }
                _ => self.console.write(
                    Stream::Host,
                    "Y - this one; A - this one and all that follow; N - not this one; L - neither this one nor any that follows.\n",
                ),
            }
        }
    }

    /// Asks a question that is no confirmation.
    pub fn ask(&mut self, prompt: &str, secret: bool) -> Option<String> {
        self.console.ask(prompt, secret)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Why not.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.console.read(path)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// Why not.
    pub fn save(&mut self, path: &str, octets: &[u8]) -> Result<(), String> {
        self.console.save(path, octets, false)
    }

    /// Writes a file with a secret: nobody else may read it, and one that is there stays unless `replace`.
    ///
    /// # Errors
    /// Why not.
    pub fn keep(&mut self, path: &str, octets: &[u8], replace: bool) -> Result<(), String> {
        self.console.keep(path, octets, replace)
    }

    /// What this call does is no reason to ask: only `-Confirm` is.
    pub fn need_not_ask(&mut self) {
        self.asks = false;
    }

    /// Warns.
    pub fn warn(&mut self, text: &str) {
        if !self.quiet {
            self.console.write(Stream::Warning, text);
        }
    }

    /// The time of now.
    pub fn now(&mut self) -> OffsetDateTime {
        self.console.now()
    }
}
