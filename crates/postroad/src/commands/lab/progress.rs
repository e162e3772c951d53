//! How far a lab is that starts: one line that changes on a terminal; elsewhere a line for each stage and each tenth of the processes.

use std::io::{IsTerminal, Write as _};
use std::sync::Mutex;
use std::time::Instant;

use lab::world::{Onlooker, Stage};

/// Processes up to which nothing is said between the first and the last: that is a moment.
const FEW: usize = 12;
/// Steps that are told elsewhere than on a terminal.
const STEPS: usize = 10;
/// Takes what was written in this line back.
const ANEW: &str = "\r\x1b[K";

/// Tells on standard error.
pub(super) struct Progress {
    terminal: bool,
    began: Instant,
    last: Mutex<String>,
}

impl Progress {
    /// What a world is to be given.
    pub(super) fn told() -> Onlooker {
        let progress =
            Self { terminal: std::io::stderr().is_terminal(), began: Instant::now(), last: Mutex::default() };
        Onlooker::to(move |stage| progress.tell(stage))
    }

    fn tell(&self, stage: Stage) {
        let Some(text) = self.text(stage) else { return };
        let Ok(mut last) = self.last.lock() else { return };
        if *last == text {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        let _told = match stage {
            _ if !self.terminal => writeln!(stderr, "{text}"),
            Stage::Processes { ready, all } if ready == all => writeln!(stderr, "{ANEW}{text}"),
            _ => write!(stderr, "{ANEW}{text} …"),
        };
        let _told = stderr.flush();
        *last = text;
    }

    fn text(&self, stage: Stage) -> Option<String> {
        let step = |done: usize, all: usize| {
            let told = self.terminal || done == all || (all > FEW && done.is_multiple_of(all.div_ceil(STEPS)));
            told.then_some(())
        };
        Some(match stage {
            Stage::Directory => "bringing the configuration into the directory".to_owned(),
            Stage::Servers { done, all } => {
                step(done, all)?;
                format!("making certificates: {done} of {all} servers")
            }
            Stage::Processes { ready, all } if ready == all => {
                format!("ready: {} in {:.1} s", processes(all), self.began.elapsed().as_secs_f64())
            }
            Stage::Processes { ready, all } => {
                step(ready, all)?;
                format!("waiting for {}: {ready} ready", processes(all))
            }
        })
    }
}

fn processes(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}
