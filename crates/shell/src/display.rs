//! How objects look: lists, tables, wide columns, and the choice between them when nobody chose (SH-60…SH-67, CM-70…CM-73).

use std::rc::Rc;

use crate::layout::formed;
use crate::member::property;
use crate::value::{Object, Value};

/// The type of what `Format-*` returns: it is shown, and cannot be passed on as an object (SH-66).
pub const FORMATTED: &str = "Microsoft.PowerShell.Commands.Internal.Format.FormatEntryData";
/// Columns of a table when no property was named.
const COLUMNS_MAX: usize = 10;
/// Properties of an object that is shown as a table when its type has no view.
const TABLE_PROPERTIES_MAX: usize = 4;

/// What decides how something looks.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Columns.
    pub width: usize,
    /// Items of a list in a cell: `$FormatEnumerationLimit`.
    pub items_max: usize,
}

/// A column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// Its heading.
    pub label: Rc<str>,
    /// Its width, if it was given.
    pub width: Option<usize>,
    /// Its side, if it was given: whether right.
    pub right: Option<bool>,
    /// The form of its values.
    pub form: Option<Rc<str>>,
}

impl Column {
    /// A column with this heading.
    pub fn named(label: impl Into<Rc<str>>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    fn text(&self, value: &Value, looks: Looks) -> String {
        match &self.form {
            Some(form) => formed(value, form.trim_start_matches("{0:").trim_end_matches('}')).unwrap_or_default(),
            None => cell(value, looks),
        }
    }
}

/// A value in a cell or behind a label.
#[must_use]
pub fn cell(value: &Value, looks: Looks) -> String {
    match value {
        Value::Real(real) => format!("{real:.2}"),
        Value::List(items) => {
            let items = items.borrow();
            let shown: Vec<String> = items.iter().take(looks.items_max).map(|item| cell(item, looks)).collect();
            let more = if items.len() > looks.items_max { "..." } else { "" };
            format!("{{{}{more}}}", shown.join(", "))
        }
        Value::Table(table) => {
            let keys: Vec<String> = table.entries.borrow().iter().map(|(key, _)| key.text()).collect();
            format!("{{{}}}", keys.join(", "))
        }
        other => other.text(),
    }
}

/// `Label : value`, each object after a blank line (SH-62).
#[must_use]
pub fn list(objects: &[Vec<(Column, Value)>], looks: Looks) -> String {
    let mut out = String::new();
    for object in objects {
        out.push('\n');
        let labels = object.iter().map(|(column, _)| column.label.chars().count()).max().unwrap_or_default();
        let room = looks.width.saturating_sub(labels + 3).max(10);
        for (column, value) in object {
            let text = column.text(value, looks);
            let mut lines = text.lines().flat_map(|line| wrapped(line, room)).collect::<Vec<_>>().into_iter();
            let first = lines.next().unwrap_or_default();
            out.push_str(&format!("{:<labels$} : {first}\n", column.label));
            for line in lines {
                out.push_str(&format!("{:labels$}   {line}\n", ""));
            }
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// A line in pieces of at most `room` columns, between words where that is possible; each word keeps its blank.
fn wrapped(line: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut columns = 0;
    for word in line.split_inclusive(' ') {
        let length = word.chars().count();
        if columns > 0 && columns + word.trim_end().chars().count() > room {
            lines.push(std::mem::take(&mut current));
            columns = 0;
        }
        let mut rest = word;
        while rest.trim_end().chars().count() > room {
            let cut = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
            lines.push(rest[..cut].to_owned());
            rest = &rest[cut..];
        }
        current.push_str(rest);
        columns += if rest.len() == word.len() { length } else { rest.chars().count() };
    }
    if !current.is_empty() || lines.is_empty() {
        lines.push(current);
    }
    lines
}

/// How a table is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableStyle {
    /// Columns as wide as what is in them.
    pub auto_size: bool,
    /// What does not fit goes on in the next line.
    pub wrap: bool,
    /// No heading.
    pub bare: bool,
}

/// Header, dashes, rows (SH-63). The second says how many columns did not fit.
#[must_use]
pub fn table(columns: &[Column], rows: &[Vec<Value>], style: TableStyle, looks: Looks) -> (String, usize) {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().zip(row).map(|(column, value)| column.text(value, looks)).collect())
        .collect();
    let right: Vec<bool> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            column.right.unwrap_or_else(|| rows.first().and_then(|row| row.get(at)).is_some_and(is_right))
        })
        .collect();
    let widths = widths(columns, &cells, style, looks.width);
    let lost = widths.iter().filter(|width| **width == 0).count();
    let line = |texts: &[String]| {
        let shown = texts.iter().zip(&widths).zip(&right).filter(|((_, width), _)| **width > 0);
        let parts: Vec<String> = shown
            .map(|((text, width), right)| {
                let text = cut(text, *width);
                if *right { format!("{text:>width$}") } else { format!("{text:<width$}") }
            })
            .collect();
        parts.join(" ").trim_end().to_owned() + "\n"
    };
    let mut out = String::from("\n");
    if !style.bare {
        let labels: Vec<String> = columns.iter().map(|column| column.label.to_string()).collect();
        let dashes: Vec<String> = labels.iter().map(|label| "-".repeat(label.chars().count())).collect();
        out.push_str(&line(&labels));
        out.push_str(&line(&dashes));
    }
    for row in &cells {
        if style.wrap {
            let pieces: Vec<Vec<String>> =
                row.iter().zip(&widths).map(|(text, width)| wrapped(text, (*width).max(1))).collect();
            let lines = pieces.iter().map(Vec::len).max().unwrap_or_default();
            for at in 0..lines {
                let texts: Vec<String> =
                    pieces.iter().map(|piece| piece.get(at).cloned().unwrap_or_default()).collect();
                out.push_str(&line(&texts));
            }
        } else {
            out.push_str(&line(&row.iter().map(|text| text.replace('\n', " ")).collect::<Vec<_>>()));
        }
    }
    out.push('\n');
    (out, lost)
}

/// Numbers, truth values and words of enumerations stand on the right (SH-63).
fn is_right(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Whole(_) | Value::Real(_) | Value::Word(..))
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(3);
    let dots = ".".repeat(width.min(3));
    text.chars().take(kept).collect::<String>() + &dots
}

/// Columns from the left as long as there is room; what has none is 0 wide.
fn widths(columns: &[Column], cells: &[Vec<String>], style: TableStyle, width: usize) -> Vec<usize> {
    let longest = |at: usize| {
        let all =
            cells.iter().filter_map(|row| row.get(at)).map(|text| text.lines().map(|line| line.chars().count()).max());
        all.flatten().max().unwrap_or_default().max(columns[at].label.chars().count())
    };
    let given: usize = columns.iter().filter_map(|column| column.width).sum();
    let open = columns.iter().filter(|column| column.width.is_none()).count().max(1);
    let separators = columns.len().saturating_sub(1);
    let share = (width.saturating_sub(given + separators) / open).max(1);
    let mut left = width;
    let mut widths = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let wanted = column.width.unwrap_or(if style.auto_size { longest(at) } else { share });
        let room = left.saturating_sub(usize::from(at > 0));
        // A column of less than three characters says nothing.
        let got = if wanted <= room {
            wanted
        } else if room >= 3 {
            room
        } else {
            0
        };
        left = room.saturating_sub(got);
        widths.push(got);
    }
    widths
}

/// Texts in columns, as many as fit or as many as are wanted.
#[must_use]
pub fn wide(texts: &[String], columns: Option<usize>, looks: Looks) -> String {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    let columns = columns.unwrap_or(2).max(1);
    let share = (looks.width / columns).saturating_sub(1).max(3).min(longest.max(looks.width / columns - 1).max(3));
    let mut out = String::from("\n");
    for row in texts.chunks(columns) {
        let cells: Vec<String> = row.iter().map(|text| format!("{:<share$}", cut(text, share))).collect();
        out.push_str(cells.join(" ").trim_end());
        out.push('\n');
    }
    out + "\n"
}

/// The properties of a value, in their order; of `@{…}` its entries.
#[must_use]
pub fn properties(value: &Value) -> Vec<(Rc<str>, Value)> {
    match value {
        Value::Object(object) => object.properties(),
        Value::Table(table) => {
            table.entries.borrow().iter().map(|(key, value)| (key.text().into(), value.clone())).collect()
        }
        Value::Text(_) => vec![("Length".into(), property(value, "Length"))],
        other => vec![("Value".into(), other.clone())],
    }
}

/// A text that is shown as it is.
#[must_use]
pub fn formatted(text: &str) -> Value {
    Value::Object(Object::new(FORMATTED, Some(text), Vec::new()))
}

/// What a pipeline returns at its end, shown object by object.
#[derive(Debug, Default)]
pub struct Display {
    pending: Vec<Value>,
    /// The type of what is pending, and whether it is shown as a list.
    of: Option<(Rc<str>, bool)>,
    first: Option<Rc<str>>,
    view: Vec<(&'static str, &'static str)>,
    text: String,
}

impl Display {
    /// Whether the type of a value is another than before, so that its view must be found.
    #[must_use]
    pub fn wants_view(&self, value: &Value) -> Option<Rc<str>> {
        let of = kind_of(value)?;
        let known = self.of.as_ref().is_some_and(|(known, _)| *known == of);
        (!known).then_some(of)
    }

    /// Takes one value; `view` are the columns of its type, when that is another than before.
    pub fn push(&mut self, value: &Value, view: Vec<(&'static str, &'static str)>, looks: Looks) {
        if let Value::Object(object) = value
            && &*object.of == FORMATTED
        {
            self.flush(looks);
            self.text.push_str(object.text.as_deref().unwrap_or_default());
            self.first.get_or_insert_with(|| FORMATTED.into());
            return;
        }
        match (kind_of(value), value) {
            (_, Value::Null) => {}
            (None, Value::List(items)) => {
                for item in items.borrow().iter() {
                    self.push(item, Vec::new(), looks);
                }
            }
            (None, scalar) => {
                self.flush(looks);
                self.text.push_str(&scalar.text());
                self.text.push('\n');
                self.first.get_or_insert_with(|| "".into());
            }
            (Some(of), _) => {
                if self.of.as_ref().is_none_or(|(known, _)| *known != of) {
                    self.flush(looks);
                    let first = self.first.get_or_insert_with(|| of.clone());
                    // SH-60: the first object decides; others become lists.
                    self.of = Some((of.clone(), *first != of && !first.is_empty()));
                    self.view = view;
                }
                self.pending.push(value.clone());
            }
        }
    }

    /// What can be shown by now.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Shows what is pending.
    pub fn flush(&mut self, looks: Looks) {
        let pending = std::mem::take(&mut self.pending);
        let (_, as_list) = self.of.take().unwrap_or_default();
        let view = std::mem::take(&mut self.view);
        let Some(first) = pending.first() else { return };
        let own = properties(first);
        let is_table = matches!(first, Value::Table(_));
        if is_table {
            let entries = pending.iter().flat_map(properties);
            let rows: Vec<Vec<Value>> = entries.map(|(name, value)| vec![Value::Text(name), value]).collect();
            self.text.push_str(&table(&[Column::named("Name"), Column::named("Value")], &rows, AUTO, looks).0);
        } else if !as_list && (!view.is_empty() || own.len() <= TABLE_PROPERTIES_MAX) {
            let columns: Vec<(Rc<str>, Rc<str>)> = match view.is_empty() {
                false => view.iter().map(|(label, name)| ((*label).into(), (*name).into())).collect(),
                true => own.iter().take(COLUMNS_MAX).map(|(name, _)| (name.clone(), name.clone())).collect(),
            };
            let rows: Vec<Vec<Value>> =
                pending.iter().map(|one| columns.iter().map(|(_, name)| property(one, name)).collect()).collect();
            let mut columns: Vec<Column> = columns.into_iter().map(|(label, _)| Column::named(label)).collect();
            for (at, column) in columns.iter_mut().enumerate() {
                column.width = digest_width(rows.iter().filter_map(|row| row.get(at)));
            }
            let style = if view.is_empty() { AUTO } else { TableStyle::default() };
            self.text.push_str(&table(&columns, &rows, style, looks).0);
        } else {
            let objects: Vec<Vec<(Column, Value)>> = pending
                .iter()
                .map(|one| properties(one).into_iter().map(|(name, value)| (Column::named(name), value)).collect())
                .collect();
            self.text.push_str(&list(&objects, looks));
        }
    }
}

/// Digits of the shortest digest that is shown whole: those of a GUID without dashes, and of MD5.
const DIGEST_MIN: usize = 32;

/// The width of a column of digests, which say nothing when they are cut: all of one length, of hexadecimal digits. Documented for
/// thumbprints, whose table has them whole.
fn digest_width<'a>(mut cells: impl Iterator<Item = &'a Value>) -> Option<usize> {
    let width = |value: &Value| match value {
        Value::Text(text) if text.len() >= DIGEST_MIN && text.bytes().all(|one| one.is_ascii_hexdigit()) => {
            Some(text.len())
        }
        _ => None,
    };
    let first = width(cells.next()?)?;
    cells.all(|value| width(value) == Some(first)).then_some(first)
}

const AUTO: TableStyle = TableStyle { auto_size: true, wrap: false, bare: false };

/// The type of what is shown with its properties; nothing for what is shown by its text.
fn kind_of(value: &Value) -> Option<Rc<str>> {
    match value {
        Value::Object(object) if object.of.is_empty() => {
            let names: Vec<String> = object.properties().iter().map(|(name, _)| name.to_string()).collect();
            Some(format!("\u{1}{}", names.join("\u{1}")).into())
        }
        Value::Object(object) => Some(object.of.clone()),
        Value::Table(_) => Some("\u{2}".into()),
        _ => None,
    }
}
