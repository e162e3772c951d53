//! The stored form of one object: `{"v":1,"kind":"sendConnector","object":{…}}`.
//!
//! Every property is written, defaults as well, so that an object does not change when a default does. A version, a kind or a
//! value that is not known is an error. A property that is not known is kept: [`decode_whole`] says which there are, whoever
//! follows the object warns of them, and [`encode_with`] passes them on when the object is written anew.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value as Json;

use crate::kind::Kind;
use crate::literal::Fault;
use crate::node::{Key, Node, Position, Value};
use crate::object::Object;
use crate::property::Detail;
use crate::schema::{self, Row};
use crate::secrets::WithoutSecrets;

/// The version that is written.
pub const STORED_VERSION: u64 = 1;
/// Largest stored object in octets; etcd takes 1.5 MiB in a request.
pub const STORED_OCTETS_MAX: usize = 1024 * 1024;

/// Why stored bytes are no object.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Another version.
    #[error("stored version {0} is not known (this program knows {STORED_VERSION}); upgrade this server")]
    Version(u64),
    /// No JSON, or not in the shape of an object.
    #[error("not a stored object: {0}")]
    Shape(String),
    /// A property is wrong or not known.
    #[error("{0}; if a newer version wrote it, upgrade this server, otherwise apply the object again")]
    Property(String),
}

/// Properties of a stored object that this program does not know: a newer one wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown(Vec<(Key, Node)>);

impl Unknown {
    /// Whether everything is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names: `color`, `transport.speed`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        fn of(entries: &[(Key, Node)], prefix: &str, names: &mut Vec<String>) {
            for (key, node) in entries {
                match (&node.value, key.at.is_some()) {
                    // Marked by `split`: a known object with unknown properties inside.
                    (Value::Map(inner), true) => of(inner, &format!("{prefix}{}.", key.text), names),
                    _ => names.push(format!("{prefix}{}", key.text)),
                }
            }
        }
        let mut names = Vec::new();
        of(&self.0, "", &mut names);
        names
    }
}

/// What a mapping holds.
type Entries = Vec<(Key, Node)>;

/// The entries that are in the schema, and the others. An object that is a value is divided likewise; its key is marked with
/// a position, which nothing that is stored has.
fn split(entries: Entries, rows: &[Row]) -> (Entries, Entries) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (key, node) in entries {
        let called = |row: &&Row| {
            row.name.eq_ignore_ascii_case(&key.text)
                || row.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&key.text))
        };
        match (rows.iter().find(called), node.value) {
            (None, value) => unknown.push((key, value.into())),
            (Some(row), Value::Map(inner)) if !row.holds.is_empty() => {
                let (inside, outside) = split(inner, &row.holds);
                if !outside.is_empty() {
                    let mark = Some(Position { line: 0, column: 0 });
                    unknown.push((Key { at: mark, text: key.text.clone() }, Value::Map(outside).into()));
                }
                known.push((key, Value::Map(inside).into()));
            }
            (Some(_), value) => known.push((key, value.into())),
        }
    }
    (known, unknown)
}

/// Puts the entries of `unknown` where they were.
fn join(entries: &mut Vec<(Key, Node)>, unknown: &[(Key, Node)]) {
    for (key, node) in unknown {
        let place = entries.iter_mut().find(|(known, _)| known.text.eq_ignore_ascii_case(&key.text));
        match (place.map(|(_, known)| &mut known.value), &node.value) {
            (Some(Value::Map(inside)), Value::Map(outside)) => join(inside, outside),
            (Some(_), _) => {}
            (None, _) => entries.push((Key { at: None, text: key.text.clone() }, node.clone())),
        }
    }
}

/// The bytes that are stored.
#[must_use]
pub fn encode(object: &Object) -> Vec<u8> {
    encode_with(object, &Unknown::default())
}

/// The bytes that are stored, with what a newer program has said about the object.
#[must_use]
pub fn encode_with(object: &Object, unknown: &Unknown) -> Vec<u8> {
    let mut written = object.write(Detail::Everything);
    if let Value::Map(entries) = &mut written.value {
        join(entries, &unknown.0);
    }
    let stored = Node::map(vec![
        ("v", Value::Number(STORED_VERSION).into()),
        ("kind", Node::text(object.kind())),
        ("object", written),
    ]);
    serde_json::to_vec(&stored).expect("a tree of scalars, sequences and mappings with text keys is JSON")
}

/// The object of stored bytes, without what is not known.
///
/// # Errors
/// [`StoredError`] says whether version, shape or a property is wrong.
pub fn decode(bytes: &[u8]) -> Result<Object, StoredError> {
    decode_whole(bytes).map(|(object, _)| object)
}

/// The object of stored bytes, and what a newer program has said about it.
///
/// # Errors
/// [`StoredError`] says whether version, shape or a property is wrong.
pub fn decode_whole(bytes: &[u8]) -> Result<(Object, Unknown), StoredError> {
    if bytes.len() > STORED_OCTETS_MAX {
        return Err(StoredError::Shape(format!("it has more than {STORED_OCTETS_MAX} octets")));
    }
    let node: Node = serde_json::from_slice(bytes).map_err(|error| StoredError::Shape(error.to_string()))?;
    match node.get("v").map(|version| &version.value) {
        Some(Value::Number(STORED_VERSION)) => {}
        Some(Value::Number(other)) => return Err(StoredError::Version(*other)),
        _ => return Err(StoredError::Shape("it has no version".into())),
    }
    let kind = node.get("kind").and_then(Node::scalar);
    let Some(kind) = kind.as_deref().and_then(Kind::from_name) else {
        return Err(StoredError::Shape("its kind is not known".into()));
    };
    let object = node.get("object").ok_or_else(|| StoredError::Shape("it has no object".into()))?;
    let wrong = |faults: Vec<Fault>| {
        let faults: Vec<String> = faults.iter().map(|fault| format!("{kind}{}: {}", fault.path, fault.text)).collect();
        StoredError::Property(faults.join("; "))
    };
    let faults = match Object::read(kind, object, &WithoutSecrets) {
        Ok(object) => return Ok((object, Unknown::default())),
        Err(faults) => faults,
    };
    let (known, unknown) = split(object.entries().unwrap_or_default().to_vec(), &schema::properties(kind));
    if unknown.is_empty() {
        return Err(wrong(faults));
    }
    let object = Object::read(kind, &Value::Map(known).into(), &WithoutSecrets).map_err(wrong)?;
    Ok((object, Unknown(unknown)))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_json(Json::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("a number is no whole number"))
    }
}

fn from_json(json: Json) -> Option<Node> {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => Value::Number(number.as_u64()?),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect::<Option<_>>()?),
        Json::Object(entries) => {
            let entry = |(text, item)| Some((Key { at: None, text }, from_json(item)?));
            Value::Map(entries.into_iter().map(entry).collect::<Option<_>>()?)
        }
    };
    Some(value.into())
}
