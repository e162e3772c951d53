//! `Export-Clixml`: PowerShell's own form (IM-11). A reader of the little XML that it is: no DTD, no entities of its own, and
//! `SerializationData`, a stream of .NET, is never looked at.

use std::collections::HashMap;

use crate::raw::{Fields, Raw, RawObject};

/// How deep elements may nest.
const DEPTH_MAX: usize = 64;

/// An element.
#[derive(Clone, Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

pub(super) fn read(text: &str) -> Result<Vec<RawObject>, String> {
    let mut reader = Reader { text, at: 0 };
    let root = reader.root()?;
    let mut known = Known::default();
    let mut objects = Vec::new();
    for element in root.children.iter().filter(|element| element.name == "Obj") {
        let of = known.type_of(element);
        let mut fields = Vec::new();
        for part in element.children.iter().filter(|child| matches!(child.name.as_str(), "Props" | "MS")) {
            for property in &part.children {
                if let Some(name) = property.attribute("N") {
                    fields.push((unescaped(name), known.value(property), 0));
                }
            }
        }
        objects.push(RawObject { of, fields });
    }
    Ok(objects)
}

/// Objects and types that are referred to.
#[derive(Default)]
struct Known {
    objects: HashMap<String, Raw>,
    types: HashMap<String, String>,
}

impl Known {
    fn type_of(&mut self, element: &Element) -> String {
        if let Some(names) = element.child("TN") {
            let first = names.child("T").map(|name| name.text.clone()).unwrap_or_default();
            if let Some(id) = names.attribute("RefId") {
                self.types.insert(id.to_owned(), first.clone());
            }
            return first;
        }
        let id = element.child("TNRef").and_then(|names| names.attribute("RefId"));
        id.and_then(|id| self.types.get(id)).cloned().unwrap_or_default()
    }

    fn value(&mut self, element: &Element) -> Raw {
        let text = || unescaped(&element.text);
        match element.name.as_str() {
            "Nil" | "SS" | "BA" => Raw::Nothing,
            "B" => Raw::Truth(element.text.trim() == "true"),
            "I32" | "I64" | "U32" | "U64" | "By" | "I16" | "U16" | "SB" => {
                element.text.trim().parse().map_or_else(|_| Raw::Text(text()), Raw::Whole)
            }
            "Ref" => element.attribute("RefId").and_then(|id| self.objects.get(id)).cloned().unwrap_or(Raw::Nothing),
            "Obj" => {
                self.type_of(element);
                let value = self.object(element);
                if let Some(id) = element.attribute("RefId") {
                    self.objects.insert(id.to_owned(), value.clone());
                }
                value
            }
            _ => Raw::Text(text()),
        }
    }

    fn object(&mut self, element: &Element) -> Raw {
        for list in ["LST", "IE", "QUE", "STK"] {
            if let Some(items) = element.child(list) {
                let items = items.children.clone();
                return Raw::List(items.iter().map(|item| self.value(item)).collect());
            }
        }
        let mut fields = Vec::new();
        for part in element.children.iter().filter(|child| matches!(child.name.as_str(), "Props" | "MS")) {
            for property in part.children.clone() {
                if let Some(name) = property.attribute("N").map(unescaped) {
                    fields.push((name, self.value(&property)));
                }
            }
        }
        let number = element.child("I32").and_then(|number| number.text.trim().parse().ok());
        let text = element.child("ToString").map(|text| unescaped(&text.text));
        Raw::Fields(Fields { text, number, fields })
    }
}

/// `_x000D_` is one UTF-16 unit; `_x005F_` an underscore.
fn unescaped(text: &str) -> String {
    if !text.contains("_x") {
        return text.to_owned();
    }
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(one) = rest.chars().next() {
        let code = rest.strip_prefix("_x").and_then(|code| code.get(..5)).and_then(|code| code.strip_suffix('_'));
        match code.and_then(|code| u16::from_str_radix(code, 16).ok()) {
            Some(unit) => {
                units.push(unit);
                rest = &rest[7..];
            }
            None => {
                units.extend_from_slice(one.encode_utf16(&mut [0; 2]));
                rest = &rest[one.len_utf8()..];
            }
        }
    }
    String::from_utf16_lossy(&units)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        let line = self.text[..self.at].matches('\n').count() + 1;
        Err(format!("line {line}: {what}"))
    }

    fn root(&mut self) -> Result<Element, String> {
        loop {
            let Some(open) = self.text[self.at..].find('<') else { return self.wrong("it has no element") };
            self.at += open;
            let rest = &self.text[self.at..];
            if rest.starts_with("<?") || rest.starts_with("<!--") {
                let Some(end) = rest.find('>') else { return self.wrong("a tag has no end") };
                self.at += end + 1;
            } else if rest.starts_with("<!") {
                return self.wrong("a document type is not read");
            } else {
                return self.element(0);
            }
        }
    }

    /// The element that begins here.
    fn element(&mut self, depth: usize) -> Result<Element, String> {
        if depth > DEPTH_MAX {
            return self.wrong("elements nest too deep");
        }
        let rest = &self.text[self.at..];
        let Some(end) = rest.find('>') else { return self.wrong("a tag has no end") };
        let inside = &rest[1..end];
        let closed = inside.ends_with('/');
        let inside = inside.trim_end_matches('/');
        let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let mut element =
            Element { name: name.to_owned(), attributes: attributes_of(attributes), ..Element::default() };
        self.at += end + 1;
        if closed {
            return Ok(element);
        }
        loop {
            let rest = &self.text[self.at..];
            let Some(open) = rest.find('<') else { return self.wrong(&format!("<{name}> has no end")) };
            element.text.push_str(&entities(&rest[..open]));
            self.at += open;
            let rest = &self.text[self.at..];
            if let Some(after) = rest.strip_prefix("</") {
                let Some(end) = after.find('>') else { return self.wrong("a tag has no end") };
                if after[..end].trim() != element.name {
                    return self.wrong(&format!("</{}> does not end <{}>", &after[..end], element.name));
                }
                self.at += end + 3;
                return Ok(element);
            }
            let child = self.element(depth + 1)?;
            element.children.push(child);
        }
    }
}

fn attributes_of(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let Some(quote) = after.chars().next().filter(|quote| ['"', '\''].contains(quote)) else { break };
        let Some((value, more)) = after[1..].split_once(quote) else { break };
        found.push((name.trim().to_owned(), entities(value)));
        rest = more.trim_start();
    }
    found
}

fn entities(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}
