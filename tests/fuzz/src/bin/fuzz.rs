//! `fuzz TARGET [SECONDS] [SEED]`: gives a parser inputs until the time is over or a promise is broken; without a name, lists
//! them. An input that broke one is kept in the corpus, where every run of the tests tries it again.

#![expect(clippy::unwrap_used, reason = "a tool of the tests")]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::{Mutator, TARGETS, corpus, keep, target};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(target) = arguments.first().and_then(|name| target(name)) else {
        for target in &TARGETS {
            println!("{:<18} bytes of {}", target.name, target.foreign);
        }
        return if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let number = |at: usize, default: u64| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (length, seed) = (Duration::from_secs(number(1, 60)), number(2, u64::from(std::process::id())));
    let (corpus, mut mutator, begun) = (corpus(target.name), Mutator::new(seed), Instant::now());
    let (mut inputs, mut slowest) = (0_u64, Duration::ZERO);
    while begun.elapsed() < length {
        let input = mutator.input(&corpus);
        let started = Instant::now();
        if catch_unwind(|| (target.run)(&input)).is_err() {
            let kept = keep(target.name, &input).unwrap();
            eprintln!("seed {seed}, input {inputs}: kept as {}", kept.display());
            return ExitCode::FAILURE;
        }
        slowest = slowest.max(started.elapsed());
        inputs += 1;
    }
    println!("{}: {inputs} inputs in {} s, the slowest took {slowest:?}; seed {seed}", target.name, length.as_secs());
    ExitCode::SUCCESS
}
