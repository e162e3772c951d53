//! `docs/production.md` as somebody follows it who has nothing else: every command that stands there is typed, on the host that
//! the page names, in its order. Hosts are namespaces of this machine with an `/etc`, a `/root`, a `/var/lib`, an address and a
//! name of their own; systemd and ssh are stood in for, everything else is real. `docs/edge.md` the same way; `docs/debian.md` the same way, in containers with
//! systemd (`debian`).
//!
//! Needs root, as making namespaces does; without it the test says that it is left out.

#![expect(clippy::unwrap_used, reason = "a test")]

mod debian;
mod hosts;

use hosts::Hosts;

const PAGE: &str = include_str!("../../../../docs/production.md");
const HOSTS: &[&str] = &["desk", "berlin1", "berlin2", "oslo1"];
const EDGE_PAGE: &str = include_str!("../../../../docs/edge.md");
const EDGE_HOSTS: &[&str] = &["desk", "berlin1", "edge1"];

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

fn every_block_is_for_a_host(page: &str, known: &[&str], at_least: usize) {
    let blocks = blocks(page);
    assert!(blocks.len() > at_least, "the page has lost its commands");
    for Block { hosts, line, .. } in &blocks {
        assert!(hosts.iter().all(|host| known.contains(host)), "line {line}: {hosts:?}");
    }
    let drawings = page.matches("```text").count();
    assert_eq!(
        page.matches("```").count(),
        (blocks.len() + drawings) * 2,
        "a block is for no host, and nobody runs it"
    );
}

fn follow(page: &'static str, of: &'static str, names: &'static [&'static str]) {
    let Some(hosts) = Hosts::start(of, names) else {
        return eprintln!("left out: only root makes hosts");
    };
    for Block { hosts: on, text, line } in blocks(page) {
        // What is for several is typed on all of them at once, as by somebody who has them side by side.
        std::thread::scope(|scope| {
            for host in on {
                let hosts = &hosts;
                scope.spawn(move || hosts.type_in(host, line, text));
            }
        });
    }
}

#[test]
fn every_command_is_for_a_host_and_every_shell_block_is_run() {
    every_block_is_for_a_host(PAGE, HOSTS, 20);
    every_block_is_for_a_host(EDGE_PAGE, EDGE_HOSTS, 12);
}

#[test]
fn the_page_leads_from_nothing_to_running_and_through_the_days_after() {
    follow(PAGE, "docs/production.md", HOSTS);
}

#[test]
fn an_edge_server_is_subscribed_sends_takes_mail_and_leaves_as_its_page_says() {
    // EN-45, EN-46, EN-49, EN-50: the page ends with the recipe without EdgeSync, and mail goes both ways.
    follow(EDGE_PAGE, "docs/edge.md", EDGE_HOSTS);
}
