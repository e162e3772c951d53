//! Who changes the directory, said with every change and kept with it.

/// Who makes a change, and through what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// A person or a program: `anna`, `root@mail1`.
    pub who: String,
    /// The way that the change takes: `postroad apply`, `admin API`.
    pub through: String,
}

impl Author {
    /// `who`, by means of `through`.
    #[must_use]
    pub fn new(who: impl Into<String>, through: impl Into<String>) -> Self {
        Self { who: who.into(), through: through.into() }
    }
}
