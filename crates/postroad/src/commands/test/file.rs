//! The test file (YAML): what is asked, and what is expected. Unknown keys and values are errors with their position.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use envelope::{Address, ByteSize, ServerName};
use inquiry::{Ending, Sender};
use organization::Shape;
use routing::DeliveryType;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_saphyr::Spanned;

/// Largest test file in octets: some ten thousand tests. Ours.
const OCTETS_MAX: u64 = 16 * 1024 * 1024;

/// The keys of a test file.
const SHAPE: Shape = Shape::Keys(&[("defaults", Shape::Keys(DEFAULTS)), ("tests", Shape::Each(&Shape::Keys(TEST)))]);
const DEFAULTS: &[(&str, Shape)] = &[("from", Shape::Any), ("sender", Shape::Any), ("size", Shape::Any)];
const TEST: &[(&str, Shape)] = &[
    ("name", Shape::Any),
    ("recipient", Shape::Any),
    ("from", Shape::Any),
    ("sender", Shape::Any),
    ("size", Shape::Any),
    ("expect", Shape::Keys(EXPECT)),
];
const EXPECT: &[(&str, Shape)] = &[
    ("outcome", Shape::Any),
    ("connector", Shape::Any),
    ("notConnector", Shape::Any),
    ("deliveryType", Shape::Any),
    ("nextHop", Shape::Any),
    ("primarySite", Shape::Any),
    ("path", Shape::Any),
    ("cost", Shape::Any),
    ("stops", Shape::Any),
    ("targets", Shape::Any),
    ("status", Shape::Any),
    ("rule", Shape::Any),
    ("resolved", Shape::Any),
    ("members", Shape::Any),
    ("eliminated", Shape::Any),
];

/// A test file that can be run.
pub(super) struct TestFile {
    pub defaults: Defaults,
    pub tests: Vec<Test>,
}

/// One assertion.
pub(super) struct Test {
    /// Where it stands in the file, from one.
    pub line: u64,
    pub name: Option<String>,
    pub recipients: Vec<Address>,
    pub from: Option<Vec<ServerName>>,
    pub sender: Option<Sender>,
    pub size: Option<ByteSize>,
    pub expect: Expectations,
}

/// What tests do not say themselves.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Defaults {
    #[serde(deserialize_with = "some_of")]
    pub from: Option<Vec<ServerName>>,
    #[serde(deserialize_with = "parsed")]
    pub sender: Option<Sender>,
    #[serde(deserialize_with = "parsed")]
    pub size: Option<ByteSize>,
}

/// What is expected of an answer; each key is compared with the field of `postroad explain --json` of that name.
#[derive(Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Expectations {
    #[serde(deserialize_with = "ending")]
    pub outcome: Option<Ending>,
    pub connector: Option<String>,
    /// Connectors that must not be selected, for any member of a group.
    #[serde(deserialize_with = "some_of")]
    pub not_connector: Option<Vec<String>>,
    #[serde(deserialize_with = "delivery_type")]
    pub delivery_type: Option<DeliveryType>,
    /// The domain of the next hop.
    pub next_hop: Option<String>,
    pub primary_site: Option<String>,
    #[serde(deserialize_with = "some_of")]
    pub path: Option<Vec<String>>,
    pub cost: Option<u64>,
    #[serde(deserialize_with = "some_of")]
    pub stops: Option<Vec<String>>,
    #[serde(deserialize_with = "some_of")]
    pub targets: Option<Vec<String>>,
    pub status: Option<String>,
    pub rule: Option<String>,
    pub resolved: Option<String>,
    /// Final recipients of a group, in any order.
    #[serde(deserialize_with = "some_of")]
    pub members: Option<Vec<String>>,
    /// Connectors, each with the rule that eliminates it.
    pub eliminated: Option<BTreeMap<String, String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    defaults: Defaults,
    tests: Vec<Spanned<TestForm>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TestForm {
    name: Option<String>,
    #[serde(default, deserialize_with = "some_of")]
    recipient: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_of")]
    from: Option<Vec<ServerName>>,
    #[serde(default, deserialize_with = "parsed")]
    sender: Option<Sender>,
    #[serde(default, deserialize_with = "parsed")]
    size: Option<ByteSize>,
    expect: Expectations,
}

/// Reads `path`; else everything that is wrong, each with its position.
pub(super) fn read(path: &Path) -> Result<TestFile, Vec<String>> {
    let name = path.display();
    let mut text = String::new();
    let octets = std::fs::File::open(path)
        .and_then(|file| file.take(OCTETS_MAX + 1).read_to_string(&mut text))
        .map_err(|error| vec![format!("cannot read {name}: {error}")])?;
    if u64::try_from(octets).unwrap_or(u64::MAX) > OCTETS_MAX {
        return Err(vec![format!("{name} has more than {OCTETS_MAX} octets; split it")]);
    }
    parse(&text).map_err(|errors| errors.iter().map(|error| format!("{name}:{error}")).collect())
}

/// Parses a test file; an error begins with its position. What is no YAML is told alone, and so are keys that nobody knows, all of
/// them.
fn parse(text: &str) -> Result<TestFile, Vec<String>> {
    let unknown = organization::unknown_keys(text, SHAPE);
    if !unknown.is_empty() {
        return Err(unknown.iter().map(ToString::to_string).collect());
    }
    let form: Form = serde_saphyr::from_str(text).map_err(|error| {
        let text = error.without_snippet().to_string();
        let Some(at) = error.location().filter(|location| location.line() > 0) else { return vec![format!(" {text}")] };
        let (line, column) = (at.line(), at.column());
        let twice = format!(" at line {line}, column {column}");
        vec![format!("{line}:{column}: {}", text.strip_suffix(&twice).unwrap_or(&text))]
    })?;
    if form.tests.is_empty() {
        return Err(vec![" there is no test in it: add one under `tests:`".to_owned()]);
    }
    let mut problems = Vec::new();
    let tests = form.tests.into_iter().filter_map(|form| test(form, &mut problems)).collect();
    if problems.is_empty() { Ok(TestFile { defaults: form.defaults, tests }) } else { Err(problems) }
}

fn test(form: Spanned<TestForm>, problems: &mut Vec<String>) -> Option<Test> {
    let (line, column) = (form.referenced.line(), form.referenced.column());
    let TestForm { name, recipient, from, sender, size, expect } = form.value;
    let before = problems.len();
    if expect == Expectations::default() {
        problems.push(format!("{line}:{column}: the test expects nothing: name something under `expect:`"));
    }
    let mut recipients = Vec::new();
    for text in recipient.iter().flatten() {
        match Address::parse(text) {
            Ok(address) => recipients.push(address),
            Err(error) => problems.push(format!("{line}:{column}: recipient {text:?}: {error}")),
        }
    }
    if recipients.is_empty() && problems.len() == before {
        problems.push(format!("{line}:{column}: the test has no recipient"));
    }
    (problems.len() == before).then_some(Test { line, name, recipients, from, sender, size, expect })
}

/// A scalar that is parsed from its text.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Some(Parsed::deserialize(deserializer)?.0))
}

fn delivery_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeliveryType>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = || DeliveryType::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", ");
    text.parse()
        .map(Some)
        .map_err(|()| de::Error::custom(format!("{text} is no delivery type: it is one of {}", known())))
}

fn ending<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ending>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let ending = Ending::ALL.into_iter().find(|known| known.as_str() == text);
    ending.map(Some).ok_or_else(|| {
        let known = Ending::ALL.map(Ending::as_str).join(", ");
        de::Error::custom(format!("{text} is no outcome: it is one of {known}"))
    })
}

/// One scalar, or a list of them.
fn some_of<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    struct SomeOf<T>(std::marker::PhantomData<T>);
    impl<'de, T: FromStr<Err: Display>> Visitor<'de> for SomeOf<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            Ok(vec![text.parse().map_err(E::custom)?])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(Parsed(item)) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_any(SomeOf(std::marker::PhantomData)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_is_asked_and_expected() {
        let file = parse(
            "defaults: {from: [A1, B1], size: 5MB}\ntests:\n  - recipient: [a@x.example, b@x.example]\n    sender: <>\n    \
             expect: {outcome: route, notConnector: Internet, cost: 11, eliminated: {Internet: RT-50}}\n",
        )
        .unwrap();
        let test = &file.tests[0];
        assert_eq!((test.line, test.recipients.len(), &test.sender), (3, 2, &Some(Sender::Null)));
        assert_eq!(file.defaults.from.as_ref().map(Vec::len), Some(2));
        assert_eq!(test.expect.not_connector.as_deref(), Some(&["Internet".to_owned()][..]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_position() {
        for (text, expected) in [
            (
                "tests:\n  - recipient: a@x.example\n    expects: {}\n",
                "3:5: error: tests[1].expects: there is no such key; did you mean expect?",
            ),
            ("tests:\n  - recipient: a@x.example\n    expect: {connecter: X}\n", "3:14: "),
            ("tests:\n  - recipient: a\n    expect: {connector: X}\n", "2:5: recipient \"a\": "),
            ("tests:\n  - recipient: a@x.example\n    expect: {outcome: lost}\n", "3:23: "),
            ("tests:\n  - recipient: a@x.example\n    expect: {deliveryType: Pigeon}\n", "3:28: "),
            ("tests:\n  - recipient: a@x.example\n    expect: {}\n", "2:5: the test expects nothing"),
            ("tests:\n  - expect: {outcome: ndr}\n", "2:5: "),
            ("tests: []\n", " there is no test"),
            ("tests: [\n", "1:8: "),
        ] {
            let error = parse(text).err().unwrap();
            assert!(error[0].starts_with(expected), "{text}{expected}\n{error:?}");
        }
    }

    #[test]
    fn keys_that_nobody_knows_are_told_at_once() {
        let text = "default: {}\ntests:\n  - {recipients: a, expect: {costs: 1}}\n  - {recipient: a@x.y, expect: {cost: 1}, frm: A}\n";
        let errors = parse(text).err().unwrap();
        let places: Vec<&str> = errors.iter().filter_map(|error| error.split(" error: ").next()).collect();
        assert_eq!(places, ["1:1:", "3:6:", "3:30:", "4:43:"], "{errors:?}");
    }

    #[test]
    fn the_shape_has_every_key_that_is_read() {
        for place in ["{}", "{defaults: {}, tests: []}", "tests: [{}]", "tests: [{recipient: a@x.y, expect: {}}]"] {
            let text = place.replacen("{}", "{nothing: 1}", 1);
            let error = serde_saphyr::from_str::<Form>(&text).err().unwrap().without_snippet().to_string();
            let (_, names) = error.split_once("expected ").unwrap_or_else(|| panic!("{text}: {error}"));
            let names = names.split(" at line ").next().unwrap().trim_start_matches("one of ");
            for name in names.split(", ").flat_map(|name| name.split(" or ")).map(|name| name.trim_matches('`')) {
                let text = place.replacen("{}", &format!("{{{name}: 1}}"), 1);
                assert!(organization::unknown_keys(&text, SHAPE).is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn everything_that_is_wrong_with_the_tests_is_told_at_once() {
        let text = "tests:\n  - {recipient: a, expect: {}}\n  - {expect: {cost: 1}}\n  - {recipient: [x@y.z, b], expect: {cost: 1}}\n";
        let errors = parse(text).err().unwrap();
        assert_eq!(errors.len(), 4, "{errors:?}");
    }
}
