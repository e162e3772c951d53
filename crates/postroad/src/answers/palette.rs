//! Colours and line width of what people read.

/// How texts are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// ANSI colours.
    pub colours: bool,
    /// Columns.
    pub width: usize,
}

/// Narrowest text; on a narrower terminal lines wrap by themselves.
const WIDTH_MIN: usize = 40;
/// Widest text: longer lines are hard to read.
const WIDTH_MAX: usize = 120;

impl Palette {
    /// For a page: no colours, wide lines.
    pub(crate) const fn plain() -> Self {
        Self { colours: false, width: 110 }
    }

    /// Of the terminal, or of the pipe, that standard output is.
    pub(crate) fn of_output() -> Self {
        Self { colours: crate::commands::output::colours(), width: crate::commands::output::width() }
    }

    /// What stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.painted("1", text)
    }
    /// What was chosen, what passed.
    pub(crate) fn good(self, text: &str) -> String {
        self.painted("32", text)
    }
    /// What has no way, what failed.
    pub(crate) fn bad(self, text: &str) -> String {
        self.painted("31", text)
    }
    /// What changes.
    pub(crate) fn changed(self, text: &str) -> String {
        self.painted("33", text)
    }
    /// What may be passed over.
    pub(crate) fn quiet(self, text: &str) -> String {
        self.painted("2", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Columns to write in.
    pub(crate) fn columns(self) -> usize {
        self.width.clamp(WIDTH_MIN, WIDTH_MAX)
    }
}

/// `text` in lines of at most `columns`, the first after `first`, the others after as many blanks. A word that is longer
/// than a line stands alone. `first` may hold colours: `indent` says how wide it shows.
pub(crate) fn wrapped(first: &str, indent: usize, text: &str, columns: usize) -> String {
    let mut out = first.to_owned();
    let mut at = indent;
    let mut fresh = true;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if !fresh && at + 1 + width > columns {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = indent;
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += width;
        fresh = false;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn texts_wrap_at_words_under_their_first() {
        assert_eq!(wrapped("  a ", 4, "one two three four", 11), "  a one two\n    three\n    four\n");
        assert_eq!(wrapped("", 0, "averyverylongword b", 5), "averyverylongword\nb\n");
        assert_eq!(wrapped("x ", 2, "", 10), "x \n");
    }
}
