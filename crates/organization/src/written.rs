//! An object as its properties, one by one, and an object made of them: for whoever reads and shows properties in another form
//! than the file's, such as the shell and an import.

use crate::kind::Kind;
use crate::literal::Fault;
use crate::node::{Key, Node, Value};
use crate::object::Object;
use crate::property::Detail;
use crate::secrets::Secrets;

/// A value as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Written {
    /// Nothing: the property is not set.
    #[default]
    Nothing,
    /// True or false.
    Truth(bool),
    /// A whole number.
    Whole(u64),
    /// Anything else that is one word or text.
    Text(String),
    /// Several values.
    List(Vec<Written>),
    /// An object with properties of its own.
    Map(Properties),
}

/// Properties by their names, in the order of the schema.
pub type Properties = Vec<(String, Written)>;

/// One thing wrong with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The property: `maxMessageSize`, `smartHosts[2]`; empty for the object as a whole.
    pub property: String,
    /// What is wrong and what to do.
    pub text: String,
}

/// Every property of an object that has a value, the defaults too.
#[must_use]
pub fn properties_of(object: &Object) -> Properties {
    match from_node(object.write(Detail::Everything)) {
        Written::Map(properties) => properties,
        _ => Properties::new(),
    }
}

/// The object that these properties make; what is not given has its default.
///
/// # Errors
/// Everything that is wrong with them, ranges too.
pub fn object_of(kind: Kind, properties: Properties, secrets: &dyn Secrets) -> Result<Object, Vec<Wrong>> {
    let node = to_node(Written::Map(properties));
    let object = Object::read(kind, &node, secrets).map_err(told)?;
    let beyond = object.out_of_range(&node);
    if beyond.is_empty() { Ok(object) } else { Err(told(beyond)) }
}

fn told(faults: Vec<Fault>) -> Vec<Wrong> {
    let wrong = |fault: Fault| Wrong { property: fault.path.trim_start_matches('.').to_owned(), text: fault.text };
    faults.into_iter().map(wrong).collect()
}

fn from_node(node: Node) -> Written {
    match node.value {
        Value::Null => Written::Nothing,
        Value::Bool(truth) => Written::Truth(truth),
        Value::Number(number) => Written::Whole(number),
        Value::Text(text) => Written::Text(text),
        Value::List(items) => Written::List(items.into_iter().map(from_node).collect()),
        Value::Map(entries) => {
            Written::Map(entries.into_iter().map(|(key, node)| (key.text, from_node(node))).collect())
        }
    }
}

fn to_node(written: Written) -> Node {
    let value = match written {
        Written::Nothing => Value::Null,
        Written::Truth(truth) => Value::Bool(truth),
        Written::Whole(number) => Value::Number(number),
        Written::Text(text) => Value::Text(text),
        Written::List(items) => Value::List(items.into_iter().map(to_node).collect()),
        Written::Map(entries) => {
            Value::Map(entries.into_iter().map(|(text, value)| (Key { at: None, text }, to_node(value))).collect())
        }
    };
    value.into()
}
