//! A world for tests: what was written is kept, files are in memory, and there are two commands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use time::OffsetDateTime;

use crate::console::{Call, Commands, Console, Objects, Session, Stream};
use crate::failure::Failure;
use crate::machine::{Ended, Machine};
use crate::signature::{Parameter, Signature, Takes};
use crate::value::{Object, Value};

/// What is shared between the world and whoever looks.
#[derive(Default)]
pub(crate) struct Seen {
    pub out: String,
    pub errors: String,
    pub files: HashMap<String, Vec<u8>>,
    pub answers: Vec<String>,
}

struct Screen(Rc<RefCell<Seen>>);

impl Console for Screen {
    fn now(&mut self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
    fn write(&mut self, stream: Stream, text: &str) {
        let mut seen = self.0.borrow_mut();
        match stream {
            Stream::Error => seen.errors.push_str(text),
            Stream::Warning => seen.out.push_str(&format!("WARNING: {text}\n")),
            _ => seen.out.push_str(text),
        }
    }
    fn ask(&mut self, prompt: &str, _: bool) -> Option<String> {
        let mut seen = self.0.borrow_mut();
        seen.out.push_str(prompt);
        if seen.answers.is_empty() { None } else { Some(seen.answers.remove(0)) }
    }
    fn width(&self) -> usize {
        80
    }
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.borrow().files.get(path).cloned().ok_or_else(|| format!("{path} is not there"))
    }
    fn save(&mut self, path: &str, octets: &[u8], append: bool) -> Result<(), String> {
        let mut seen = self.0.borrow_mut();
        let file = seen.files.entry(path.to_owned()).or_default();
        if !append {
            file.clear();
        }
        file.extend_from_slice(octets);
        Ok(())
    }
    fn keep(&mut self, path: &str, octets: &[u8], _: bool) -> Result<(), String> {
        self.save(path, octets, false)
    }
    fn environment(&self, name: &str) -> Option<String> {
        (name == "NAME").then(|| "value".to_owned())
    }
    fn guid(&mut self) -> String {
        "6f0f7c3e-52b1-4f0e-9a3c-1d2e3f405060".to_owned()
    }
    fn interrupted(&mut self) -> bool {
        false
    }
}

struct Library {
    connectors: Vec<Rc<Object>>,
}

fn connector(name: &str, enabled: bool, tls: bool, spaces: &[&str], hosts: &[&str], size: Option<u64>) -> Rc<Object> {
    let texts = |texts: &[&str]| Value::list(texts.iter().map(|text| Value::of(*text)).collect());
    Object::new(
        "SendConnector",
        Some(name),
        vec![
            ("Name".into(), Value::of(name)),
            ("Enabled".into(), Value::Bool(enabled)),
            ("RequireTLS".into(), Value::Bool(tls)),
            ("AddressSpaces".into(), texts(spaces)),
            ("SmartHosts".into(), texts(hosts)),
            ("MaxMessageSize".into(), Value::Limit(size.map(|size| Rc::new(Value::Size(size))))),
        ],
    )
}

impl Commands for Library {
    fn signatures(&self) -> Vec<Rc<Signature>> {
        let identity = |required: bool| Parameter {
            mandatory: required,
            ..Parameter::new("Identity", Takes::Text, "Which.").at(0).piped()
        };
        let set = Signature {
            name: "Set-SendConnector".into(),
            parameters: vec![
                identity(true),
                Parameter::new("Enabled", Takes::Bool, "Whether."),
                Parameter::new("SourcePort", Takes::Whole(-10, 10), "A number."),
                Parameter::new("Comment", Takes::Text, "Text."),
                Parameter::new("SmartHosts", Takes::List, "Hosts."),
                Parameter::new("Force", Takes::Switch, "No warnings."),
            ],
            changes: true,
            ..Signature::default()
        };
        let remove = Signature {
            name: "Remove-SendConnector".into(),
            parameters: vec![identity(true)],
            changes: true,
            asks: true,
            ..Signature::default()
        };
        let get = Signature {
            name: "Get-SendConnector".into(),
            parameters: vec![
                identity(false).of_sets(&["Identity"]),
                Parameter::new("Server", Takes::Text, "Where.").of_sets(&["Server"]),
            ],
            returns: "SendConnector".into(),
            ..Signature::default()
        };
        [get, set, remove].into_iter().map(Rc::new).collect()
    }

    fn invoke(&mut self, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
        let wanted = call.bound.text("Identity");
        let found: Vec<Rc<Object>> = self
            .connectors
            .iter()
            .filter(|one| wanted.as_ref().is_none_or(|name| one.get("Name").unwrap().text().eq_ignore_ascii_case(name)))
            .cloned()
            .collect();
        if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
            let message = format!("The operation couldn't be performed because object '{wanted}' couldn't be found.");
            return Err(Failure::new("InvalidData", "ManagementObjectNotFoundException", message));
        }
        if &*call.signature.name == "Get-SendConnector" {
            return Ok(Box::new(found.into_iter().map(Value::Object)));
        }
        let verb = if call.signature.asks { "Removing" } else { "Setting" };
        for one in found {
            if !session.should(&format!("{verb} Send Connector \"{}\".", one.text.as_deref().unwrap()))? {
                continue;
            }
            for (name, value) in call.bound.all().iter().filter(|(name, _)| &**name != "Identity") {
                one.add(name, value.clone());
            }
            if verb == "Removing" {
                self.connectors.retain(|known| !Rc::ptr_eq(known, &one));
            }
        }
        Ok(Box::new(std::iter::empty()))
    }

    fn view(&self, of: &str) -> Vec<(&'static str, &'static str)> {
        if of == "SendConnector" { vec![("Identity", "Name"), ("Enabled", "Enabled")] } else { Vec::new() }
    }

    fn candidates(&mut self, command: &str, parameter: &str) -> Vec<String> {
        match (command, parameter) {
            (_, "Identity") => self.connectors.iter().map(|one| one.text.as_deref().unwrap().to_owned()).collect(),
            ("Get-SendConnector", "") => vec!["Name".to_owned(), "Enabled".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// A machine with the connectors A, B and C of the samples.
pub(crate) fn machine() -> (Machine, Rc<RefCell<Seen>>) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let size = 36_700_160;
    let connectors = vec![
        connector("To internet", true, false, &["SMTP:*;10"], &[], Some(size)),
        connector(
            "Outbound to cloud",
            true,
            true,
            &["SMTP:contoso.mail.example;1", "SMTP:groups.contoso.example;1"],
            &["contoso-example.mail.protection.example"],
            Some(size),
        ),
        connector(
            "Partner relay",
            false,
            true,
            &["SMTP:partner.example;1", "SMTP:*.partner.example;5", "X400:c=US;a=Fabrikam;P=Contoso;5"],
            &["[192.0.2.10]", "relay.partner.example"],
            None,
        ),
    ];
    let machine = Machine::new(Box::new(Screen(seen.clone())), Box::new(Library { connectors }));
    (machine, seen)
}

/// What is shown, without blank lines before and behind it and without blanks at the end of lines; and what failed.
pub(crate) fn run(text: &str) -> (String, String) {
    let (out, errors, _) = run_with(text, &[], &[]);
    (out, errors)
}

/// The same with files and answers.
pub(crate) fn run_with(text: &str, files: &[(&str, &str)], answers: &[&str]) -> (String, String, Ended) {
    let (mut machine, seen) = machine();
    seen.borrow_mut().files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    seen.borrow_mut().answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let ended = machine.run(text);
    let seen = seen.borrow();
    let out: Vec<&str> = seen.out.lines().map(str::trim_end).collect();
    (out.join("\n").trim_matches('\n').to_owned(), seen.errors.clone(), ended)
}
