//! What a command takes: its parameters with their types, places and sets. From this the binder binds, completion completes and
//! help tells.

use std::rc::Rc;

/// A command as it is known to the shell.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Its name.
    pub name: Rc<str>,
    /// Other names.
    pub aliases: Vec<Rc<str>>,
    /// What it does, in a line.
    pub synopsis: Rc<str>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Examples: the command, and what it does.
    pub examples: Vec<(Rc<str>, Rc<str>)>,
    /// Whether it takes `-WhatIf` and `-Confirm`.
    pub changes: bool,
    /// Whether it asks unless told not to (CM-60).
    pub asks: bool,
    /// The type of what it returns; empty for none.
    pub returns: Rc<str>,
    /// Why it cannot be used yet.
    pub absent: Option<Rc<str>>,
}

/// One parameter.
#[derive(Clone, Debug, Default)]
pub struct Parameter {
    /// Its name.
    pub name: Rc<str>,
    /// Other names.
    pub aliases: Vec<Rc<str>>,
    /// What it takes.
    pub takes: Takes,
    /// Its place among arguments without names.
    pub position: Option<usize>,
    /// Whether all arguments without names that are left are its.
    pub remaining: bool,
    /// Whether it must be given.
    pub mandatory: bool,
    /// Whether objects of the pipeline are its value.
    pub from_pipeline: bool,
    /// Whether a property of that name of objects of the pipeline is its value.
    pub from_property: bool,
    /// Types of objects that are its value before all others.
    pub accepts: Vec<Rc<str>>,
    /// The parameter sets to which it belongs; none for all.
    pub sets: Vec<Rc<str>>,
    /// What it does, in a line.
    pub help: Rc<str>,
    /// Why it is refused: it was, and is not any more. It is never found by the beginning of its name.
    pub retired: Option<Rc<str>>,
    /// Whether it is documented and not there yet; then it is refused with that.
    pub absent: bool,
}

/// What a parameter takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Takes {
    /// Anything.
    #[default]
    Any,
    /// Nothing: that it is given says it.
    Switch,
    /// `$true` or `$false` (SC-143).
    Bool,
    /// A whole number from the least to the most.
    Whole(i64, i64),
    /// A text.
    Text,
    /// A list; also `@{Add=…;Remove=…}` where the command takes it.
    List,
    /// One word of a set.
    Word(Rc<str>, Vec<Rc<str>>),
    /// Several words of a set.
    Words(Rc<str>, Vec<Rc<str>>),
    /// A date.
    Date,
    /// A span of time.
    Span,
    /// A size in octets.
    Size,
    /// One of the others, or `unlimited`.
    Limit(Box<Takes>),
    /// `{…}`.
    Block,
    /// A user with a password.
    Credential,
    /// A text that is not shown.
    Secret,
    /// Octets.
    Octets,
}

impl Takes {
    /// The name of the type in messages and in help.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Any => "Object".into(),
            Self::Switch => "SwitchParameter".into(),
            Self::Bool => "Boolean".into(),
            Self::Whole(..) => "Int32".into(),
            Self::Text => "String".into(),
            Self::List => "MultiValuedProperty".into(),
            Self::Word(of, _) | Self::Words(of, _) => of.to_string(),
            Self::Date => "DateTime".into(),
            Self::Span => "EnhancedTimeSpan".into(),
            Self::Size => "ByteQuantifiedSize".into(),
            Self::Limit(inner) => format!("Unlimited<{}>", inner.name()),
            Self::Block => "ScriptBlock".into(),
            Self::Credential => "PSCredential".into(),
            Self::Secret => "SecureString".into(),
            Self::Octets => "Byte[]".into(),
        }
    }

    /// The only values that may be given.
    #[must_use]
    pub fn values(&self) -> Vec<Rc<str>> {
        match self {
            Self::Bool => vec!["$true".into(), "$false".into()],
            Self::Word(_, values) | Self::Words(_, values) => values.clone(),
            Self::Limit(_) => vec!["Unlimited".into()],
            _ => Vec::new(),
        }
    }
}

impl Parameter {
    /// A parameter that may be given by its name.
    pub fn new(name: impl Into<Rc<str>>, takes: Takes, help: impl Into<Rc<str>>) -> Self {
        Self { name: name.into(), takes, help: help.into(), ..Self::default() }
    }

    /// It is the argument of that place when it is given without its name.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }

    /// It must be given.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// Objects of the pipeline are its value, or have it as a property.
    #[must_use]
    pub fn piped(mut self) -> Self {
        (self.from_pipeline, self.from_property) = (true, true);
        self
    }

    /// It belongs to these sets only.
    #[must_use]
    pub fn of_sets(mut self, sets: &[&str]) -> Self {
        self.sets = sets.iter().map(|set| (*set).into()).collect();
        self
    }

    /// It has other names.
    #[must_use]
    pub fn or(mut self, aliases: &[&str]) -> Self {
        self.aliases = aliases.iter().map(|alias| (*alias).into()).collect();
        self
    }

    /// Whether it has that name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

impl Signature {
    /// The parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.is_called(name))
    }

    /// Its parameters in a line, as help shows them.
    #[must_use]
    pub fn syntax(&self) -> String {
        let mut line = self.name.to_string();
        let mut parameters: Vec<&Parameter> =
            self.parameters.iter().filter(|parameter| parameter.retired.is_none()).collect();
        parameters.sort_by_key(|parameter| (parameter.position.unwrap_or(usize::MAX), !parameter.mandatory));
        for parameter in parameters {
            let name = match parameter.position {
                Some(_) => format!("[-{}]", parameter.name),
                None => format!("-{}", parameter.name),
            };
            let whole = match parameter.takes {
                Takes::Switch => name,
                _ => format!("{name} <{}>", parameter.takes.name()),
            };
            line.push_str(&if parameter.mandatory { format!(" {whole}") } else { format!(" [{whole}]") });
        }
        if self.changes {
            line.push_str(" [-WhatIf] [-Confirm]");
        }
        line + " [<CommonParameters>]"
    }
}
