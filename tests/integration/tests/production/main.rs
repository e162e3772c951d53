//! `docs/production.md` as somebody follows it who has nothing else: every command that stands there is typed, on the host that
//! the page names, in its order. Hosts are namespaces of this machine with an `/etc`, a `/root`, a `/var/lib`, an address and a
//! name of their own; systemd and ssh are stood in for, everything else is real. `docs/debian.md` the same way, in containers with
//! systemd (`debian`).
//!
//! Needs root, as making namespaces does; without it the test says that it is left out.

#![expect(clippy::unwrap_used, reason = "a test")]

mod debian;
mod hosts;

use hosts::{HOSTS, Hosts};

const PAGE: &str = include_str!("../../../../docs/production.md");

/// Commands of one block, and on which hosts they are typed.
struct Block<'a> {
    hosts: Vec<&'a str>,
    text: &'a str,
    line: usize,
}

/// Those of a page, in its order.
fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    for (at, _) in page.match_indices("```sh ") {
        let (first, rest) = page[at + "```sh ".len()..].split_once('\n').unwrap();
        let text = rest.split("```").next().unwrap();
        let line = page[..at].matches('\n').count() + 2;
        blocks.push(Block { hosts: first.split_whitespace().collect(), text, line });
    }
    blocks
}

#[test]
fn every_command_is_for_a_host_and_every_shell_block_is_run() {
    let blocks = blocks(PAGE);
    assert!(blocks.len() > 20, "the page has lost its commands");
    for Block { hosts, line, .. } in &blocks {
        assert!(hosts.iter().all(|host| HOSTS.contains(host)), "line {line}: {hosts:?}");
    }
    assert_eq!(PAGE.matches("```").count(), blocks.len() * 2, "a block is for no host, and nobody runs it");
}

#[test]
fn the_page_leads_from_nothing_to_running_and_through_the_days_after() {
    let Some(hosts) = Hosts::start() else {
        return eprintln!("left out: only root makes hosts");
    };
    for Block { hosts: on, text, line } in blocks(PAGE) {
        for host in on {
            hosts.type_in(host, line, text);
        }
    }
}
