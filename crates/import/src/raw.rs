//! What an export says, before anybody knows what it means.

/// A value of an export.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    Nothing,
    Truth(bool),
    Whole(i64),
    Text(String),
    List(Vec<Raw>),
    Fields(Fields),
}

/// An object inside of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    /// What stands for it where a text is wanted.
    pub text: Option<String>,
    /// The number of an enumeration.
    pub number: Option<i64>,
    pub fields: Vec<(String, Raw)>,
}

/// An object of an export.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RawObject {
    /// The name of its type, where the export says it.
    pub of: String,
    /// Each property with its line.
    pub fields: Vec<(String, Raw, usize)>,
}

impl RawObject {
    /// A property; case does not count.
    pub(crate) fn get(&self, name: &str) -> Option<&Raw> {
        self.fields.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, value, _)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Fields {
    /// A field by its exact name: exports have names that differ in case only.
    pub(crate) fn get(&self, name: &str) -> Option<&Raw> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Raw {
    /// A scalar, or what stands for an object, as a text.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Truth(truth) => Some(truth.to_string()),
            Self::Whole(whole) => Some(whole.to_string()),
            Self::Fields(fields) => fields.text.clone(),
            Self::Nothing | Self::List(_) => None,
        }
    }

    /// Whether it says nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }
}
