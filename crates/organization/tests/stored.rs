//! What a version stored is read by every later one, and means the same: one fixture for each version of the stored form, written by that
//! version and kept.

use std::path::PathBuf;

use organization::{STORED_VERSION, decode_whole, encode};
use serde_json::Value;

/// Set to write a fixture that is not there.
const REWRITE: &str = "POSTROAD_REWRITE";

fn fixture(version: u64) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/stored-v{version}.jsonl"))
}

/// Whether everything that `one` says `other` says as well.
fn says_as_much(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.iter().all(|(key, value)| other.get(key).is_some_and(|there| says_as_much(value, there)))
        }
        _ => one == other,
    }
}

#[test]
fn what_earlier_versions_stored_is_read_and_means_the_same() {
    for version in 1..=STORED_VERSION {
        let text = std::fs::read_to_string(fixture(version)).unwrap();
        let mut kinds = std::collections::BTreeSet::new();
        for line in text.lines() {
            let (object, unknown) = decode_whole(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(unknown.is_empty(), "{:?} are not known any more: {line}", unknown.names());
            let (before, now): (Value, Value) =
                (serde_json::from_str(line).unwrap(), serde_json::from_slice(&encode(&object)).unwrap());
            // A later version says more, and nothing else.
            assert!(says_as_much(&before["object"], &now["object"]), "{before}\n{now}");
            kinds.insert(object.kind());
        }
        assert_eq!(kinds.len(), organization::Kind::ALL.len(), "the fixture of version {version} has {kinds:?}");
    }
}

/// The fixture of the present version is written once, of an object of each kind, and never again.
#[test]
fn the_present_version_has_its_fixture() {
    let path = fixture(STORED_VERSION);
    if path.exists() {
        return;
    }
    assert!(std::env::var_os(REWRITE).is_some(), "run the test with {REWRITE}=1 to write {}", path.display());
    let text = include_str!("fixtures/all-kinds.yaml");
    let contents = organization::load(text, envelope::Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    let objects = organization::objects(contents.organization.draft(), &contents.recipients);
    let lines: Vec<String> = objects.iter().map(|object| String::from_utf8(encode(object)).unwrap()).collect();
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}
