//! Texts: quoted, expandable, here-strings, and bare words (SH-02, SH-07, SH-08).

use super::Parser;
use super::command::nowhere;
use crate::cursor::{Reads, ends_argument, is_double_quote, is_line_end, is_name, is_single_quote, number};
use crate::tree::{Expression, ExpressionKind, Part};

impl Parser<'_> {
    /// `'…'`
    pub(super) fn literal_text(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.bump();
        let text = self.literal_body(start)?;
        Ok(Expression { kind: ExpressionKind::Text(text.into()), span: self.cursor.span(start) })
    }

    fn literal_body(&mut self, start: usize) -> Reads<String> {
        let mut text = String::new();
        loop {
            match self.cursor.bump() {
                Some(one) if is_single_quote(one) => {
                    if !self.cursor.peek().is_some_and(is_single_quote) {
                        return Ok(text);
                    }
                    self.cursor.bump();
                    text.push('\'');
                }
                Some(one) => text.push(one),
                None => return self.cursor.open("The string is missing the terminator: '.", start),
            }
        }
    }

    /// `"…"`; a lenient one goes on behind a quote with something that ends no text (CM-46).
    pub(super) fn expandable_text(&mut self, lenient: bool) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.bump();
        let mut parts = Parts::default();
        self.expandable_body(start, lenient, &mut parts)?;
        Ok(Expression { kind: parts.kind(), span: self.cursor.span(start) })
    }

    fn expandable_body(&mut self, start: usize, lenient: bool, parts: &mut Parts) -> Reads<()> {
        let mut inner = false;
        loop {
            match self.cursor.peek() {
                Some(one) if is_double_quote(one) => {
                    self.cursor.bump();
                    let next = self.cursor.peek();
                    if next.is_some_and(is_double_quote) {
                        self.cursor.bump();
                        parts.push('"');
                    } else if lenient && (inner || next.is_some_and(|next| !ends_argument(next))) {
                        inner = !inner;
                        parts.push('"');
                    } else {
                        return Ok(());
                    }
                }
                Some('`') => self.escape(parts),
                Some('$') => self.expansion(parts)?,
                Some(one) => {
                    self.cursor.bump();
                    parts.push(one);
                }
                None => return self.cursor.open("The string is missing the terminator: \".", start),
            }
        }
    }

    /// A back-tick and what it stands before.
    fn escape(&mut self, parts: &mut Parts) {
        self.cursor.bump();
        match self.cursor.bump() {
            Some('0') => parts.push('\0'),
            Some('a') => parts.push('\u{7}'),
            Some('b') => parts.push('\u{8}'),
            Some('f') => parts.push('\u{c}'),
            Some('n') => parts.push('\n'),
            Some('r') => parts.push('\r'),
            Some('t') => parts.push('\t'),
            Some('v') => parts.push('\u{b}'),
            Some(other) => parts.push(other),
            None => parts.push('`'),
        }
    }

    /// `$name`, `${name}` and `$( … )` in a text: only the name, no property (SH-07).
    fn expansion(&mut self, parts: &mut Parts) -> Reads<()> {
        let next = self.cursor.second();
        if next == Some('(') || next == Some('{') || next.is_some_and(|next| is_name(next) || next == '?') {
            let value = self.nested(|parser| parser.variable_or_sub())?;
            parts.value(value);
        } else {
            self.cursor.bump();
            parts.push('$');
        }
        Ok(())
    }

    /// `$name`, `${name}`, `$( … )`
    pub(super) fn variable_or_sub(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.bump();
        match self.cursor.peek() {
            Some('(') => {
                self.cursor.bump();
                let statements = self.statements(Some(')'))?;
                if !self.cursor.take(")") {
                    return self.cursor.open("Missing closing ')' in subexpression.", start);
                }
                Ok(Expression { kind: ExpressionKind::Sub(statements), span: self.cursor.span(start) })
            }
            Some('{') => {
                self.cursor.bump();
                let name = self.cursor.take_while(|one| one != '}').to_ascii_lowercase();
                if !self.cursor.take("}") {
                    return self.cursor.open("The braced variable name is missing its closing '}'.", start);
                }
                Ok(Expression { kind: ExpressionKind::Variable(name.into()), span: self.cursor.span(start) })
            }
            Some(one) if "?^$".contains(one) => {
                self.cursor.bump();
                Ok(Expression { kind: ExpressionKind::Variable(one.to_string().into()), span: self.cursor.span(start) })
            }
            Some(one) if is_name(one) => self.variable(start),
            _ => self.cursor.unexpected(),
        }
    }

    fn variable(&mut self, start: usize) -> Reads<Expression> {
        let mut name = self.cursor.take_while(is_name).to_ascii_lowercase();
        if self.cursor.peek() == Some(':') && self.cursor.second() != Some(':') {
            if self.cursor.second().is_some_and(is_name) {
                self.cursor.bump();
                name = format!("{name}:{}", self.cursor.take_while(is_name).to_ascii_lowercase());
            } else {
                self.cursor.bump();
                let message = "Variable reference is not valid. ':' was not followed by a valid variable name \
                               character. Consider using ${} to delimit the name.";
                return self.cursor.error(message, start);
            }
        }
        Ok(Expression { kind: ExpressionKind::Variable(name.into()), span: self.cursor.span(start) })
    }

    /// `@'` and `@"` at the end of a line, until a line that begins with the quote and `@` (SH-08).
    pub(super) fn here_string(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.bump();
        let expandable = self.cursor.bump().is_some_and(is_double_quote);
        self.cursor.take_while(|one| one.is_whitespace() && !is_line_end(one));
        match self.cursor.peek() {
            None => return self.cursor.open("The string is missing the terminator.", start),
            Some(one) if is_line_end(one) => {}
            Some(_) => {
                let message = "No characters are allowed after a here-string header but before the end of the line.";
                return self.cursor.error(message, start);
            }
        }
        if !self.cursor.take("\r\n") {
            self.cursor.bump();
        }
        let mut parts = Parts::default();
        let mut at_line_start = true;
        loop {
            if at_line_start && self.here_string_ends(expandable) {
                self.cursor.bump();
                self.cursor.bump();
                parts.drop_line_end();
                return Ok(Expression { kind: parts.kind(), span: self.cursor.span(start) });
            }
            at_line_start = self.cursor.peek() == Some('\n');
            match self.cursor.peek() {
                None => {
                    let end = if expandable { "\"@" } else { "'@" };
                    return self.cursor.open(format!("The string is missing the terminator: {end}."), start);
                }
                Some('`') if expandable => self.escape(&mut parts),
                Some('$') if expandable => self.expansion(&mut parts)?,
                Some(one) => {
                    self.cursor.bump();
                    parts.push(one);
                }
            }
        }
    }

    fn here_string_ends(&self, expandable: bool) -> bool {
        let quote = if expandable { is_double_quote } else { is_single_quote };
        self.cursor.peek().is_some_and(quote) && self.cursor.second() == Some('@')
    }

    /// A bare word, after what it began with (SH-02).
    pub(super) fn word(&mut self, begun: Option<Expression>, start: usize) -> Reads<Expression> {
        let mut parts = Parts::default();
        let mut plain = begun.is_none();
        if let Some(value) = begun {
            parts.value(value);
        }
        loop {
            match self.cursor.peek() {
                None => break,
                Some(';') if self.is_cost(start) => {
                    self.cursor.bump();
                    parts.push(';');
                }
                Some(one) if ends_argument(one) => break,
                Some('`') if self.cursor.second().is_some_and(|next| !is_line_end(next)) => {
                    plain = false;
                    self.escape(&mut parts);
                }
                Some('`') => break,
                Some('$') => {
                    plain = false;
                    self.expansion(&mut parts)?;
                }
                Some(one) if is_single_quote(one) => {
                    plain = false;
                    let here = self.cursor.at();
                    self.cursor.bump();
                    let text = self.literal_body(here)?;
                    parts.text.push_str(&text);
                }
                Some(one) if is_double_quote(one) => {
                    plain = false;
                    let here = self.cursor.at();
                    self.cursor.bump();
                    self.expandable_body(here, false, &mut parts)?;
                }
                Some(one) => {
                    self.cursor.bump();
                    parts.push(one);
                }
            }
        }
        let span = self.cursor.span(start);
        let kind = match parts.kind() {
            ExpressionKind::Text(text) if plain => match number(&text) {
                Some(value) => ExpressionKind::Number(value, text),
                None => ExpressionKind::Word(text),
            },
            ExpressionKind::Text(text) => ExpressionKind::Word(text),
            kind => kind,
        };
        if matches!(&kind, ExpressionKind::Word(text) if text.is_empty()) && span == nowhere(start) {
            return self.cursor.unexpected();
        }
        Ok(Expression { kind, span })
    }
}

/// The pieces of an expandable text while it is read.
#[derive(Default)]
struct Parts {
    done: Vec<Part>,
    text: String,
}

impl Parts {
    fn push(&mut self, one: char) {
        self.text.push(one);
    }

    fn value(&mut self, value: Expression) {
        self.close();
        self.done.push(Part::Value(value));
    }

    fn close(&mut self) {
        if !self.text.is_empty() {
            self.done.push(Part::Text(std::mem::take(&mut self.text).into()));
        }
    }

    /// The line end before the end of a here-string is not part of it.
    fn drop_line_end(&mut self) {
        if self.text.ends_with('\n') {
            self.text.pop();
            if self.text.ends_with('\r') {
                self.text.pop();
            }
        }
    }

    fn kind(mut self) -> ExpressionKind {
        if self.done.is_empty() {
            return ExpressionKind::Text(self.text.into());
        }
        self.close();
        ExpressionKind::Expandable(self.done)
    }
}
