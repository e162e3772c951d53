//! Help: which commands there are, what they take, what objects have (SH-51).

use std::rc::Rc;

use super::Row;
use crate::binder::Bound;
use crate::display::properties;
use crate::failure::Failure;
use crate::machine::{Machine, Run, Sink};
use crate::signature::{Parameter, Signature};
use crate::tree::Extent;
use crate::value::{Object, Value};
use crate::wildcard::{is_pattern, like};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "Get-Command",
        aliases: &["gcm"],
        synopsis: "Lists commands.",
        parameters: "0Name* Noun* Verb* CommandType",
        what: get_command,
    },
    Row {
        name: "Get-Help",
        aliases: &["help", "man"],
        synopsis: "What a command does and takes, with examples.",
        parameters: "0Name Full? Detailed? Examples? Parameter Online?",
        what: get_help,
    },
    Row {
        name: "Get-Member",
        aliases: &["gm"],
        synopsis: "The properties of objects.",
        parameters: "0Name* MemberType",
        what: get_member,
    },
    Row {
        name: "Get-Alias",
        aliases: &["gal"],
        synopsis: "Lists other names of commands.",
        parameters: "0Name*",
        what: get_alias,
    },
];

fn any(patterns: Option<&Value>, text: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.each().iter().any(|pattern| like(text, &pattern.text(), false)))
}

fn get_command(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let mut found = false;
    for signature in machine.signatures() {
        let (verb, noun) = signature.name.split_once('-').unwrap_or(("", &signature.name));
        if !any(bound.get("Name"), &signature.name) || !any(bound.get("Verb"), verb) || !any(bound.get("Noun"), noun) {
            continue;
        }
        found = true;
        let state = if signature.absent.is_some() { "not available yet" } else { "" };
        let properties = vec![
            ("CommandType".into(), Value::of("Cmdlet")),
            ("Name".into(), Value::Text(signature.name.clone())),
            ("State".into(), Value::of(state)),
            ("Synopsis".into(), Value::Text(signature.synopsis.clone())),
        ];
        next.push(machine, Value::Object(Object::new("", Some(&signature.name), properties)))?;
    }
    match bound.text("Name") {
        Some(name) if !found && !is_pattern(&name) => {
            let message = format!(
                "The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program."
            );
            Err(Failure::new("ObjectNotFound", "CommandNotFoundException", message).about(name).into())
        }
        _ => Ok(()),
    }
}

fn get_help(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let Some(name) = bound.text("Name") else {
        return next.push(machine, Value::of(GENERAL));
    };
    let Some(signature) = machine.signature(&name) else {
        let pattern = if is_pattern(&name) { name.clone() } else { format!("*{name}*") };
        let found: Vec<Rc<Signature>> =
            machine.signatures().into_iter().filter(|one| like(&one.name, &pattern, false)).collect();
        if found.is_empty() {
            let message = format!("Get-Help could not find {name} in a help file in this session.");
            return Err(Failure::new("ResourceUnavailable", "HelpNotFound", message)
                .advise("Get-Command lists what there is")
                .into());
        }
        for one in found {
            next.push(machine, Value::of(format!("{:<32}{}", one.name, one.synopsis)))?;
        }
        return Ok(());
    };
    let text = match bound.text("Parameter") {
        Some(wanted) => of_parameters(&signature, &wanted),
        None if bound.is_on("Examples") => examples(&signature),
        None => whole(&signature, bound.is_on("Full") || bound.is_on("Detailed")),
    };
    next.push(machine, Value::of(text))
}

fn whole(signature: &Signature, full: bool) -> String {
    let mut text = format!(
        "\nNAME\n    {}\n\nSYNOPSIS\n    {}\n\nSYNTAX\n    {}\n",
        signature.name,
        signature.synopsis,
        signature.syntax()
    );
    if let Some(why) = &signature.absent {
        text.push_str(&format!("\nSTATE\n    It is not available yet: {why}\n"));
    }
    if !signature.aliases.is_empty() {
        text.push_str(&format!("\nALIASES\n    {}\n", signature.aliases.join(", ")));
    }
    if full {
        text.push_str("\nPARAMETERS");
        text.push_str(&of_parameters(signature, "*"));
    }
    text + &examples(signature)
}

fn of_parameters(signature: &Signature, wanted: &str) -> String {
    let found =
        signature.parameters.iter().filter(|one| like(&one.name, wanted, false) && !one.name.starts_with('\u{1}'));
    found.map(described).collect()
}

fn described(parameter: &Parameter) -> String {
    let position = parameter.position.map_or_else(|| "named".to_owned(), |position| (position + 1).to_string());
    let values = parameter.takes.values();
    let values =
        if values.is_empty() { String::new() } else { format!("\n        One of          {}", values.join(", ")) };
    let help = match &parameter.retired {
        Some(today) => format!("Not available any more; {today}"),
        None => parameter.help.to_string(),
    };
    format!(
        "\n    -{} <{}>\n        {help}\n        Required        {}\n        Position        {position}\n        Pipeline input  {}{values}\n",
        parameter.name,
        parameter.takes.name(),
        parameter.mandatory,
        parameter.from_pipeline || parameter.from_property,
    )
}

fn examples(signature: &Signature) -> String {
    let numbered = signature.examples.iter().enumerate();
    numbered
        .map(|(at, (command, meaning))| format!("\n    Example {}: {meaning}\n    PS> {command}\n", at + 1))
        .collect()
}

fn get_member(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let mut seen: Vec<String> = Vec::new();
    for item in items {
        let of = item.type_name();
        if seen.contains(&of) {
            continue;
        }
        seen.push(of);
        let mut members: Vec<(Rc<str>, Value)> = properties(item);
        members.sort_by_key(|(name, _)| name.to_lowercase());
        for (name, value) in members.into_iter().filter(|(name, _)| any(bound.get("Name"), name)) {
            let of = value.type_name();
            let properties = vec![
                ("Name".into(), Value::Text(name.clone())),
                ("MemberType".into(), Value::of("Property")),
                ("Definition".into(), Value::of(format!("{of} {name} {{get;set;}}"))),
            ];
            next.push(machine, Value::Object(Object::new("", None, properties)))?;
        }
    }
    Ok(())
}

fn get_alias(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    for signature in machine.signatures() {
        for alias in signature.aliases.iter().filter(|alias| any(bound.get("Name"), alias)) {
            let properties = vec![
                ("Name".into(), Value::Text(alias.clone())),
                ("Definition".into(), Value::Text(signature.name.clone())),
            ];
            next.push(machine, Value::Object(Object::new("", None, properties)))?;
        }
    }
    Ok(())
}

const GENERAL: &str = "
Get-Command              lists every command; Get-Command *-SendConnector those of Send connectors.
Get-Help NAME            says what a command does and takes, with examples; -Full with every parameter.
NAME -WhatIf             says what a command would change, and changes nothing.
... | Get-Member         lists the properties of objects; ... | Format-List shows them.
exit                     leaves.
";
