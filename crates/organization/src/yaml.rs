//! YAML text to a tree with positions, and back.
//!
//! Scalars keep the text that was written (`1.10` stays `1.10`): what a scalar means is decided by the property that it
//! is given to, never by YAML's guess. Size, depth, aliases and number of nodes are bounded.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::node::{Key, Node, Position, Value};

/// Largest organization file in octets. A file with 100,000 recipients has about 20 MB.
pub const FILE_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// Most values in one file.
pub const FILE_NODES_MAX: usize = 4_000_000;
/// Deepest nesting; the organization needs five levels.
pub const FILE_DEPTH_MAX: usize = 16;

/// What is said when too much is written by too little.
const ALIASES: &str = "anchors and aliases (&name, *name) stand for too much; write it out";

/// What is wrong with a text, and where.
pub(crate) type Wrong = (Option<Position>, String);

/// Reads `text`.
///
/// # Errors
/// Where the text is no YAML, and why.
pub(crate) fn read(text: &str) -> Result<Node, Wrong> {
    if text.len() > FILE_OCTETS_MAX {
        return Err((None, format!("the file has more than {FILE_OCTETS_MAX} octets")));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: FILE_NODES_MAX,
            max_events: FILE_NODES_MAX * 2,
            max_depth: FILE_DEPTH_MAX,
            max_documents: 1,
            // One anchor may be what three hundred servers have in common. What aliases stand for is bounded: by the values above.
            enforce_alias_anchor_ratio: false,
        },
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(settle(raw, text)),
        Err(error) => {
            let at = error.location().and_then(position);
            Err((at, in_words(&error.without_snippet().to_string(), at, text)))
        }
    }
}

/// Reads what can be read of a text that is no YAML: each section by itself, so that a mistake in one hides none in the
/// others.
pub(crate) fn read_sections(text: &str) -> (Node, Vec<Wrong>) {
    let whole = match read(text) {
        Ok(node) => return (node, Vec::new()),
        Err(wrong) => wrong,
    };
    let (mut entries, mut wrongs) = (Vec::new(), Vec::new());
    for section in sections(text) {
        match read(&section).map(|node| node.value) {
            Ok(Value::Map(found)) => entries.extend(found),
            Ok(_) => {}
            Err(wrong) => wrongs.push(wrong),
        }
    }
    if wrongs.is_empty() {
        wrongs.push(whole);
    }
    (Value::Map(entries).into(), wrongs)
}

/// The sections of a text, from one key in the first column to the next, each at its own lines.
fn sections(text: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let starts = line.starts_with(|first: char| first.is_alphanumeric() || first == '"' || first == '\'')
            && line.contains(':');
        match sections.last_mut() {
            Some(section) if !starts => section.push_str(line),
            _ => sections.push("\n".repeat(at) + line),
        }
    }
    sections
}

/// What the parser says, without its own words and without the position, which is told apart.
fn in_words(error: &str, at: Option<Position>, text: &str) -> String {
    let line = at.and_then(|at| text.lines().nth(usize::try_from(at.line).ok()?.checked_sub(1)?)).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let said = error.rsplit_once(" at line ").map_or(error, |(said, _)| said);
    if indent.contains('\t') {
        return "indent with spaces; YAML allows no tabs there".to_owned();
    }
    if said.ends_with("found a tab") {
        return "a tab follows; indent and separate with spaces".to_owned();
    }
    if let Some(rest) = said.strip_prefix("duplicate mapping key: ") {
        let key = rest.split(',').next().unwrap_or(rest);
        return format!("{key} is there twice");
    }
    if said.starts_with("alias replay limit exceeded") {
        return ALIASES.to_owned();
    }
    let Some(breach) = said.strip_prefix("budget breached: ") else { return said.to_owned() };
    match breach.split([' ', '{']).next().unwrap_or_default() {
        "Documents" => "a file holds one document; a line of --- begins another".to_owned(),
        "Depth" => format!("values are nested deeper than {FILE_DEPTH_MAX} levels"),
        "Nodes" | "Events" => format!("the file holds more than {FILE_NODES_MAX} values"),
        "RecordedAnchorEvents" | "Aliases" | "Anchors" => ALIASES.to_owned(),
        other => format!("the file is too large or too deep for an organization file ({other})"),
    }
}

/// Writes `node`.
pub(crate) fn write(node: &Node) -> String {
    // Block scalars would lose line ends at the end of a text.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(node, options)
        .expect("a tree of scalars, sequences and mappings with text keys is YAML")
}

fn position(location: serde_saphyr::Location) -> Option<Position> {
    (location.line() > 0).then(|| Position { line: location.line(), column: location.column() })
}

/// What the deserializer saw, before plain scalars get their text back.
enum Raw {
    Null,
    /// Guessed to be a number or a boolean.
    Plain,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn settle(raw: Spanned<Raw>, source: &str) -> Node {
    let at = position(raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Plain => Value::Text(written(source, raw.defined)),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| settle(item, source)).collect()),
        Raw::Map(entries) => {
            let key = |key: Spanned<String>| Key { at: position(key.referenced), text: key.value };
            Value::Map(entries.into_iter().map(|(name, item)| (key(name), settle(item, source))).collect())
        }
    };
    Node { at, value }
}

/// The text of a plain scalar as it stands in the file.
fn written(source: &str, location: serde_saphyr::Location) -> String {
    let span = location.span();
    let bytes = || {
        let from = usize::try_from(span.byte_offset()?).ok()?;
        source.get(from..from + usize::try_from(span.byte_len()?).ok()?)
    };
    bytes().unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }
    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }
    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_the_text_that_was_written() {
        let text = "a: 1.10\nb: [0x10, true, 00:10:00, \"007\", ~]\nc: {d: 'x'}\n";
        let node = read(text).unwrap();
        assert_eq!(
            node.to_string(),
            "{a: \"1.10\", b: [\"0x10\", \"true\", \"00:10:00\", \"007\", (none)], c: {d: \"x\"}}"
        );
        let (key, value) = &node.entries().unwrap()[1];
        assert_eq!(key.at, Some(Position { line: 2, column: 1 }));
        assert_eq!(value.items().unwrap()[1].at, Some(Position { line: 2, column: 11 }));
        assert_eq!(read(&write(&node)).unwrap(), node);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_with_a_position() {
        let (at, _) = read("a: [1\nb: 2\n").unwrap_err();
        assert!(at.is_some());
        let (at, text) = read("a: 1\na: 2\n").unwrap_err();
        assert_eq!(at.map(|at| at.line), Some(2), "{text}");
        assert!(read(&"[".repeat(100)).is_err());
        for (text, line, expected) in [
            ("sites:\n\t- name: a\n", 2, "indent with spaces; YAML allows no tabs there"),
            ("a: {b: 7\n\tc: 1}\n", 1, "a tab follows; indent and separate with spaces"),
            ("sites: []\n---\nservers: []\n", 2, "a file holds one document; a line of --- begins another"),
            ("a: 1\na: 2\n", 2, "a is there twice"),
            (&format!("a: {}{}", "[".repeat(40), "]".repeat(40)), 1, "values are nested deeper than 16 levels"),
            ("a: *nobody\n", 1, "alias references unknown anchor"),
        ] {
            assert_eq!(read(text).map_err(|(at, said)| (at.unwrap().line, said)), Err((line, expected.to_owned())));
        }
    }

    #[test]
    fn one_anchor_serves_many_and_what_grows_by_itself_is_refused() {
        let many = format!("a: &one {{b: 1}}\nc: [{}]\n", vec!["*one"; 5000].join(", "));
        let node = read(&many).unwrap();
        assert_eq!(node.entries().unwrap()[1].1.items().unwrap().len(), 5000);
        // Ten of ten of ten …: a few lines that stand for ten thousand million values.
        let mut laughs = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for step in 1..10 {
            let before = vec![format!("*a{}", step - 1); 10].join(", ");
            laughs.push_str(&format!("a{step}: &a{step} [{before}]\n"));
        }
        assert_eq!(read(&laughs).unwrap_err().1, ALIASES);
    }

    #[test]
    fn a_mistake_in_one_section_hides_none_in_the_others() {
        let (node, wrong) =
            read_sections("sites: [\nservers: [{name: a}]\n\nsiteLinks:\n- {name: b\n# end\ndags: []\n");
        assert_eq!(node.to_string(), "{servers: [{name: \"a\"}], dags: []}");
        assert_eq!(node.entries().unwrap()[0].0.at, Some(Position { line: 2, column: 1 }));
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }
}
