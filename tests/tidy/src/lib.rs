//! Reads the workspace as text and as a dependency graph, for the rules in `tests/`. It judges nothing itself.

pub mod modules;
pub mod rules;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One Rust source file of the workspace.
pub struct Source {
    /// Crate folder, such as `routing`.
    pub krate: String,
    /// Path from the workspace's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Whether the file holds tests, benchmarks or examples rather than product code.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let parts: Vec<_> = self.path.iter().map(|part| part.to_string_lossy()).collect();
        let in_tests = parts.iter().any(|part| matches!(part.as_ref(), "tests" | "benches" | "examples" | "testkit"));
        in_tests || self.path.ends_with("tests.rs")
    }

    /// The product code: what stands before a unit-test module at the end of the file.
    #[must_use]
    pub fn product_text(&self) -> &str {
        self.text.split_once("#[cfg(test)]\nmod tests {").map_or(&self.text, |(product, _)| product)
    }

    /// The product code without comments.
    #[must_use]
    pub fn code(&self) -> String {
        let lines = self.product_text().lines();
        lines.filter(|line| !line.trim_start().starts_with("//")).fold(String::new(), |code, line| code + line + "\n")
    }
}

/// The workspace's root.
///
/// # Panics
/// When the crate is not where it belongs.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("tests/tidy lies two levels below the root")
}

/// Every Rust source file under `crates` and `tests`.
#[must_use]
pub fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for top in ["crates", "tests"] {
        walk(&root.join(top), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(&root).expect("under the root").to_owned();
                let krate = relative.iter().nth(1).map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
                let text = fs::read_to_string(path).expect("a source file is readable text");
                found.push(Source { krate, path: relative, text });
            }
        });
    }
    found
}

fn walk(directory: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// What a manifest of this workspace asks for.
pub struct Manifest {
    /// The package's name.
    pub name: String,
    /// Its folder, from the workspace's root.
    pub folder: PathBuf,
    /// What its program or library is made of.
    pub dependencies: Vec<String>,
    /// What its tests need besides.
    pub test_dependencies: Vec<String>,
}

/// Every manifest of the workspace.
///
/// # Panics
/// When `cargo metadata` does not answer.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    let answer = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&answer).expect("cargo metadata answers in JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let manifest = |package: &serde_json::Value| {
        let of_kind = |kind: Option<&str>| {
            let all = package["dependencies"].as_array().expect("dependencies").iter();
            all.filter(|one| one["kind"].as_str() == kind).map(|one| text(&one["name"])).collect()
        };
        let path = PathBuf::from(text(&package["manifest_path"]));
        let folder = path.parent().expect("a folder").strip_prefix(root()).expect("under the root").to_owned();
        Manifest {
            name: text(&package["name"]),
            folder,
            dependencies: of_kind(None),
            test_dependencies: of_kind(Some("dev")),
        }
    };
    packages.iter().map(manifest).collect()
}

/// Third-party crates with the features that a build takes, by name and version: what `cargo build` with this selection of
/// packages compiles for the machine that runs it.
///
/// # Panics
/// When `cargo tree` does not answer.
#[must_use]
pub fn features(selection: &[&str]) -> BTreeMap<String, String> {
    let arguments = ["tree", "--offline", "--prefix", "none", "--format", "{p}\t{f}"];
    let tree = cargo(&[&arguments[..], selection].concat());
    let lines = tree.lines().filter(|line| !line.contains(" (/")); // ours have a path
    lines.filter_map(|line| line.trim_end_matches(" (*)").split_once('\t')).map(|(p, f)| (p.into(), f.into())).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes text")
}

/// Every text that people read or that people wrote, with its path from the root: sources, pages, proto, settings, scripts.
#[must_use]
pub fn texts() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut visit = |path: &Path| {
        let known = ["rs", "md", "proto", "toml", "yaml", "py", "sh"];
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if known.contains(&extension)
            && let Ok(text) = fs::read_to_string(path)
        {
            found.push((path.strip_prefix(&root).expect("under the root").to_owned(), text));
        }
    };
    for top in ["crates", "tests", "docs", "proto", "deploy"] {
        walk(&root.join(top), &mut visit);
    }
    for entry in fs::read_dir(&root).into_iter().flatten().flatten().filter(|entry| entry.path().is_file()) {
        visit(&entry.path());
    }
    found
}

/// Functions of a text with their first line and length, by matching indentation: rustfmt makes that exact.
#[must_use]
pub fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if !begins_function(trimmed) {
            continue;
        }
        let opened = lines[at..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if opened.is_none_or(|line| !line.ends_with('{')) {
            continue; // declared without a body, or with one on its line
        }
        let end = lines[at..].iter().position(|line| *line == format!("{}}}", " ".repeat(indent)));
        if let Some(length) = end {
            found.push((at + 1, trimmed.to_owned(), length + 1));
        }
    }
    found
}

/// Whether a line begins a function of whatever form, or a macro, whose body is one too.
fn begins_function(line: &str) -> bool {
    let mut rest = line;
    loop {
        let word = rest.split_whitespace().next().unwrap_or_default();
        match word {
            "fn" | "macro_rules!" => return rest.len() > word.len(),
            "pub" | "default" | "const" | "async" | "unsafe" | "extern" => {}
            _ if word.starts_with("pub(") || (word.starts_with('"') && word.ends_with('"')) => {}
            _ => return false,
        }
        // `pub(in some::path)` is two words.
        let end = if word.starts_with("pub(") { rest.find(')').map_or(rest.len(), |at| at + 1) } else { word.len() };
        rest = rest[end..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_every_form_are_found() {
        let forms = [
            "fn a() {",
            "pub fn a() {",
            "pub(crate) const fn a() {",
            "pub(in crate::x) async fn a() {",
            "pub(super) const unsafe extern \"C\" fn a() {",
            "default async fn a() {",
            "unsafe fn a() {",
            "macro_rules! a {",
        ];
        for form in forms {
            assert_eq!(functions(&format!("    {form}\n        body\n    }}\n}}\n")).len(), 1, "{form}");
        }
        assert!(functions("    fn a(\n        b: C,\n    ) -> D;\n    fn e() {}\n    }\n").is_empty(), "no body");
        for other in ["const A: fn() = b;", "let fn_ = {", "pub struct Fn {", "impl Fn for A {", "use fn_::{"] {
            assert!(functions(&format!("{other}\n}}\n")).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_function_in_a_function_is_one_of_its_own() {
        let text = "impl A {\n    fn outer(\n        b: C,\n    ) {\n        async fn inner() {\n        }\n    }\n}\n";
        let found: Vec<(usize, usize)> = functions(text).into_iter().map(|(line, _, length)| (line, length)).collect();
        assert_eq!(found, [(2, 6), (5, 2)]);
    }
}
