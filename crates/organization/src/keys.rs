//! Keys of other YAML files of the product, compared with what there is: all that nobody knows are told at once, each with its
//! place. What the values mean is decided by whoever reads the file.

use topology::{Problem, Weight};

use crate::document::FileProblem;
use crate::node::Node;
use crate::property::unknown_text;
use crate::yaml;

/// What a file may have at a place.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Whatever its reader takes.
    Any,
    /// A mapping of these keys.
    Keys(&'static [(&'static str, Self)]),
    /// A list of these.
    Each(&'static Self),
}

/// Every key of `text` that `shape` does not have; none where it is no YAML, which its reader says.
#[must_use]
pub fn unknown_keys(text: &str, shape: Shape) -> Vec<FileProblem> {
    let mut found = Vec::new();
    if let Ok(node) = yaml::read(text) {
        look(&node, shape, "", &mut found);
    }
    found
}

fn look(node: &Node, shape: Shape, place: &str, found: &mut Vec<FileProblem>) {
    match shape {
        Shape::Any => {}
        Shape::Each(one) => {
            for (at, item) in node.items().unwrap_or_default().iter().enumerate() {
                look(item, *one, &format!("{place}[{}]", at + 1), found);
            }
        }
        Shape::Keys(known) => {
            for (key, value) in node.entries().unwrap_or_default() {
                let place = if place.is_empty() { key.text.clone() } else { format!("{place}.{}", key.text) };
                match known.iter().find(|(name, _)| *name == key.text) {
                    Some((_, shape)) => look(value, *shape, &place, found),
                    None => {
                        let text = unknown_text("key", &key.text, known.iter().map(|(name, _)| *name));
                        found.push(FileProblem { at: key.at, problem: Problem { weight: Weight::Error, place, text } });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::Keys(&[
        (
            "hosts",
            Shape::Each(&Shape::Keys(&[
                ("name", Shape::Any),
                ("faults", Shape::Each(&Shape::Keys(&[("at", Shape::Any)]))),
            ])),
        ),
        ("free", Shape::Any),
    ]);

    #[test]
    fn every_key_that_nobody_knows_is_told_with_its_place() {
        let text = "host: []\nhosts:\n  - {name: a, nane: b}\n  - faults: [{at: x}, {art: y}]\nfree: {anything: 1}\n";
        let found: Vec<String> = unknown_keys(text, SHAPE).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "1:1: error: host: there is no such key; did you mean hosts?",
                "3:15: error: hosts[1].nane: there is no such key; did you mean name?",
                "4:24: error: hosts[2].faults[2].art: there is no such key; did you mean at?",
            ]
        );
        assert_eq!(unknown_keys("hosts: [", SHAPE), [], "its reader says that");
        assert_eq!(unknown_keys("hosts: {a: 1}", SHAPE), [], "and that");
    }
}
