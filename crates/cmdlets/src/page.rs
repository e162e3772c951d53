//! `docs/cmdlets.md`, every documented command with its parameters and its state, and the module for PowerShell: made from the
//! catalogue.

use std::fmt::Write as _;

use shell::Signature;

use crate::catalogue::signatures;

const TEXT: &str = "a text can be written to";

/// The page.
#[must_use]
pub fn cmdlets() -> String {
    let mut page = String::from(INTRODUCTION);
    let all = signatures();
    for signature in all.iter().filter(|signature| signature.absent.is_none()) {
        write!(page, "\n## {}\n\n{}", signature.name, signature.synopsis).expect(TEXT);
        if !signature.aliases.is_empty() {
            write!(page, " Also `{}`.", signature.aliases.join("`, `")).expect(TEXT);
        }
        page.push_str("\n\n| parameter | takes | what it does |\n|---|---|---|\n");
        for parameter in signature.parameters.iter().filter(|parameter| !parameter.absent) {
            let place = parameter.position.map_or_else(String::new, |place| format!(", argument {}", place + 1));
            let must = if parameter.mandatory { ", required" } else { "" };
            let help = match &parameter.retired {
                Some(today) => format!("Refused: it is not available any more; {today}."),
                None => parameter.help.to_string(),
            };
            let values = parameter.takes.values().join(", ");
            let takes = if values.is_empty() || values.starts_with('$') { parameter.takes.name() } else { values };
            let cells = [format!("`{}`", parameter.name), format!("{takes}{place}{must}"), help];
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('<', "&lt;")).collect();
            writeln!(page, "| {} |", cells.join(" | ")).expect(TEXT);
        }
        page.push_str(&refused(signature));
        page.push_str("\n```powershell\n");
        for (command, meaning) in &signature.examples {
            writeln!(page, "{command}   # {meaning}").expect(TEXT);
        }
        page.push_str("```\n");
    }
    page.push_str(
        "\n## Not available yet\n\nThese are documented and known here: each answers that it is not available yet, why, and what to do instead.\n\n\
         | command | why, and what to do |\n|---|---|\n",
    );
    for signature in all.iter().filter(|signature| signature.absent.is_some()) {
        let why = signature.absent.as_deref().unwrap_or_default();
        writeln!(page, "| `{}` | {why} |", signature.name).expect(TEXT);
    }
    page
}

/// Documented parameters that are refused, by the reason.
fn refused(signature: &Signature) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for parameter in signature.parameters.iter().filter(|parameter| parameter.absent) {
        let why = parameter.retired.as_deref().unwrap_or_default();
        let name = format!("`{}`", parameter.name);
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nDocumented, and refused:\n\n");
    for (why, names) in reasons {
        writeln!(text, "- {}: {why}.", names.join(", ")).expect(TEXT);
    }
    text
}

/// `deploy/powershell/Postroad.psm1`: a function for each command that there is.
#[must_use]
pub fn module() -> String {
    let all = signatures();
    let names =
        all.iter().filter(|signature| signature.absent.is_none()).map(|signature| format!("    '{}'", signature.name));
    MODULE.replace("@COMMANDS@", &names.collect::<Vec<_>>().join("\n"))
}

const MODULE: &str = include_str!("module.psm1");

const INTRODUCTION: &str = "\
# Commands of the management shell

<!-- Made from the catalogue by a test of crate cmdlets; POSTROAD_REWRITE=1 writes it anew. -->

Every documented command with its parameters, as `postroad shell` knows them. Each takes the common parameters, and each that
changes something `-WhatIf` and `-Confirm`. What a property does is in `docs/properties.md`; `Get-Help NAME -Full` tells the same.
";
