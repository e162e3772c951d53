//! Programs of others that run for a test: started, and waited for until they say that they answer.

use std::io::{BufRead, BufReader};
use std::process::Child;

/// Waits until a process says `ready` on its standard error, which is piped. Nothing when it ends before; its last words are printed.
pub(crate) fn answering(mut child: Child, name: &str, ready: &str) -> Option<Child> {
    let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    let mut said = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains(ready) {
            // The pipe must not fill up.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(child);
        }
        said.push(line);
    }
    child.wait().expect("our own child can be waited for");
    said.iter().rev().take(5).rev().for_each(|line| eprintln!("{name}: {line}"));
    None
}
