//! Reads the workspace as text and as a dependency graph, for the rules in `tests/`. It judges nothing itself.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Functions of a text with their first line and length, by matching indentation: rustfmt makes that exact.
#[must_use]
pub fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let starts = [
            "fn ",
            "pub fn ",
            "async fn ",
            "pub async fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "pub(crate) async fn ",
            "const fn ",
            "pub const fn ",
        ];
        if !starts.iter().any(|start| trimmed.starts_with(start)) {
            continue;
        }
        let end = lines[at..].iter().position(|line| *line == format!("{}}}", " ".repeat(indent)));
        if let Some(length) = end {
            found.push((at + 1, trimmed.to_owned(), length + 1));
        }
    }
    found
}
