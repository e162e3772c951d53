//! What sort of value a property has, for whoever reads and shows values in another form than the file's.

/// The sort of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A text, whatever it means: a name, an address, an identity, an object with properties of its own.
    #[default]
    Text,
    /// True or false.
    Truth,
    /// A whole number.
    Whole,
    /// A size in octets.
    Size,
    /// A span of time.
    Span,
    /// One of these words.
    Word(Vec<&'static str>),
    /// One of the others, or unlimited.
    Limit(Box<Shape>),
    /// Several of the others.
    List(Box<Shape>),
}
