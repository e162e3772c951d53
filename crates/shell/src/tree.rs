//! What a script says, as a tree with places in the text.

use std::rc::Rc;

/// A piece of the text, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The first octet.
    pub start: usize,
    /// The octet after the last.
    pub end: usize,
}

impl Extent {
    /// The span from the beginning of one to the end of another.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end.max(self.start) }
    }
}

/// Statements in their order.
pub type Statements = Vec<Statement>;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Commands that pass objects on, or one expression.
    Pipeline(Pipeline),
    /// `$x = …`, `$x.P += …`.
    Assign {
        /// What is given a value.
        target: Expression,
        /// The operator before `=`: nothing, `+`, `-`, `*`, `/`, `%` or `??`.
        operator: Option<char>,
        /// Whatever makes the value.
        value: Box<Statement>,
    },
    /// `if … elseif … else`.
    If {
        /// Conditions with what follows from them.
        branches: Vec<(Statement, Statements)>,
        /// What follows when none holds.
        otherwise: Option<Statements>,
    },
    /// `foreach ($x in …) {…}`.
    ForEach {
        /// The variable.
        variable: Rc<str>,
        /// What is gone through.
        items: Box<Statement>,
        /// What is done with each.
        body: Statements,
    },
    /// `for (…; …; …) {…}`.
    For {
        /// Done first.
        start: Option<Box<Statement>>,
        /// Asked before each round.
        condition: Option<Box<Statement>>,
        /// Done after each round.
        step: Option<Box<Statement>>,
        /// A round.
        body: Statements,
    },
    /// `while`, `do … while`, `do … until`.
    While {
        /// Asked before or after each round.
        condition: Box<Statement>,
        /// A round.
        body: Statements,
        /// Whether the first round comes before the first question.
        body_first: bool,
        /// Whether it ends when the condition holds.
        until: bool,
    },
    /// `switch`.
    Switch(Switch),
    /// `try … catch … finally`.
    Try {
        /// What is tried.
        body: Statements,
        /// Names of types, and what is done when one of them is caught.
        catches: Vec<(Vec<Rc<str>>, Statements)>,
        /// What is done in any case.
        finally: Option<Statements>,
    },
    /// `throw …`.
    Throw(Option<Box<Statement>>, Extent),
    /// `return …`.
    Return(Option<Box<Statement>>),
    /// `exit …`.
    Exit(Option<Box<Statement>>),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `function f {…}`.
    Function(Rc<str>, Rc<ScriptBlock>),
}

/// `switch`.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// How texts are compared.
    pub matching: Matching,
    /// Whether case counts.
    pub case_sensitive: bool,
    /// What is looked at.
    pub subject: Box<Statement>,
    /// Clauses in their order; `None` is `default`.
    pub clauses: Vec<(Option<Expression>, Statements)>,
}

/// How `switch` compares texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Equal.
    Exact,
    /// By `*` and `?`.
    Wildcard,
    /// By a regular expression.
    Regex,
}

/// Commands that pass objects on.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The first may be an expression (SH-41).
    pub stages: Vec<Stage>,
    /// Where output goes instead.
    pub redirections: Vec<Redirection>,
    /// Its place.
    pub span: Extent,
}

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// An expression.
    Expression(Expression),
    /// A command.
    Command(Command),
}

/// `> file`, `2>&1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirection {
    /// The stream: 1 output, 2 errors, 3 warnings; 0 all.
    pub stream: u8,
    /// Whether the file is added to.
    pub append: bool,
    /// The file; nothing when the stream joins the output.
    pub target: Option<Expression>,
}

/// A command with its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its name: a text for a plain word, anything else after `&` and `.`.
    pub name: Expression,
    /// Whether `&` or `.` stands before the name.
    pub operator: Option<char>,
    /// Its words.
    pub elements: Vec<Element>,
    /// Its place.
    pub span: Extent,
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// `-Name`, `-Name:value`.
    Parameter {
        /// The name as written.
        name: Rc<str>,
        /// What stands behind a colon.
        value: Option<Expression>,
        /// Its place.
        span: Extent,
    },
    /// An argument.
    Argument(Expression),
    /// `@name`: parameters from a variable (SH-44).
    Splat(Rc<str>, Extent),
    /// `--`: what follows is no parameter (SH-04).
    NoMoreParameters,
}

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Its place.
    pub span: Extent,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole one.
    Whole(i64),
    /// One with a fraction, or beyond 64 bits.
    Real(f64),
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// A number; its spelling counts where a text is wanted (SH-06).
    Number(Number, Rc<str>),
    /// A literal text.
    Text(Rc<str>),
    /// A bare word: a text that was not quoted.
    Word(Rc<str>),
    /// A text with variables and expressions in it (SH-07).
    Expandable(Vec<Part>),
    /// `$name`; the name with its scope.
    Variable(Rc<str>),
    /// `a, b`.
    Array(Vec<Expression>),
    /// `( … )`.
    Paren(Box<Statement>),
    /// `$( … )`.
    Sub(Statements),
    /// `@( … )`.
    ArrayOf(Statements),
    /// `@{ … }`.
    Hash(Vec<(Expression, Statement)>),
    /// `{ … }`.
    Block(Rc<ScriptBlock>),
    /// `[name]`.
    Type(Rc<str>),
    /// `[name]value`.
    Cast(Rc<str>, Box<Expression>),
    /// An operator before its operand.
    Unary(Unary, Box<Expression>),
    /// An operator between its operands.
    Binary(Binary, Box<Expression>, Box<Expression>),
    /// `a.name`.
    Member(Box<Expression>, Box<Expression>),
    /// `[type]::name`.
    Static(Rc<str>, Rc<str>),
    /// `a.name(…)`.
    Call(Box<Expression>, Box<Expression>, Vec<Expression>),
    /// `[type]::name(…)`.
    StaticCall(Rc<str>, Rc<str>, Vec<Expression>),
    /// `a[…]`.
    Index(Box<Expression>, Box<Expression>),
    /// `a++`, `a--`, before or after: the step, and whether the old value is the result.
    Step(Box<Expression>, i64, bool),
    /// `a ? b : c`.
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
}

/// A piece of an expandable text.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// As it stands.
    Text(Rc<str>),
    /// What is computed.
    Value(Expression),
}

/// Operators before their operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `!`, `-not`.
    Not,
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// `,`.
    Comma,
    /// `-join`.
    Join,
    /// `-split`.
    Split,
}

/// Operators between operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `+ - * / %`.
    Arithmetic(char),
    /// `..`.
    Range,
    /// `-f`.
    Format,
    /// `-and`, `-or`, `-xor`.
    Logic(Logic),
    /// `??`.
    Coalesce,
    /// Everything that compares, with whether case counts.
    Compare(Compare, bool),
    /// `-replace`, `-split` with whether case counts.
    Replace(bool),
    /// `-split`.
    SplitBy(bool),
    /// `-join`.
    JoinBy,
    /// `-is`, `-isnot`, `-as`.
    Is(bool),
    /// `-as`.
    As,
    /// `-band`, `-bor`, `-bxor`.
    Bits(Logic),
}

/// And, or, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    /// Both.
    And,
    /// One or both.
    Or,
    /// One and not the other.
    Xor,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `-eq`.
    Equal,
    /// `-ne`.
    NotEqual,
    /// `-gt`.
    Greater,
    /// `-ge`.
    GreaterOrEqual,
    /// `-lt`.
    Less,
    /// `-le`.
    LessOrEqual,
    /// `-like`.
    Like,
    /// `-notlike`.
    NotLike,
    /// `-match`.
    Match,
    /// `-notmatch`.
    NotMatch,
    /// `-contains`.
    Contains,
    /// `-notcontains`.
    NotContains,
    /// `-in`.
    In,
    /// `-notin`.
    NotIn,
}

/// A script block, the body of a function, or a whole script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScriptBlock {
    /// Its parameters.
    pub parameters: Vec<BlockParameter>,
    /// Whether it says `SupportsShouldProcess`.
    pub should_process: bool,
    /// Done before the first object.
    pub begin: Option<Statements>,
    /// Done for each object.
    pub process: Option<Statements>,
    /// Done after the last; the whole block when it has no others.
    pub end: Statements,
    /// Its place.
    pub span: Extent,
}

/// A parameter of a script block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockParameter {
    /// Its name.
    pub name: Rc<str>,
    /// Other names.
    pub aliases: Vec<Rc<str>>,
    /// Its type.
    pub of: Option<Rc<str>>,
    /// What it is unless it is given.
    pub default: Option<Expression>,
    /// Whether it must be given.
    pub mandatory: bool,
    /// Whether objects come in by it.
    pub from_pipeline: bool,
    /// Whether properties come in by it.
    pub from_property: bool,
    /// Its place among arguments without names.
    pub position: Option<usize>,
    /// The only values that it takes.
    pub values: Vec<Rc<str>>,
    /// The least and the most that it takes.
    pub range: Option<(f64, f64)>,
    /// Whether nothing is refused.
    pub not_empty: bool,
}
