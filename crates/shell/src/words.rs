//! A line as its words, for whoever types it: good enough for text that is not finished, where the parser says *incomplete*.

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The name of a command.
    Command,
    /// `-Name`
    Parameter,
    /// A quoted text, closed or not.
    Quoted,
    /// `$name`
    Variable,
    /// Any other word.
    Plain,
    /// `# …`
    Comment,
}

/// A word with its place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineWord {
    pub sort: Sort,
    pub start: usize,
    pub end: usize,
    /// Which pipeline it belongs to, and which stage of it.
    pub pipeline: usize,
    pub stage: usize,
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<LineWord> {
    let mut words: Vec<LineWord> = Vec::new();
    let (mut pipeline, mut stage, mut first) = (0, 0, true);
    let mut rest = line.char_indices().peekable();
    while let Some((start, one)) = rest.next() {
        match one {
            '|' => (stage, first) = (stage + 1, true),
            ';' | '\n' | '{' | '(' | '=' | '&' => (pipeline, stage, first) = (pipeline + 1, 0, true),
            ')' | '}' => first = false,
            ',' => {}
            _ if one.is_whitespace() => {}
            '#' => {
                while rest.next_if(|(_, next)| *next != '\n').is_some() {}
                let end = rest.peek().map_or(line.len(), |(at, _)| *at);
                words.push(LineWord { sort: Sort::Comment, start, end, pipeline, stage });
            }
            _ => {
                let quote = ['\'', '"'].into_iter().find(|quote| *quote == one);
                let mut inside = quote;
                while let Some((_, next)) = rest.peek() {
                    match inside {
                        Some(quote) if *next == quote => inside = None,
                        Some(_) => {}
                        None if next.is_whitespace() || ",;|(){}=".contains(*next) => break,
                        None if quote.is_none() && ['\'', '"'].contains(next) => inside = Some(*next),
                        None if quote.is_some() => break,
                        None => {}
                    }
                    rest.next();
                }
                let end = rest.peek().map_or(line.len(), |(at, _)| *at);
                let sort = match one {
                    _ if quote.is_some() => Sort::Quoted,
                    '$' | '@' => Sort::Variable,
                    '-' if !first && line[start + 1..].starts_with(|next: char| next.is_alphabetic()) => {
                        Sort::Parameter
                    }
                    '-' if !first && end == start + 1 => Sort::Parameter,
                    _ if first && !one.is_ascii_digit() => Sort::Command,
                    _ => Sort::Plain,
                };
                words.push(LineWord { sort, start, end, pipeline, stage });
                first = false;
            }
        }
    }
    words
}
