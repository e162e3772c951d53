//! Formatting and writing: `Format-*`, `Out-*`, `Write-*` (SH-60…SH-68).

use super::{Row, Wanted, wanted};
use crate::binder::Bound;
use crate::console::Stream;
use crate::display::{Column, Display, FORMATTED, TableStyle, formatted, list, properties, table, wide};
use crate::failure::Failure;
use crate::machine::{Machine, Run, Sink};
use crate::tree::Extent;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "Format-List",
        aliases: &["fl"],
        synopsis: "Shows properties one below the other.",
        parameters: "0Property* GroupBy* Expand Force?",
        what: format_list,
    },
    Row {
        name: "Format-Table",
        aliases: &["ft"],
        synopsis: "Shows properties beside each other.",
        parameters: "0Property* AutoSize? Wrap? HideTableHeaders? GroupBy* Expand Force?",
        what: format_table,
    },
    Row {
        name: "Format-Wide",
        aliases: &["fw"],
        synopsis: "Shows one property in columns.",
        parameters: "0Property* Column# AutoSize? GroupBy* Force?",
        what: format_wide,
    },
    Row { name: "Out-Null", aliases: &[], synopsis: "Shows nothing.", parameters: "", what: |_, _, _, _, _| Ok(()) },
    Row { name: "Out-Default", aliases: &[], synopsis: "Shows objects.", parameters: "", what: out_host },
    Row { name: "Out-Host", aliases: &["oh"], synopsis: "Shows objects.", parameters: "Paging?", what: out_host },
    Row {
        name: "Out-String",
        aliases: &[],
        synopsis: "Objects as the text that would be shown.",
        parameters: "Width# Stream?",
        what: out_string,
    },
    Row {
        name: "Out-File",
        aliases: &[],
        synopsis: "Writes what would be shown into a file.",
        parameters: "0FilePath Encoding Append? Width# Force? NoClobber?",
        what: out_file,
    },
    Row {
        name: "Write-Host",
        aliases: &[],
        synopsis: "Shows a text.",
        parameters: "0Object+ ForegroundColor BackgroundColor NoNewline? Separator*",
        what: write_host,
    },
    Row { name: "Write-Warning", aliases: &[], synopsis: "Warns.", parameters: "0Message*", what: write_warning },
    Row {
        name: "Write-Error",
        aliases: &[],
        synopsis: "Tells a failure.",
        parameters: "0Message* Category ErrorId TargetObject*",
        what: write_error,
    },
    Row { name: "Write-Verbose", aliases: &[], synopsis: "Tells more.", parameters: "0Message*", what: write_verbose },
    Row {
        name: "Write-Information",
        aliases: &[],
        synopsis: "Tells something.",
        parameters: "0MessageData*",
        what: |_, _, _, _, _| Ok(()),
    },
    Row {
        name: "Write-Progress",
        aliases: &[],
        synopsis: "Accepted; nothing is drawn.",
        parameters: "0Activity 1Status 2Id# PercentComplete# CurrentOperation Completed?",
        what: |_, _, _, _, _| Ok(()),
    },
    Row {
        name: "Clear-Host",
        aliases: &["cls", "clear"],
        synopsis: "Empties the screen.",
        parameters: "",
        what: |machine, _, _, _, _| {
            machine.write(Stream::Host, "\u{1b}[2J\u{1b}[H");
            Ok(())
        },
    },
];

/// Objects as they would be shown.
pub(super) fn as_shown(machine: &Machine, items: &[Value]) -> String {
    let looks = machine.looks();
    let mut display = Display::default();
    for item in items {
        let view = display.wants_view(item).map(|of| machine.commands.view(&of)).unwrap_or_default();
        display.push(item, view, looks);
    }
    display.flush(looks);
    display.take()
}

/// What was formatted before is shown as it is; it is no object any more (SH-66).
fn already(machine: &mut Machine, items: &[Value], next: &mut dyn Sink) -> Option<Run<()>> {
    let is_formatted = |item: &Value| matches!(item, Value::Object(object) if &*object.of == FORMATTED);
    let texts = items.iter().all(|item| {
        is_formatted(item) || matches!(item, Value::Text(_) | Value::Whole(_) | Value::Real(_) | Value::Bool(_))
    });
    (texts && !items.is_empty()).then(|| items.iter().try_for_each(|item| next.push(machine, item.clone())))
}

/// Runs of objects with the same value of a property, each under its heading.
fn grouped(
    machine: &mut Machine,
    bound: &Bound,
    items: &[Value],
    show: &mut dyn FnMut(&mut Machine, &[Value]) -> Run<String>,
) -> Run<String> {
    let Some(by) = bound.get("GroupBy") else { return show(machine, items) };
    let Some(key) = wanted(by, items.first().unwrap_or(&Value::Null)).into_iter().next() else {
        return show(machine, items);
    };
    let (mut text, mut start) = (String::new(), 0);
    let mut values = Vec::new();
    for item in items {
        values.push(key.value(machine, item)?.text());
    }
    while start < items.len() {
        let length = values[start..].iter().take_while(|value| **value == values[start]).count();
        text.push_str(&format!("\n   {}: {}\n", key.label, values[start]));
        text.push_str(&show(machine, &items[start..start + length])?);
        start += length;
    }
    Ok(text)
}

fn column(wanted: &Wanted) -> Column {
    Column { label: wanted.label.clone(), width: wanted.width, right: wanted.right, form: wanted.form.clone() }
}

fn format_list(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    if let Some(done) = already(machine, items, next) {
        return done;
    }
    let given = bound.get("Property").cloned().unwrap_or_else(|| Value::of("*"));
    let text = grouped(machine, bound, items, &mut |machine, items| {
        let looks = machine.looks();
        let mut objects = Vec::new();
        for item in items {
            let mut rows = Vec::new();
            for one in wanted(&given, item) {
                let value = one.value(machine, item)?;
                rows.push((column(&one), value));
            }
            objects.push(rows);
        }
        Ok(list(&objects, looks))
    })?;
    next.push(machine, formatted(&text))
}

fn format_table(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    if let Some(done) = already(machine, items, next) {
        return done;
    }
    let Some(sample) = items.first().cloned() else { return Ok(()) };
    let columns: Vec<Wanted> = match bound.get("Property") {
        Some(given) => wanted(given, &sample),
        None => default_columns(machine, &sample),
    };
    let style = TableStyle {
        auto_size: bound.is_on("AutoSize"),
        wrap: bound.is_on("Wrap"),
        bare: bound.is_on("HideTableHeaders"),
    };
    let text = grouped(machine, bound, items, &mut |machine, items| {
        let looks = machine.looks();
        let mut rows = Vec::new();
        for item in items {
            let row: Run<Vec<Value>> = columns.iter().map(|one| one.value(machine, item)).collect();
            rows.push(row?);
        }
        let heads: Vec<Column> = columns.iter().map(column).collect();
        let (text, lost) = table(&heads, &rows, style, looks);
        if lost > 0 {
            let plural = if lost == 1 { "column" } else { "columns" };
            machine.warning(&format!("{lost} {plural} not shown: the terminal is {} columns wide.", looks.width));
        }
        Ok(text)
    })?;
    next.push(machine, formatted(&text))
}

fn default_columns(machine: &Machine, sample: &Value) -> Vec<Wanted> {
    let view = match sample {
        Value::Object(object) => machine.commands.view(&object.of),
        _ => Vec::new(),
    };
    if view.is_empty() {
        return properties(sample).iter().take(10).map(|(name, _)| Wanted::named(name)).collect();
    }
    view.iter().map(|(label, name)| Wanted { label: (*label).into(), ..Wanted::named(name) }).collect()
}

fn format_wide(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    if let Some(done) = already(machine, items, next) {
        return done;
    }
    let columns = match bound.get("Column") {
        Some(Value::Whole(columns)) => usize::try_from(*columns).ok(),
        _ => None,
    };
    let given = bound.get("Property").cloned().unwrap_or_else(|| Value::of("Name"));
    let looks = machine.looks();
    let mut texts = Vec::new();
    for item in items {
        if let Some(one) = wanted(&given, item).first() {
            texts.push(one.value(machine, item)?.text());
        }
    }
    next.push(machine, formatted(&wide(&texts, columns, looks)))
}

fn out_host(machine: &mut Machine, _: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    let text = as_shown(machine, items);
    machine.write(Stream::Host, &text);
    Ok(())
}

fn out_string(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let text = as_shown(machine, items);
    if bound.is_on("Stream") {
        return text.lines().try_for_each(|line| next.push(machine, Value::of(line)));
    }
    next.push(machine, Value::of(text))
}

fn out_file(machine: &mut Machine, bound: &Bound, items: &[Value], place: Extent, _: &mut dyn Sink) -> Run<()> {
    let Some(path) = bound.text("FilePath") else {
        return Err(
            Failure::of_language("MissingMandatoryParameter", "Out-File needs the name of a file.", place).into()
        );
    };
    let text = as_shown(machine, items);
    let saved = machine.console.save(&path, text.as_bytes(), bound.is_on("Append"));
    Ok(saved.map_err(|why| Failure::new("OpenError", "FileOpenFailure", why))?)
}

fn write_host(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    let separator = bound.text("Separator").unwrap_or_else(|| " ".to_owned());
    let given = bound.get("Object").map_or_else(|| items.to_vec(), Value::each);
    let text = given.iter().map(Value::text).collect::<Vec<_>>().join(&separator);
    let end = if bound.is_on("NoNewline") { "" } else { "\n" };
    machine.write(Stream::Host, &format!("{text}{end}"));
    Ok(())
}

fn message(bound: &Bound, items: &[Value]) -> String {
    bound.text("Message").unwrap_or_else(|| items.iter().map(Value::text).collect::<Vec<_>>().join(" "))
}

fn write_warning(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    let silent = bound.common("WarningAction").is_some_and(|action| super::super::pipeline::is_silent(&action.text()))
        || super::super::pipeline::is_silent(&machine.variable("warningpreference").text());
    if !silent {
        machine.warning(&message(bound, items));
    }
    Ok(())
}

fn write_error(machine: &mut Machine, bound: &Bound, items: &[Value], place: Extent, _: &mut dyn Sink) -> Run<()> {
    let text = message(bound, items);
    let id = bound.text("ErrorId").unwrap_or_else(|| "Microsoft.PowerShell.Commands.WriteErrorException".into());
    machine.failed_in(Failure::new("NotSpecified", &id, text).at(place), bound, "Write-Error")
}

fn write_verbose(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    let wanted = bound
        .common("Verbose")
        .map_or_else(|| machine.variable("verbosepreference").text().eq_ignore_ascii_case("continue"), Value::truth);
    if wanted {
        machine.write(Stream::Verbose, &message(bound, items));
    }
    Ok(())
}
