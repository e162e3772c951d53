//! The session: dates, variables, credentials, objects of its own (SH-51, SH-54).

use std::rc::Rc;

use super::Row;
use crate::binder::Bound;
use crate::cast::{cast, credential, short};
use crate::failure::Failure;
use crate::layout::dated;
use crate::machine::{Machine, Run, Sink};
use crate::tree::Extent;
use crate::value::{Object, Secret, Value};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "Get-Date",
        aliases: &[],
        synopsis: "The time of now, or a date.",
        parameters: "0Date* Format UFormat",
        what: get_date,
    },
    Row {
        name: "New-TimeSpan",
        aliases: &[],
        synopsis: "A length of time.",
        parameters: "0Start* 1End* Days# Hours# Minutes# Seconds#",
        what: new_time_span,
    },
    Row {
        name: "Get-Variable",
        aliases: &["gv"],
        synopsis: "A variable.",
        parameters: "0Name* ValueOnly?",
        what: get_variable,
    },
    Row {
        name: "Set-Variable",
        aliases: &["sv", "set"],
        synopsis: "Gives a variable its value.",
        parameters: "0Name 1Value* Scope",
        what: set_variable,
    },
    Row {
        name: "Get-Credential",
        aliases: &[],
        synopsis: "Asks for a user and a password, which is not shown.",
        parameters: "0Credential* UserName Message",
        what: get_credential,
    },
    Row {
        name: "ConvertTo-SecureString",
        aliases: &[],
        synopsis: "A text that is not shown any more.",
        parameters: "0String AsPlainText? Force?",
        what: to_secret,
    },
    Row {
        name: "Read-Host",
        aliases: &[],
        synopsis: "Asks for a line.",
        parameters: "0Prompt* AsSecureString?",
        what: read_host,
    },
    Row {
        name: "New-Object",
        aliases: &[],
        synopsis: "A credential, a list, or an object with properties.",
        parameters: "0TypeName 1ArgumentList* Property*",
        what: new_object,
    },
    Row {
        name: "Add-Member",
        aliases: &[],
        synopsis: "Adds a property to objects.",
        parameters: "0NotePropertyName 1NotePropertyValue* MemberType Name Value* PassThru? Force?",
        what: add_member,
    },
    Row {
        name: "Start-Sleep",
        aliases: &["sleep"],
        synopsis: "Accepted, and does not wait: a script here waits for nothing.",
        parameters: "0Seconds* Milliseconds#",
        what: |_, _, _, _, _| Ok(()),
    },
    Row {
        name: "Set-StrictMode",
        aliases: &[],
        synopsis: "Accepted without effect.",
        parameters: "Version* Off?",
        what: |_, _, _, _, _| Ok(()),
    },
];

fn get_date(machine: &mut Machine, bound: &Bound, items: &[Value], place: Extent, next: &mut dyn Sink) -> Run<()> {
    let given = bound.get("Date").cloned().or_else(|| items.first().cloned());
    let date = match given {
        Some(given) => cast("datetime", &given, place)?,
        None => Value::Date(machine.console.now()),
    };
    let shown = match (&date, bound.text("Format")) {
        (Value::Date(date), Some(form)) => Value::of(dated(*date, &form)),
        _ => date,
    };
    next.push(machine, shown)
}

fn new_time_span(machine: &mut Machine, bound: &Bound, _: &[Value], place: Extent, next: &mut dyn Sink) -> Run<()> {
    if let Some(start) = bound.get("Start") {
        let start = cast("datetime", start, place)?;
        let end = match bound.get("End") {
            Some(end) => cast("datetime", end, place)?,
            None => Value::Date(machine.console.now()),
        };
        let span = crate::operator::arithmetic('-', &end, &start, place)?;
        return next.push(machine, span);
    }
    let part = |name: &str, seconds: i64| match bound.get(name) {
        Some(Value::Whole(count)) => count.saturating_mul(seconds),
        _ => 0,
    };
    let seconds = part("Days", 86_400) + part("Hours", 3600) + part("Minutes", 60) + part("Seconds", 1);
    next.push(machine, Value::Span(seconds.saturating_mul(crate::value::TICKS)))
}

fn get_variable(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let wanted = bound.text("Name").unwrap_or_else(|| "*".to_owned()).to_ascii_lowercase();
    let (mut names, _) = machine.names();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| crate::wildcard::like(name, &wanted, false)) {
        let value = machine.variable(&name);
        if bound.is_on("ValueOnly") {
            next.push(machine, value)?;
            continue;
        }
        let properties = vec![("Name".into(), Value::of(name)), ("Value".into(), value)];
        next.push(machine, Value::Object(Object::new("System.Management.Automation.PSVariable", None, properties)))?;
    }
    Ok(())
}

fn set_variable(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    let value = bound.get("Value").cloned().unwrap_or_else(|| Value::unrolled(items.to_vec()));
    let name = bound.text("Name").unwrap_or_default().to_ascii_lowercase();
    machine.set(&name, value);
    Ok(())
}

fn nobody() -> Failure {
    Failure::new("InvalidOperation", "InteractionRequired", "There is nobody to ask.")
        .advise("run it in a terminal, or set POSTROAD_CREDENTIAL_USER and POSTROAD_CREDENTIAL_PASSWORD")
}

fn get_credential(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    if let Some(given @ Value::Object(_)) = bound.get("Credential") {
        return next.push(machine, given.clone());
    }
    let user = bound.text("UserName").or_else(|| bound.text("Credential"));
    let user = user.or_else(|| machine.console.environment("POSTROAD_CREDENTIAL_USER"));
    let message = bound.text("Message").unwrap_or_else(|| "Supply values for the following parameters:".to_owned());
    let user = match user {
        Some(user) => user,
        None => machine.console.ask(&format!("{message}\nUser name: "), false).ok_or_else(nobody)?,
    };
    let password = match machine.console.environment("POSTROAD_CREDENTIAL_PASSWORD") {
        Some(password) => password,
        None => machine.console.ask(&format!("Password for user {user}: "), true).ok_or_else(nobody)?,
    };
    next.push(machine, credential(&user, password.into()))
}

fn to_secret(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let text = bound.text("String").or_else(|| items.first().map(Value::text)).unwrap_or_default();
    if !bound.is_on("AsPlainText") {
        let message = "Only -AsPlainText is possible: what another machine protected cannot be opened here.";
        return Err(Failure::new("InvalidArgument", "ProtectedString", message).into());
    }
    next.push(machine, Value::Secret(Secret(text.into())))
}

fn read_host(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let prompt = bound.text("Prompt").map_or_else(String::new, |prompt| format!("{prompt}: "));
    let secret = bound.is_on("AsSecureString");
    let answer: Rc<str> = machine.console.ask(&prompt, secret).ok_or_else(nobody)?.into();
    next.push(machine, if secret { Value::Secret(Secret(answer)) } else { Value::Text(answer) })
}

fn new_object(machine: &mut Machine, bound: &Bound, _: &[Value], place: Extent, next: &mut dyn Sink) -> Run<()> {
    let name = bound.text("TypeName").unwrap_or_default();
    let arguments = bound.get("ArgumentList").map(Value::each).unwrap_or_default();
    let made = match short(&name).as_str() {
        "pscredential" => match &arguments[..] {
            [user, Value::Secret(secret)] => credential(&user.text(), secret.0.clone()),
            _ => {
                let message = "A credential is made of a user name and a secure string.";
                return Err(Failure::of_language("ConstructorInvokedThrowException", message, place).into());
            }
        },
        "psobject" | "pscustomobject" | "object" => {
            let properties = match bound.get("Property") {
                Some(table @ Value::Table(_)) => crate::display::properties(table),
                _ => Vec::new(),
            };
            Value::Object(Object::new("", None, properties))
        }
        "arraylist" | "list" => {
            // One object, not its items.
            return next.push(machine, Value::list(Vec::new()));
        }
        _ => {
            let message =
                format!("Cannot find type [{name}]: verify that the assembly containing this type is loaded.");
            return Err(Failure::of_language("TypeNotFound", message, place)
                .advise("this shell has its own closed list of types; .NET is not behind it")
                .into());
        }
    };
    next.push(machine, made)
}

fn add_member(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let name = bound.text("NotePropertyName").or_else(|| bound.text("Name")).unwrap_or_default();
    let value = bound.get("NotePropertyValue").or_else(|| bound.get("Value")).cloned().unwrap_or_default();
    for item in items {
        if let Value::Object(object) = item {
            object.add(&name, value.clone());
        }
        if bound.is_on("PassThru") {
            next.push(machine, item.clone())?;
        }
    }
    Ok(())
}
