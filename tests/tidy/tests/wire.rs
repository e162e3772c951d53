//! What was once said between versions means the same for ever: a field of the protocol keeps its number and its type, an RPC its name.
//! `wire.txt` has everything that was said; lines are added (`POSTROAD_REWRITE=1`) and never changed, so that servers of two versions
//! understand each other in both directions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidy::root;

/// Set to add what is new.
const REWRITE: &str = "POSTROAD_REWRITE";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of the protocol is there").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, found),
            false if path.extension().is_some_and(|end| end == "proto") => found.push(path),
            false => {}
        }
    }
}

/// `postroad.transfer.v1.Head: 3 uint64 size`, `….Transfer: rpc Offer(OfferRequest) returns (OfferReply)`, of one file.
fn said(text: &str) -> Vec<String> {
    let without_comments: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + " ").collect();
    let (mut names, mut found, mut statement): (Vec<String>, Vec<String>, String) =
        (Vec::new(), Vec::new(), String::new());
    let mut package = String::new();
    for character in without_comments.chars() {
        match character {
            '{' => {
                // `oneof` is no name on the wire: its fields are those of the message.
                let words: Vec<&str> = statement.split_whitespace().collect();
                names.push(match words.first() {
                    Some(&("message" | "enum" | "service")) => format!(".{}", words[1]),
                    Some(&"rpc") => {
                        found.push(format!("{package}{}: {}", names.concat(), words.join(" ")));
                        String::new()
                    }
                    _ => String::new(),
                });
                statement.clear();
            }
            '}' => {
                names.pop();
                statement.clear();
            }
            ';' => {
                let words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
                let place = format!("{package}{}", names.concat());
                match words.split_once(" = ") {
                    Some((field, number)) if !names.is_empty() && !words.starts_with("option") => {
                        let number = number.split(' ').next().unwrap_or_default();
                        found.push(format!("{place}: {number} {field}"));
                    }
                    _ if words.starts_with("rpc ") => found.push(format!("{place}: {words}")),
                    _ => package = words.strip_prefix("package ").map_or(package, str::to_owned),
                }
                statement.clear();
            }
            other => statement.push(other),
        }
    }
    found
}

#[test]
fn what_was_once_said_on_the_wire_means_the_same() {
    let mut protocols = Vec::new();
    files(&root().join("proto"), &mut protocols);
    let text = |path: &PathBuf| fs::read_to_string(path).expect("a protocol can be read");
    let now: BTreeSet<String> = protocols.iter().flat_map(|path| said(&text(path))).collect();
    assert!(now.len() > 200, "{} lines were read", now.len());
    let path = root().join("tests/tidy/wire.txt");
    let before: BTreeSet<String> = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
    let gone: Vec<&String> = before.difference(&now).collect();
    assert!(gone.is_empty(), "a server of another version still says these: {gone:#?}");
    let new: Vec<&String> = now.difference(&before).collect();
    if std::env::var_os(REWRITE).is_some() {
        let all: Vec<&str> = before.union(&now).map(String::as_str).collect();
        fs::write(&path, all.join("\n") + "\n").expect("wire.txt can be written");
    } else {
        assert!(new.is_empty(), "run the test with {REWRITE}=1 to add what is new to tests/tidy/wire.txt: {new:#?}");
    }
}

#[test]
fn what_a_protocol_says_is_read() {
    let text = "syntax = \"proto3\";\npackage a.v1;\n// note = 1;\nmessage One { string name = 1; oneof of { Two two = 2; bytes raw = 3 [deprecated = true]; }\n\
                enum Kind { UNKNOWN = 0; }\n reserved 9; }\nservice S { rpc Ask(One) returns (stream Two); }\n";
    assert_eq!(
        said(text),
        [
            "a.v1.One: 1 string name",
            "a.v1.One: 2 Two two",
            "a.v1.One: 3 bytes raw",
            "a.v1.One.Kind: 0 UNKNOWN",
            "a.v1.S: rpc Ask(One) returns (stream Two)"
        ]
    );
}
