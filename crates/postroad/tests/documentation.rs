//! The pages that show commands with their answers tell the truth: every command of a `console` block is run, and what it
//! prints is what stands below it. `POSTROAD_REWRITE=1` writes the answers anew; read the difference before keeping it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A folder in which the commands find the repository's files by the names that the pages use.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["deploy", "docs"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// What a command prints; its exit status when that is not 0.
fn run(folder: &Path, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_postroad")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder).env("PATH", path).env_remove("POSTROAD_SETTINGS");
    let output = shell.output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    // What the file of the examples is warned of, on purpose (a site without a link), is said once on the page, not under
    // every command.
    let errors = String::from_utf8(output.stderr).unwrap();
    text.extend(errors.split_inclusive('\n').filter(|line| !line.contains(": warning: ")));
    if !output.status.success() {
        writeln!(text, "(exit status {})", output.status.code().unwrap()).unwrap();
    }
    text
}

/// Runs every command of a page and compares.
fn check(page: &str, commands_least: usize) {
    let path = root().join("docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let folder = folder();
    let mut now = String::new();
    let mut commands = 0;
    let mut within = false;
    for line in text.lines() {
        if line.starts_with("```") {
            within = line == "```console";
        } else if within && !line.starts_with("$ ") {
            continue; // an answer: written anew
        }
        writeln!(now, "{line}").unwrap();
        if let Some(command) = line.strip_prefix("$ ").filter(|_| within) {
            commands += 1;
            now.push_str(&run(folder.path(), command));
        }
    }
    assert!(commands >= commands_least, "{page} shows {commands} commands");
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        std::fs::write(&path, now).unwrap();
    } else {
        assert_eq!(text, now, "{page} says otherwise");
    }
}

#[test]
fn the_cases_of_explain_are_answered_as_the_page_says() {
    check("explain-cases.md", 15);
}

#[test]
fn the_page_about_explain_shows_what_is_printed() {
    check("explain.md", 4);
}

#[test]
fn the_page_about_routing_tests_shows_what_is_printed() {
    check("routing-tests.md", 3);
}

/// Names of the fields of an object, those of what is in them with a dot.
fn fields(value: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                fields(value, &name, found);
                found.insert(name);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, prefix, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_is_documented_and_nothing_else_is() {
    let page = std::fs::read_to_string(root().join("docs/explain.md")).unwrap();
    let is_field = |name: &str| name.chars().all(|character| character.is_alphanumeric() || character == '.');
    let named = page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
    let documented: BTreeSet<String> = named.filter(|name| is_field(name)).map(str::to_owned).collect();
    let folder = folder();
    let mut found = BTreeSet::new();
    for question in [
        "buyer@partner.example --from BERLIN1",
        "team@contoso.example --from BERLIN1 --size 101MB",
        "bob@fabrikam.example --from BERLIN1 --size 101MB",
        "bob@fabrikam.example --from BERLIN1 --size 101MB --sender anna@contoso.example",
        "root@berlin1.contoso.example --from BERLIN1",
    ] {
        let command = format!("postroad explain {question} --json --organization docs/examples/three-sites.yaml");
        let answer: Value = serde_json::from_str(&run(folder.path(), &command)).unwrap();
        fields(&answer, "", &mut found);
    }
    // Where an Edge server is on the way, the other half is known in a lab alone (tests/integration).
    let lab = root().join("deploy/lab/perimeter.yaml");
    let question =
        format!("postroad explain bob@fabrikam.example --from BERLIN1 --json --organization {}", lab.display());
    fields(&serde_json::from_str(&run(folder.path(), &question)).unwrap(), "", &mut found);
    found.insert("then".to_owned());
    let changed = "sed 's/enabled: false/enabled: true/' docs/examples/three-sites.yaml > changed.yaml; \
                   postroad explain buyer@partner.example --from BERLIN1 --json --diff changed.yaml \
                   --organization docs/examples/three-sites.yaml";
    for line in run(folder.path(), changed).lines().filter(|line| line.starts_with('{')) {
        fields(&serde_json::from_str(line).unwrap(), "", &mut found);
    }
    let fax = "sed 's/^sendConnectors:/foreignConnectors: [{name: Fax, addressSpaces: [\"FAX:*\"], sourceTransportServers: [BERLIN1]}]\\n&/' \
               docs/examples/three-sites.yaml > fax.yaml; postroad explain FAX:1 --from BERLIN1 --json --organization fax.yaml";
    fields(&serde_json::from_str(&run(folder.path(), fax)).unwrap(), "", &mut found);
    // What is inside of these is an answer again.
    let again = ["members.", "before.", "after."];
    found.retain(|name| again.iter().all(|prefix| !name.starts_with(prefix)));
    assert_eq!(found, documented);
}
