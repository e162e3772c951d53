//! The minimal image: the same program makes the same one, and there is nothing in it that a service does not need.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration::program;
use serde_json::Value;

/// Of an image that is made for this test.
const TAG: &str = "postroad-test:minimal";

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/docker").join(name))
}

/// Makes the image; its digest.
fn made(program: &Path, archive: &Path, key: &Path) -> String {
    let mut command = script("minimal.py");
    command.env("SIGN", key);
    command.args([program.as_os_str(), archive.as_os_str(), TAG.as_ref()]).env("SOURCE_DATE_EPOCH", "1790000000");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    eprint!("{text}");
    text.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned()
}

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().unwrap()
}

/// Whether a program is there and ends well.
fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// What is missing to make an image here.
fn missing() -> Option<&'static str> {
    const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    match () {
        () if !works("strip", &["--version"]) => Some("strip"),
        () if !works("git", &["-C", repository, "log", "-1"]) => Some("git, with the history of the repository"),
        () if !Path::new(AUTHORITIES).exists() => Some(AUTHORITIES),
        () => None,
    }
}

/// A private key and its other half.
fn key_pair(at: &Path) -> (PathBuf, PathBuf) {
    let (private, public) = (at.with_extension("key"), at.with_extension("pub"));
    for (arguments, to) in [
        ("genpkey -algorithm ed25519".to_owned(), &private),
        (format!("pkey -in {} -pubout", private.display()), &public),
    ] {
        let made = Command::new("openssl").args(arguments.split(' ')).arg("-out").arg(to).output().unwrap();
        assert!(made.status.success(), "{}", said(&made));
    }
    (private, public)
}

fn who_made_it_is_proved(archive: &Path, digest: &str, public: &Path, another: &Path) {
    let verify = |archive: &Path, key: &Path| script("verify.py").args([archive, key]).output().unwrap();
    let right = verify(archive, public);
    assert!(right.status.success() && said(&right).contains(digest), "{}", said(&right));
    let wrong = verify(archive, another);
    assert!(!wrong.status.success() && said(&wrong).contains("is not signed by"), "{}", said(&wrong));
    // The middle of it is the layer.
    let mut octets = std::fs::read(archive).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    let changed = archive.with_extension("changed");
    std::fs::write(&changed, octets).unwrap();
    let wrong = verify(&changed, public);
    assert!(!wrong.status.success() && said(&wrong).contains("the archive was changed"), "{}", said(&wrong));
}

#[test]
fn the_same_program_makes_the_same_image_with_nothing_in_it_but_the_program() {
    if let Some(missing) = missing() {
        eprintln!("left out: no image can be made without {missing}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let stripped = Command::new("strip").arg("-o").arg(at("postroad")).arg(program()).output().unwrap();
    assert!(stripped.status.success(), "{}", said(&stripped));
    let (own, another) = (key_pair(&at("own")), key_pair(&at("another")));
    let first = made(&at("postroad"), &at("first.tar"), &own.0);
    assert_eq!(made(&at("postroad"), &at("second.tar"), &another.0), first);
    // Digests are of contents, so that equal ones say it all; what is attached says of which image it is.
    let provenance: Value = serde_json::from_slice(&std::fs::read(at("first.provenance.json")).unwrap()).unwrap();
    assert_eq!(provenance["subject"][0]["digest"]["sha256"], first.trim_start_matches("sha256:"));
    who_made_it_is_proved(&at("first.tar"), &first, &own.1, &another.1);
    let parts: Value = serde_json::from_slice(&std::fs::read(at("first.cdx.json")).unwrap()).unwrap();
    let names: Vec<&str> =
        parts["components"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"rustls") && names.contains(&"libc6"), "{names:?}");

    if !works("docker", &["info"]) {
        eprintln!("left out: no Docker daemon answers, the image was not started");
        return;
    }
    let loaded = docker(&["load", "--quiet", "--input", &at("first.tar").display().to_string()]);
    assert!(loaded.status.success(), "{}", said(&loaded));
    let confined =
        ["run", "--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"];
    let run = |more: &[&str]| docker(&[&confined[..], more].concat());
    let version = run(&[TAG, "--version"]);
    assert!(said(&version).starts_with("postroad "), "{}", said(&version));
    for shell in ["/bin/sh", "/bin/bash", "/usr/bin/env"] {
        assert!(!run(&["--entrypoint", shell, TAG]).status.success(), "there is {shell}");
    }
    let user = docker(&["image", "inspect", "--format", "{{.Config.User}} {{.Config.StopSignal}}", TAG]);
    assert_eq!(said(&user).trim(), "10001:10001 SIGTERM");
    let removed = docker(&["image", "rm", "--force", TAG]);
    assert!(removed.status.success(), "{}", said(&removed));
}
