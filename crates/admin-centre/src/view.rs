//! A page as a value: what it says, before it is HTML, CSV or JSON. Templates are in `templates/`.

use askama::Template;
use envelope::Timestamp;

use crate::text::{csv_cell, kept};

/// How something is: said in a word and a shape, coloured besides (WA-50).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look.
    Warn,
    /// Something is wrong.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }

    /// The shape before the word.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Good => "●",
            Self::Warn => "▲",
            Self::Bad => "✖",
            Self::Plain => "○",
        }
    }
}

/// A piece of a line.
#[derive(Clone, Debug)]
pub(crate) enum Bit {
    Text(String),
    Strong(String),
    Quiet(String),
    Code(String),
    Link {
        to: String,
        text: String,
    },
    Badge(Tone, String),
    Time(Timestamp),
    /// What was, and what is.
    Old(String),
    New(String),
    /// A number of a heat map.
    Heat(u64),
    Break,
}

impl Bit {
    #[expect(clippy::needless_pass_by_value, reason = "what is shown is given as a value or as a reference to it")]
    pub(crate) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    #[expect(clippy::needless_pass_by_value, reason = "what is shown is given as a value or as a reference to it")]
    pub(crate) fn link(to: impl Into<String>, text: impl ToString) -> Self {
        Self::Link { to: to.into(), text: text.to_string() }
    }

    fn plain(&self) -> String {
        match self {
            Self::Text(text) | Self::Strong(text) | Self::Quiet(text) | Self::Code(text) | Self::Badge(_, text) => {
                text.clone()
            }
            Self::Old(text) | Self::New(text) => text.clone(),
            Self::Link { text, .. } => text.clone(),
            Self::Time(time) => time.to_iso8601(),
            Self::Heat(count) => count.to_string(),
            Self::Break => " ".to_owned(),
        }
    }
}

/// How hot a number is, in powers of ten: a class of the style.
pub(crate) fn heat(count: &u64) -> u32 {
    count.checked_ilog10().map_or(0, |power| power + 1).min(4)
}

/// Pieces that stand in one line or cell.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "bits.html")]
pub(crate) struct Bits {
    pub(crate) all: Vec<Bit>,
}

impl Bits {
    pub(crate) fn of(all: Vec<Bit>) -> Self {
        Self { all }
    }

    /// As CSV and JSON have it.
    pub(crate) fn plain(&self) -> String {
        self.all.iter().map(Bit::plain).collect::<Vec<_>>().join(" ").trim().to_owned()
    }
}

impl From<Bit> for Bits {
    fn from(bit: Bit) -> Self {
        Self { all: vec![bit] }
    }
}

impl From<&str> for Bits {
    fn from(text: &str) -> Self {
        Bit::Text(text.to_owned()).into()
    }
}

impl From<String> for Bits {
    fn from(text: String) -> Self {
        Bit::Text(text).into()
    }
}

/// Time as a page shows it: UTC, to the second.
pub(crate) fn shown_time(time: &Timestamp) -> String {
    time.to_iso8601().get(..19).unwrap_or_default().replace('T', " ")
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) title: String,
    /// The documented property, in small type beneath (WA-04).
    pub(crate) property: &'static str,
    pub(crate) number: bool,
    /// The address that sorts by it, and how it is sorted now: `ascending`, `descending`, `none`.
    pub(crate) sort: Option<(String, &'static str)>,
}

impl Column {
    pub(crate) fn new(title: &str, property: &'static str) -> Self {
        Self { title: title.to_owned(), property, number: false, sort: None }
    }

    pub(crate) fn number(title: &str, property: &'static str) -> Self {
        Self { number: true, ..Self::new(title, property) }
    }
}

/// A row of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct GridRow {
    pub(crate) cells: Vec<Bits>,
    /// The value of its check box, where rows are chosen.
    pub(crate) chosen_by: String,
}

impl From<Vec<Bits>> for GridRow {
    fn from(cells: Vec<Bits>) -> Self {
        Self { cells, chosen_by: String::new() }
    }
}

/// A table.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "grid.html")]
pub(crate) struct Grid {
    pub(crate) caption: String,
    /// Whether the caption is for those who do not see the heading only.
    pub(crate) quiet_caption: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<GridRow>,
    /// Instead of rows, where there are none (WA-40).
    pub(crate) empty: Bits,
    /// Name of the check boxes of its rows.
    pub(crate) choose: &'static str,
    /// Under it: pages, counts.
    pub(crate) foot: Bits,
    /// Beside what the page is about: `.csv` and `.json` of its address give another table.
    pub(crate) aside: bool,
}

impl Grid {
    pub(crate) fn new(caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { caption: caption.into(), columns, ..Self::default() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Bits>) {
        self.rows.push(cells.into());
    }

    /// Where its rows come: each is written by itself (see [`Region`]).
    const fn rows_here() -> char {
        ROWS_HERE
    }

    fn written_rows(&self) -> Vec<String> {
        self.rows.iter().map(|row| Row { grid: self, row }.to_string()).collect()
    }

    pub(crate) fn is_number(&self, at: &usize) -> bool {
        self.columns.get(*at).is_some_and(|column| column.number)
    }

    pub(crate) fn title(&self, at: &usize) -> &str {
        self.columns.get(*at).map_or("", |column| &column.title)
    }

    /// RFC 4180.
    pub(crate) fn csv(&self, raw: bool) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| cells.collect::<Vec<_>>().join(",") + "\r\n";
        let mut out = line(&mut self.columns.iter().map(|column| csv_cell(&column.title, raw)));
        for row in &self.rows {
            out += &line(&mut row.cells.iter().map(|cell| csv_cell(&cell.plain(), raw)));
        }
        out
    }

    /// An object for each row.
    pub(crate) fn json(&self) -> serde_json::Value {
        let object = |row: &GridRow| {
            let pairs = self.columns.iter().zip(&row.cells);
            serde_json::Value::Object(pairs.map(|(column, cell)| (column.title.clone(), cell.plain().into())).collect())
        };
        self.rows.iter().map(object).collect()
    }
}

/// Stands for the rows of a table: no text has it, because the escaper shows it by its number.
const ROWS_HERE: char = '\0';

#[derive(Template)]
#[template(path = "row.html")]
struct Row<'a> {
    grid: &'a Grid,
    row: &'a GridRow,
}

/// What a field takes.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// One line; the type of the input and what the browser may fill in.
    Line {
        kind: &'static str,
        complete: &'static str,
    },
    /// A file from the disk of whoever looks, or several.
    File {
        several: bool,
    },
    /// Several lines.
    Lines(usize),
    /// One of these: value, label, what is to be known of it.
    Radio(Vec<(String, String, String)>),
    Select(Vec<(String, String)>),
    /// Yes or no.
    Check,
    /// Some of these: value, label, whether it is.
    Several(Vec<(String, String, bool)>),
}

/// A field of a form.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    /// The documented property.
    pub(crate) property: String,
    pub(crate) help: String,
    pub(crate) entry: Entry,
    pub(crate) value: String,
    pub(crate) error: String,
    pub(crate) required: bool,
    /// Differs from the default: told by a mark.
    pub(crate) changed: bool,
}

impl Field {
    pub(crate) fn line(name: &str, label: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            property: String::new(),
            help: String::new(),
            entry: Entry::Line { kind: "text", complete: "off" },
            value: value.into(),
            error: String::new(),
            required: false,
            changed: false,
        }
    }

    pub(crate) fn with(mut self, entry: Entry) -> Self {
        self.entry = entry;
        self
    }

    pub(crate) fn helped(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(crate) fn of(mut self, property: impl Into<String>) -> Self {
        self.property = property.into();
        self
    }

    pub(crate) fn needed(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) fn wrong(mut self, error: impl Into<String>) -> Self {
        self.error = error.into();
        self
    }

    /// An id for the attributes of HTML.
    pub(crate) fn id(&self) -> String {
        let letter = |one: char| if one.is_ascii_alphanumeric() { one } else { '-' };
        format!("f-{}", self.name.chars().map(letter).collect::<String>())
    }

    pub(crate) fn kept(&self) -> String {
        kept(&self.value)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.value == "true"
    }

    pub(crate) fn described(&self) -> String {
        let mut ids = Vec::new();
        if !self.help.is_empty() {
            ids.push(format!("{}-help", self.id()));
        }
        if !self.error.is_empty() {
            ids.push(format!("{}-error", self.id()));
        }
        ids.join(" ")
    }
}

/// Fields under one heading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) fields: Vec<Field>,
    /// Shut until somebody opens it.
    pub(crate) folded: bool,
}

/// A button of a form.
#[derive(Clone, Debug)]
pub(crate) struct Button {
    pub(crate) label: String,
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// `primary`, `danger`, or nothing.
    pub(crate) class: &'static str,
    /// Why it cannot be pressed (WA-06).
    pub(crate) refused: String,
}

impl Button {
    pub(crate) fn new(label: &str, name: &'static str, value: &str, class: &'static str) -> Self {
        Self { label: label.to_owned(), name, value: value.to_owned(), class, refused: String::new() }
    }

    pub(crate) fn primary(label: &str) -> Self {
        Self::new(label, "do", "go", "primary")
    }

    pub(crate) fn unless(mut self, refused: Option<String>) -> Self {
        self.refused = refused.unwrap_or_default();
        self
    }
}

/// A form.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "form.html")]
pub(crate) struct Form {
    pub(crate) action: String,
    /// Asks and changes nothing.
    pub(crate) get: bool,
    /// It sends files (RFC 7578).
    pub(crate) files: bool,
    /// Fields in a row, as a filter has them.
    pub(crate) row: bool,
    pub(crate) hidden: Vec<(String, String)>,
    pub(crate) groups: Vec<Group>,
    pub(crate) buttons: Vec<Button>,
    /// A table whose rows are chosen, within it.
    pub(crate) grid: Option<Grid>,
    /// The token of the session; set where it is shown.
    pub(crate) token: String,
}

impl Form {
    pub(crate) fn errors(&self) -> Vec<(String, String, String)> {
        let fields = self.groups.iter().flat_map(|group| &group.fields);
        fields
            .filter(|field| !field.error.is_empty())
            .map(|field| (field.id(), field.label.clone(), field.error.clone()))
            .collect()
    }

    /// As sent, where it is one.
    pub(crate) fn hidden_kept(&self) -> Vec<(String, String)> {
        self.hidden.iter().map(|(name, value)| (kept(name), kept(value))).collect()
    }
}

/// A part of a page.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// A heading, with what stands beside it.
    Heading(String),
    Prose(Bits),
    /// Something that must be seen; `role=alert` where it is wrong.
    Notice {
        tone: Tone,
        title: String,
        lines: Vec<Bits>,
    },
    Grid(Grid),
    /// What a thing is: label, property, value.
    Facts(Vec<(String, String, Bits)>),
    Form(Box<Form>),
    /// A drawing of ours, whose texts are escaped by whoever drew it; in words: what it shows.
    Picture {
        svg: String,
        about: String,
    },
    /// Fixed type.
    Text {
        label: String,
        text: String,
    },
    /// Shut until somebody opens it.
    More {
        title: String,
        text: String,
    },
    /// Links beside each other.
    Links(Vec<Bits>),
}

#[derive(Template)]
#[template(path = "block.html")]
struct Written<'a> {
    block: &'a Block,
}

/// A block as it is written: one element. The rows of its table are apart, so that one that changes can be sent alone.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// With [`ROWS_HERE`] where the rows come.
    pub(crate) frame: String,
    pub(crate) rows: Vec<String>,
}

impl Region {
    pub(crate) fn html(&self) -> String {
        if self.rows.is_empty() { self.frame.clone() } else { self.frame.replacen(ROWS_HERE, &self.rows.concat(), 1) }
    }
}

impl Block {
    fn table(&self) -> Option<&Grid> {
        match self {
            Self::Grid(grid) => Some(grid),
            Self::Form(form) => form.grid.as_ref(),
            _ => None,
        }
    }

    fn region(&self) -> Region {
        let rows = self.table().map(Grid::written_rows).unwrap_or_default();
        Region { frame: Written { block: self }.to_string(), rows }
    }
}

/// A page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    pub(crate) lead: String,
    /// Ways from here: address, text, class, why not.
    pub(crate) actions: Vec<(String, String, &'static str, String)>,
    pub(crate) crumbs: Vec<(String, String)>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) status: u16,
    /// What changes of it is sent to the script of the page.
    pub(crate) live: bool,
}

impl Sheet {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), status: 200, ..Self::default() }
    }

    pub(crate) fn under(mut self, to: &str, text: &str) -> Self {
        self.crumbs.push((to.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn says(mut self, lead: impl Into<String>) -> Self {
        self.lead = lead.into();
        self
    }

    pub(crate) fn add(&mut self, block: Block) {
        self.blocks.push(block);
    }

    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.add(Block::Heading(text.into()));
    }

    pub(crate) fn grid(&mut self, grid: Grid) {
        self.add(Block::Grid(grid));
    }

    pub(crate) fn form(&mut self, form: Form) {
        self.add(Block::Form(Box::new(form)));
    }

    pub(crate) fn notice(&mut self, tone: Tone, title: impl Into<String>, lines: Vec<Bits>) {
        self.add(Block::Notice { tone, title: title.into(), lines });
    }

    pub(crate) fn action(&mut self, to: impl Into<String>, text: &str, class: &'static str, refused: Option<String>) {
        self.actions.push((to.into(), text.to_owned(), class, refused.unwrap_or_default()));
    }

    /// The first table that the page is about: what `.csv` and `.json` of the address give.
    pub(crate) fn table(&self) -> Option<&Grid> {
        self.blocks.iter().filter_map(Block::table).find(|grid| !grid.aside)
    }

    pub(crate) fn regions(&self) -> Vec<Region> {
        self.blocks.iter().map(Block::region).collect()
    }

    /// The errors of its forms: the summary on top of the page (WA-41).
    pub(crate) fn errors(&self) -> Vec<(String, String, String)> {
        let forms = self.blocks.iter().filter_map(|block| match block {
            Block::Form(form) => Some(form.errors()),
            _ => None,
        });
        forms.flatten().collect()
    }

    /// Gives every form the token of the session.
    pub(crate) fn sealed(mut self, token: &str) -> Self {
        for block in &mut self.blocks {
            if let Block::Form(form) = block
                && !form.get
            {
                form.token = token.to_owned();
            }
        }
        self
    }
}

/// A part of the navigation: its title, and its pages by address, text and whether it is this one.
pub(crate) type NavigationArea = (&'static str, Vec<(&'static str, &'static str, bool)>);

/// The whole document.
#[derive(Template)]
#[template(path = "page.html")]
pub(crate) struct Document<'a> {
    pub(crate) sheet: &'a Sheet,
    pub(crate) regions: Vec<Region>,
    /// By which the browser says what it has, where the page is live.
    pub(crate) mark: String,
    /// Who is signed in; nobody at the door.
    pub(crate) person: Option<&'a str>,
    pub(crate) groups: String,
    /// Areas with their pages: title, then address, text and whether it is this one.
    pub(crate) areas: Vec<NavigationArea>,
    pub(crate) css: &'a str,
    pub(crate) script: &'a str,
    pub(crate) icon: &'a str,
    pub(crate) revision: String,
    pub(crate) token: String,
    pub(crate) search: String,
}
