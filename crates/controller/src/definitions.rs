//! The custom resource definitions, made from the organization's schema: what may be written into a file may be written into a resource,
//! under the same names, with the same words and ranges. `deploy/k8s/controller/crds.yaml` is [`manifest`].
//!
//! A schema only says what the API server can know. It carries no defaults, or a new one would write properties into resources that the
//! controller of the version before does not know: what is not said stays unsaid, and the description tells what holds then. What depends on other objects, or on more than one property, is found by the
//! controller and said in the status.

use organization::Kind;
use organization::schema::{Effect, Row, Shape, properties};
use serde_json::{Map, Value, json};

use crate::resource::{GROUP, KINDS, VERSION};

/// Characters of a text in a resource: the longest that a property takes is far shorter.
const TEXT_MAX: u32 = 4096;
/// Entries of a list in a resource, far beyond what an organization has.
const LIST_MAX: u32 = 4096;
/// Servers that a status names; those that lag behind come first.
pub(crate) const SERVERS_TOLD_MAX: usize = 64;

/// `SendConnector`.
pub(crate) fn kind_name(kind: Kind) -> String {
    let (first, rest) = kind.as_str().split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

/// `sendconnectors`.
pub(crate) fn plural(kind: Kind) -> String {
    kind.section().to_lowercase()
}

/// All of them as one file for `kubectl apply`.
#[must_use]
pub fn manifest() -> String {
    let mut text = String::from(
        "# Made from the organization's schema by a test of crate controller; POSTROAD_REWRITE=1 writes it anew.\n",
    );
    for (at, kind) in KINDS.into_iter().enumerate() {
        if at > 0 {
            text.push_str("---\n");
        }
        let document = serde_saphyr::to_string(&definition(kind)).expect("a tree with text keys is YAML");
        text.push_str(&document);
    }
    text
}

/// The definition of one kind.
#[must_use]
pub fn definition(kind: Kind) -> Value {
    let (name, plural) = (kind_name(kind), plural(kind));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name, "listKind": format!("{name}List"), "plural": plural, "singular": name.to_lowercase(),
                "categories": ["postroad"],
            },
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Accepted", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].status"},
                    {"name": "Revision", "type": "integer", "jsonPath": ".status.revision"},
                    {"name": "Servers", "type": "string", "jsonPath": ".status.appliedBy",
                     "description": "Servers that work by it, of all"},
                    {"name": "Why", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].message",
                     "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": about(kind),
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                        "spec": spec(kind), "status": status(),
                    },
                }},
            }],
        },
    })
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Site => "A place with good connectivity inside; in Kubernetes, a zone.",
        Kind::SiteLink => "Which sites reach each other, and at what cost.",
        Kind::AcceptedDomain => "A domain for which the organization takes mail.",
        Kind::SendConnector => "A way out by SMTP.",
        Kind::ReceiveConnector => "How a server listens.",
        _ => "",
    }
}

fn spec(kind: Kind) -> Value {
    let mut schema = object(&properties(kind));
    let entries = schema.as_object_mut().expect("an object");
    // The name of the object is that of the resource unless it says otherwise, and stays.
    if let Some(required) = entries.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "name");
        if required.is_empty() {
            entries.remove("required");
        }
    }
    let fixed = match kind {
        Kind::ReceiveConnector => &["name", "server"][..],
        Kind::SendConnector => &["name", "usage"],
        _ => &["name"],
    };
    let rule = |name: &&str| {
        json!({
            "rule": format!("has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"),
            "message": format!("{name} is given once: delete the resource and make another"),
        })
    };
    entries.insert("x-kubernetes-validations".to_owned(), fixed.iter().map(rule).collect());
    schema
}

/// An object of these properties. Identity is derived from the name and is no resource's to choose.
fn object(rows: &[Row]) -> Value {
    let rows = || rows.iter().filter(|row| row.name != "guid");
    let entries: Map<String, Value> = rows().map(|row| (row.name.to_owned(), property(row))).collect();
    let required: Vec<&str> = rows().filter(|row| row.required).map(|row| row.name).collect();
    let mut schema = json!({"type": "object", "properties": entries});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(row: &Row) -> Value {
    let mut schema = match (row.secret, row.holds.is_empty()) {
        (true, _) => credential(),
        (false, false) => object(&row.holds),
        (false, true) => of_shape(&row.shape, row.limits),
    };
    schema["description"] = json!(description(row));
    schema
}

fn description(row: &Row) -> String {
    let mut text = row.help.to_owned();
    let holds = matches!(row.shape, Shape::Truth | Shape::Word(_)) || row.secret || row.takes.is_empty();
    if !holds {
        text.push_str(&format!(" Takes {}.", row.takes));
    }
    if let Some(range) = &row.range {
        text.push_str(&format!(" From {range}."));
    }
    if !row.default.is_empty() {
        text.push_str(&format!(" Default: {}.", row.default));
    }
    if let Some(edge) = row.edge_default {
        text.push_str(&format!(" On an Edge server: {edge}."));
    }
    if let Effect::StoredOnly(why) = row.effect {
        text.push_str(&format!(" Has no effect: {why}."));
    }
    text
}

fn of_shape(shape: &Shape, limits: Option<(u64, u64)>) -> Value {
    match shape {
        Shape::Text => json!({"type": "string", "maxLength": TEXT_MAX}),
        Shape::Truth => json!({"type": "boolean"}),
        Shape::Whole => match limits {
            Some((least, most)) => json!({"type": "integer", "minimum": least, "maximum": most}),
            None => json!({"type": "integer", "minimum": 0}),
        },
        // `35MB`, `00:10:00`; a number alone counts octets or days.
        Shape::Size | Shape::Span => either(),
        Shape::Word(words) => json!({"type": "string", "enum": words}),
        Shape::Limit(inner) => match **inner {
            Shape::Whole | Shape::Size | Shape::Span => either(),
            _ => of_shape(inner, limits),
        },
        Shape::List(inner) => json!({"type": "array", "maxItems": LIST_MAX, "items": of_shape(inner, None)}),
    }
}

fn either() -> Value {
    json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]})
}

/// The password is no property: it is in a file of the controller, or was sealed before.
fn credential() -> Value {
    json!({
        "type": "object",
        "properties": {
            "user": {"type": "string", "maxLength": 256, "description": "Who logs on."},
            "passwordFile": {
                "type": "string", "maxLength": 253, "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
                "description": "A key of the Secret that the controller has for credentials, called after the resource: partner, or partner_2. It holds the password.",
            },
            "sealed": {
                "type": "string", "maxLength": TEXT_MAX,
                "description": "In place of both: the credential as an export has it, which only this organization opens.",
            },
        },
        "x-kubernetes-validations": [{
            "rule": "has(self.sealed) != (has(self.user) && has(self.passwordFile))",
            "message": "write user and passwordFile, or sealed",
        }],
    })
}

fn status() -> Value {
    let text = |most: u32| json!({"type": "string", "maxLength": most});
    json!({
        "type": "object",
        "description": "What became of it.",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64", "description": "The generation that this is about."},
            "revision": {
                "type": "integer", "format": "int64",
                "description": "Of the organization's configuration that has the object as it was accepted last.",
            },
            "appliedBy": {"type": "string", "description": "How many servers work by that revision, of how many: 3/4."},
            "servers": {
                "type": "array", "maxItems": SERVERS_TOLD_MAX,
                "description": "The revision by which each server works, those first that are behind.",
                "items": {
                    "type": "object", "required": ["name", "revision"],
                    "properties": {"name": text(256), "revision": {"type": "integer", "format": "int64"}},
                },
            },
            "conditions": {
                "type": "array", "maxItems": 8,
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
                    "properties": {
                        "type": text(316),
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                        "reason": text(1024),
                        "message": text(32_768),
                        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                        "lastTransitionTime": {"type": "string", "format": "date-time"},
                    },
                },
            },
        },
    })
}
