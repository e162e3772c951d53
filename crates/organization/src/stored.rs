//! The stored form of one object: `{"v":1,"kind":"sendConnector","object":{…}}`.
//!
//! Every property is written, defaults as well, so that an object does not change when a default does. A property or a
//! version that is not known is an error: a rule that a server does not understand must not be left out silently.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value as Json;

use crate::kind::Kind;
use crate::node::{Key, Node, Value};
use crate::object::Object;
use crate::property::Detail;
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

/// The bytes that are stored.
#[must_use]
pub fn encode(object: &Object) -> Vec<u8> {
    let stored = Node::map(vec![
        ("v", Value::Number(STORED_VERSION).into()),
        ("kind", Node::text(object.kind())),
        ("object", object.write(Detail::Everything)),
    ]);
    serde_json::to_vec(&stored).expect("a tree of scalars, sequences and mappings with text keys is JSON")
}

/// The object of stored bytes.
///
/// # Errors
/// [`StoredError`] says whether version, shape or a property is wrong.
pub fn decode(bytes: &[u8]) -> Result<Object, StoredError> {
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
    Object::read(kind, object, &WithoutSecrets).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(|fault| format!("{kind}{}: {}", fault.path, fault.text)).collect();
        StoredError::Property(faults.join("; "))
    })
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
