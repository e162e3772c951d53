//! The modules of a crate and which of them name which, read from the `use` lines. A name that a module only passes on counts
//! for the module that it comes from; parents and children may know each other, so what they say of each other is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Source;

/// Modules of one crate by path (`""` is its root, `session::content` a file below), with what each uses.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// One name that a `use` line brings: where it stands, under which name here, and from where.
struct Import {
    module: String,
    name: String,
    path: Vec<String>,
}

/// The module of a source file under `src`, or nothing for other files and for tests.
#[must_use]
pub fn module_of(source: &Source) -> Option<String> {
    if source.is_test() {
        return None;
    }
    let parts: Vec<_> = source.path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let at = parts.iter().position(|part| part == "src")?;
    let inner = parts[at + 1..].join("::");
    let inner = inner.strip_suffix(".rs")?;
    let inner = inner.strip_suffix("::mod").unwrap_or(inner);
    (!inner.starts_with("bin::"))
        .then(|| if matches!(inner, "lib" | "main") { String::new() } else { inner.to_owned() })
}

/// What each module of one crate uses of its siblings and cousins.
#[must_use]
pub fn uses(sources: &[&Source]) -> Uses {
    let texts = sources.iter().filter_map(|source| Some((module_of(source)?, source.product_text())));
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for (module, text) in texts {
        modules.entry(module).or_default().push_str(text);
    }
    let known: BTreeSet<&str> = modules.keys().map(String::as_str).collect();
    let imports: Vec<Import> = modules.iter().flat_map(|(module, text)| imports(module, text)).collect();
    let mut uses: Uses = modules.keys().map(|module| (module.clone(), BTreeSet::new())).collect();
    for import in &imports {
        if let Some(target) = resolve(import, &known, &imports, 4)
            && !related(&import.module, &target)
        {
            uses.entry(import.module.clone()).or_default().insert(target);
        }
    }
    uses
}

/// Groups of modules that use each other in a circle.
#[must_use]
pub fn circles(uses: &Uses) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|from| (from.as_str(), reachable(from, uses))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for module in uses.keys().filter(|module| reach[module.as_str()].contains(module.as_str())) {
        let round = reach[module.as_str()].iter().filter(|other| reach[**other].contains(module.as_str()));
        let circle: BTreeSet<String> = round.map(|other| (*other).to_owned()).collect();
        if !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reachable<'a>(from: &str, uses: &'a Uses) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut todo: Vec<&str> = uses.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(next) = todo.pop() {
        if seen.insert(next) {
            todo.extend(uses.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    seen
}

fn related(one: &str, other: &str) -> bool {
    let above = |a: &str, b: &str| Path::new(&b.replace("::", "/")).starts_with(a.replace("::", "/"));
    above(one, other) || above(other, one)
}

/// The module that a name comes from: the longest known module on its path; and when that module has the name only from
/// elsewhere, that one.
fn resolve(import: &Import, known: &BTreeSet<&str>, imports: &[Import], depth: usize) -> Option<String> {
    let path = absolute(&import.module, &import.path, known)?;
    let longest = (0..=path.len()).rev().find(|length| known.contains(path[..*length].join("::").as_str()))?;
    let module = path[..longest].join("::");
    let passed_on = path
        .get(longest)
        .and_then(|name| imports.iter().find(|other| other.module == module && other.name == *name && depth > 0));
    passed_on.and_then(|other| resolve(other, known, imports, depth - 1)).or(Some(module))
}

/// A path from the crate's root, or nothing when it leads out of the crate.
fn absolute(module: &str, path: &[String], known: &BTreeSet<&str>) -> Option<Vec<String>> {
    let mut base: Vec<String> = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let mut rest = path;
    match path.first().map(String::as_str)? {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        first => {
            let child = [base.join("::"), first.to_owned()].join("::");
            if !known.contains(child.trim_start_matches("::")) {
                return None;
            }
        }
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

fn imports(module: &str, text: &str) -> Vec<Import> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    let mut found = Vec::new();
    for statement in code.split(';') {
        let Some(at) = use_keyword(statement) else { continue };
        let mut names = Vec::new();
        expand(&mut Vec::new(), statement[at..].trim(), &mut names);
        found.extend(names.into_iter().map(|(path, name)| Import { module: module.to_owned(), name, path }));
    }
    // Paths that are written out where they are used.
    for lead in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(lead) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            let path: String =
                code[at..].chars().take_while(|one| one.is_alphanumeric() || matches!(one, '_' | ':')).collect();
            if !before.is_alphanumeric() && !matches!(before, '_' | ':') && !path.ends_with("::") {
                let path: Vec<String> = path.split("::").map(str::to_owned).collect();
                found.push(Import { module: module.to_owned(), name: String::new(), path });
            }
        }
    }
    found
}

/// Where the path of a `use` declaration begins, if the statement is one.
fn use_keyword(statement: &str) -> Option<usize> {
    let last = statement.rfind("use ")?;
    let before = statement[..last].trim_end();
    let own_line = statement[..last].rsplit('\n').next().unwrap_or_default().trim();
    let visibility = own_line.is_empty() || own_line == "pub" || own_line.starts_with("pub(");
    (visibility && !before.ends_with('"')).then_some(last + 4)
}

/// The single names of a tree such as `a::{b, c::{self, d as e}}`.
fn expand(prefix: &mut Vec<String>, tree: &str, names: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let depth = prefix.len();
        prefix.extend(head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
        for part in split_outside(inner) {
            expand(prefix, part, names);
        }
        prefix.truncate(depth);
        return;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
    let mut full = prefix.clone();
    full.extend(path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self").map(str::to_owned));
    if path.trim().starts_with("self::") && prefix.is_empty() {
        full.insert(0, "self".to_owned());
    }
    let Some(last) = full.last().cloned() else { return };
    names.push((full, alias.map_or(last, str::to_owned)));
}

fn split_outside(inner: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, one) in inner.char_indices() {
        match one {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[begin..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { krate: "some".to_owned(), path: PathBuf::from(path), text: text.to_owned() }
    }

    fn circle(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| source(&format!("crates/some/src/{path}"), text)).collect();
        let uses = uses(&sources.iter().collect::<Vec<_>>());
        circles(&uses).into_iter().map(|circle| circle.into_iter().collect()).collect()
    }

    #[test]
    fn siblings_that_use_each_other_are_a_circle() {
        let files =
            [("lib.rs", "mod a;\nmod b;\n"), ("a.rs", "use crate::b::Two;\n"), ("b.rs", "use super::a::One;\n")];
        assert_eq!(circle(&files), [["a", "b"]]);
    }

    #[test]
    fn a_name_that_is_passed_on_counts_for_where_it_comes_from() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::One;\npub use self::b::{Three as Four, Two};\n"),
            ("a.rs", "use crate::{Four, other};\n"),
            ("b.rs", "fn f() -> crate::One { }\n"),
        ];
        assert_eq!(circle(&files), [["a", "b"]]);
    }

    #[test]
    fn parents_and_children_may_know_each_other() {
        let files =
            [("lib.rs", "mod a;\n"), ("a.rs", "mod c;\nuse c::One;\n"), ("a/c.rs", "use super::{Two, super::X};\n")];
        assert!(circle(&files).is_empty());
    }

    #[test]
    fn three_in_a_round_are_one_circle_and_other_crates_are_none() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "use crate::b::{self, X};\nuse tokio::sync::a;\n"),
            ("b.rs", "use crate::c::Y;\n"),
            ("c.rs", "/// use crate::d::Z;\npub(crate) use super::a::Z;\n"),
            ("d.rs", "use crate::a::Z;\n"),
        ];
        assert_eq!(circle(&files), [["a", "b", "c"]]);
    }
}
