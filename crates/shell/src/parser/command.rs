//! Pipelines and commands: argument mode (SH-01…SH-05, SH-10, SH-41).

use super::Parser;
use crate::cursor::{
    Reads, ends_argument, is_blank, is_dash, is_double_quote, is_line_end, is_name, is_single_quote, number,
};
use crate::tree::{Command, Element, Expression, ExpressionKind, Extent, Pipeline, Redirection, Stage, Statement};

impl Parser<'_> {
    /// A pipeline, or an assignment.
    pub(super) fn pipeline_statement(&mut self) -> Reads<Statement> {
        let start = self.cursor.at();
        let mut redirections = Vec::new();
        let first = if self.begins_expression() {
            let expression = self.expression()?;
            self.cursor.blanks()?;
            if let Some((operator, length)) = self.assignment(&expression) {
                self.cursor.set(self.cursor.at() + length);
                self.lines()?;
                if self.cursor.peek().is_none() {
                    return self.cursor.open("You must provide a value expression following the '=' operator.", start);
                }
                let value = Box::new(self.statement()?);
                return Ok(Statement::Assign { target: expression, operator, value });
            }
            while let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                self.cursor.blanks()?;
            }
            Stage::Expression(expression)
        } else {
            Stage::Command(self.command(&mut redirections)?)
        };
        let mut stages = vec![first];
        loop {
            self.cursor.blanks()?;
            let piped = self.cursor.peek() == Some('|') || self.cursor.continued_by_pipe()?;
            if !piped {
                break;
            }
            let bar = self.cursor.at();
            if self.cursor.rest().starts_with("||") {
                return self.cursor.error("The token '||' is not a valid statement separator in this version.", bar);
            }
            self.cursor.bump();
            self.lines()?;
            match self.cursor.peek() {
                None => return self.cursor.open("An empty pipe element is not allowed.", bar),
                Some(';' | '|' | ')' | '}') => return self.cursor.error("An empty pipe element is not allowed.", bar),
                Some(_) if self.begins_expression() => {
                    let here = self.cursor.at();
                    self.expression()?;
                    return self.cursor.error("Expressions are only allowed as the first element of a pipeline.", here);
                }
                Some(_) => stages.push(Stage::Command(self.command(&mut redirections)?)),
            }
        }
        let span = self.cursor.span(start);
        Ok(Statement::Pipeline(Pipeline { stages, redirections, span }))
    }

    /// Whether an expression comes, and no command (SH-01).
    fn begins_expression(&self) -> bool {
        let (Some(first), second) = (self.cursor.peek(), self.cursor.second()) else { return true };
        match first {
            '$' | '(' | '@' | '[' | '{' | '!' | ',' => true,
            '+' => second.is_some_and(|next| next.is_ascii_digit() || "$(+.".contains(next)),
            '.' => second.is_some_and(|next| next.is_ascii_digit()),
            _ if is_dash(first) => true,
            _ if is_single_quote(first) || is_double_quote(first) => true,
            _ if first.is_ascii_digit() => self.number_begins(),
            _ => false,
        }
    }

    /// A word that begins with a digit and is no number, such as `7zip`, is the name of a command.
    fn number_begins(&self) -> bool {
        let rest = self.cursor.rest();
        let end = rest.find(|one: char| !(one.is_alphanumeric() || one == '_')).unwrap_or(rest.len());
        number(&rest[..end]).is_some()
    }

    /// `=`, `+=`… when the expression can be given a value.
    fn assignment(&self, target: &Expression) -> Option<(Option<char>, usize)> {
        let assignable = match &target.kind {
            ExpressionKind::Variable(_)
            | ExpressionKind::Member(..)
            | ExpressionKind::Index(..)
            | ExpressionKind::Array(_) => true,
            ExpressionKind::Cast(_, inner) => matches!(inner.kind, ExpressionKind::Variable(_)),
            _ => false,
        };
        let rest = self.cursor.rest();
        let operator = match rest.get(..2) {
            Some("??") if rest.starts_with("??=") => return assignable.then_some((Some('?'), 3)),
            Some(two) if two.ends_with('=') && "+-*/%".contains(&two[..1]) => Some((two.chars().next(), 2)),
            _ if rest.starts_with('=') => Some((None, 1)),
            _ => None,
        };
        operator.filter(|_| assignable)
    }

    fn command(&mut self, redirections: &mut Vec<Redirection>) -> Reads<Command> {
        let start = self.cursor.at();
        let operator = match (self.cursor.peek(), self.cursor.second()) {
            (Some('&'), _) => Some('&'),
            (Some('.'), Some(next)) if next.is_whitespace() => Some('.'),
            _ => None,
        };
        if operator.is_some() {
            self.cursor.bump();
            self.cursor.blanks()?;
        }
        let name = match self.cursor.peek() {
            Some(next) if !ends_argument(next) || matches!(next, '{' | '(') => self.argument()?,
            Some(_) => return self.cursor.unexpected(),
            None => return self.cursor.open("An empty pipe element is not allowed.", start),
        };
        let name = match name.kind {
            // The name of a command that looks like a number.
            ExpressionKind::Number(_, spelling) => Expression { kind: ExpressionKind::Word(spelling), span: name.span },
            kind => Expression { kind, span: name.span },
        };
        let elements = self.elements(&name, redirections)?;
        Ok(Command { name, operator, elements, span: self.cursor.span(start) })
    }

    fn elements(&mut self, name: &Expression, redirections: &mut Vec<Redirection>) -> Reads<Vec<Element>> {
        let mut elements: Vec<Element> = Vec::new();
        let mut names_end = false;
        loop {
            self.cursor.blanks()?;
            let start = self.cursor.at();
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                continue;
            }
            let (Some(first), second) = (self.cursor.peek(), self.cursor.second()) else { return Ok(elements) };
            match first {
                ';' | '|' | ')' | '}' => return Ok(elements),
                '#' => return Ok(elements),
                _ if is_line_end(first) => return Ok(elements),
                '&' => {
                    return self
                        .cursor
                        .error("The ampersand (&) character is not allowed; wrap it in quotation marks.", start);
                }
                ',' => {
                    return self.cursor.error(format!("Missing an argument before ',' of '{}'.", name_of(name)), start);
                }
                '@' if second.is_some_and(is_name) => {
                    self.cursor.bump();
                    let variable = self.cursor.take_while(is_name).to_ascii_lowercase();
                    elements.push(Element::Splat(variable.into(), self.cursor.span(start)));
                }
                _ if is_dash(first) && !names_end && self.is_no_more_parameters() => {
                    self.cursor.bump();
                    self.cursor.bump();
                    names_end = true;
                    elements.push(Element::NoMoreParameters);
                }
                _ if is_dash(first) && !names_end && second.is_some_and(begins_parameter) => {
                    elements.push(self.parameter(start)?);
                }
                _ => {
                    let lenient = matches!(elements.last(), Some(Element::Parameter { name, value: None, .. })
                        if name.eq_ignore_ascii_case("Filter"));
                    elements.push(Element::Argument(self.arguments(lenient)?));
                }
            }
        }
    }

    fn is_no_more_parameters(&self) -> bool {
        let mut next = self.cursor.rest().chars().skip(1);
        next.next().is_some_and(is_dash) && next.next().is_none_or(|after| is_blank(after) || ends_argument(after))
    }

    /// `-Name` or `-Name:value` (SH-04, CM-22).
    fn parameter(&mut self, start: usize) -> Reads<Element> {
        self.cursor.bump();
        let name = self.cursor.take_while(|one| is_name(one) || one == '?' || one == '-').to_owned();
        let span = self.cursor.span(start);
        let value = if self.cursor.take(":") {
            self.cursor.blanks()?;
            if self.cursor.peek().is_none_or(|next| is_line_end(next) || ";|)}".contains(next)) {
                return self.cursor.missing(format!("Missing an argument for parameter '{name}'."));
            }
            Some(self.arguments(name.eq_ignore_ascii_case("Filter"))?)
        } else {
            None
        };
        Ok(Element::Parameter { name: name.into(), value, span })
    }

    /// One argument or several joined by commas (SH-03).
    fn arguments(&mut self, lenient: bool) -> Reads<Expression> {
        let first = if lenient { self.filter_argument()? } else { self.argument()? };
        self.joined(first, |parser, comma| match parser.cursor.peek() {
            None => parser.cursor.open("Missing argument in parameter list.", comma),
            Some(';' | '|' | ')' | '}' | ',') => parser.cursor.error("Missing argument in parameter list.", comma),
            Some(_) => parser.argument(),
        })
    }

    /// One argument.
    pub(super) fn argument(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        let (first, second) = (self.cursor.peek(), self.cursor.second());
        let Some(first) = first else { return self.cursor.open("Missing argument in parameter list.", start) };
        match first {
            '(' | '{' => self.nested(Self::primary_with_members),
            '@' if second.is_some_and(|next| "({".contains(next) || is_single_quote(next) || is_double_quote(next)) => {
                self.nested(Self::primary_with_members)
            }
            '$' => {
                let value = self.nested(Self::primary_with_members)?;
                match self.cursor.peek() {
                    Some(next) if !ends_argument(next) => self.word(Some(value), start),
                    _ => Ok(value),
                }
            }
            _ if is_single_quote(first) => self.literal_text(),
            _ if is_double_quote(first) => self.expandable_text(false),
            '<' => self.cursor.error("The '<' operator is reserved for future use.", start),
            ',' | ';' | ')' | '}' | '|' | '&' => self.cursor.unexpected(),
            _ => self.word(None, start),
        }
    }

    /// The text of `-Filter`, which the documentation also writes with double quotes inside of double quotes (CM-46).
    fn filter_argument(&mut self) -> Reads<Expression> {
        if self.cursor.peek().is_some_and(is_double_quote) { self.expandable_text(true) } else { self.argument() }
    }

    /// `>`, `>>`, `2>`, `2>&1`, `*>` (SH-53).
    fn redirection(&mut self) -> Reads<Option<Redirection>> {
        let (first, second) = (self.cursor.peek(), self.cursor.second());
        let stream = match (first, second) {
            (Some('>'), _) => 1,
            (Some('*'), Some('>')) => 0,
            (Some(digit @ '1'..='6'), Some('>')) => u8::try_from(digit.to_digit(10).unwrap_or(1)).unwrap_or(1),
            _ => return Ok(None),
        };
        if first != Some('>') {
            self.cursor.bump();
        }
        self.cursor.bump();
        let append = self.cursor.take(">");
        if self.cursor.take("&1") {
            return Ok(Some(Redirection { stream, append, target: None }));
        }
        self.cursor.blanks()?;
        if self.cursor.peek().is_none_or(|next| is_line_end(next) || ";|)}".contains(next)) {
            return self.cursor.missing("Missing file specification after redirection operator.");
        }
        let target = Some(self.argument()?);
        Ok(Some(Redirection { stream, append, target }))
    }

    /// Whether `;` and digits after the word that began at `start` are the cost of an address space, as one documented command
    /// writes it (CM-45): not the end of the statement.
    pub(super) fn is_cost(&self, start: usize) -> bool {
        let word = self.cursor.since(start);
        let digits = self.cursor.rest()[1..].chars().take_while(char::is_ascii_digit).count();
        let after = self.cursor.rest()[1 + digits..].chars().next();
        let is_space = word.split_once(':').is_some_and(|(kind, space)| {
            kind.len() > 1 && !space.is_empty() && kind.bytes().all(|one| one.is_ascii_alphanumeric())
        });
        is_space && (1..=3).contains(&digits) && after.is_none_or(|next| next.is_whitespace() || next == ',')
    }
}

fn begins_parameter(one: char) -> bool {
    one.is_alphabetic() || one == '_' || one == '?'
}

fn name_of(name: &Expression) -> &str {
    match &name.kind {
        ExpressionKind::Word(text) | ExpressionKind::Text(text) => text,
        _ => "the command",
    }
}

/// A span of nothing at a place.
pub(super) fn nowhere(at: usize) -> Extent {
    Extent { start: at, end: at }
}
