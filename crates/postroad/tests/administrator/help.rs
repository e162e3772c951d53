//! Help teaches by example, and a reader that has enough is no failure.

use std::process::Stdio;

use crate::support::{Desk, command};

#[test]
fn every_help_text_has_an_example_of_its_command() {
    let desk = Desk::new();
    for name in [
        "admin-centre",
        "explain",
        "test",
        "topology",
        "apply",
        "export",
        "generate",
        "revisions",
        "health",
        "servers",
        "queue",
        "trace",
        "cert",
        "cert init",
        "cert issue",
        "cert renew",
        "cert authority",
        "cert etcd",
    ] {
        let help = desk.done(&format!("{name} --help"));
        assert!(help.contains("Example") && help.contains(&format!("\n  postroad {name}")), "{name}: {help}");
        // As wide as the program's texts are wrapped when there is no terminal: examples can be copied.
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{name}: {help}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let desk = Desk::new();
    let mut child = command(&desk.path(""))
        .args(["completion", "bash"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
