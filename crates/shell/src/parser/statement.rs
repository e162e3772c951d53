//! Statements (SH-56…SH-59) and what separates them.

use super::Parser;
use crate::cursor::{Reads, is_line_end, is_name};
use crate::tree::{Matching, Statement, Statements, Switch};

/// Words that begin a statement of another language level, and why they are not here.
const ABSENT: [&str; 7] = ["class", "enum", "using", "trap", "workflow", "configuration", "data"];

impl Parser<'_> {
    /// Statements until `close`, which is left standing, or until the end of the text.
    pub(super) fn statements(&mut self, close: Option<char>) -> Reads<Statements> {
        let mut statements = Vec::new();
        loop {
            self.cursor.lines(true)?;
            if self.cursor.peek() == close {
                return Ok(statements);
            }
            statements.push(self.statement()?);
            self.cursor.blanks()?;
            match self.cursor.peek() {
                None | Some(';' | '#') => {}
                Some(next) if is_line_end(next) || Some(next) == close => {}
                // What ends with a block needs nothing behind it.
                Some(_) if self.cursor.since(0).ends_with('}') && statements.last().is_some_and(ends_with_block) => {}
                Some(_) => return self.cursor.unexpected(),
            }
        }
    }

    /// `{ … }`
    pub(super) fn braces(&mut self, message: &str) -> Reads<Statements> {
        self.lines()?;
        let start = self.cursor.at();
        self.expect("{", message)?;
        let statements = self.nested(|parser| parser.statements(Some('}')))?;
        if !self.cursor.take("}") {
            return self.cursor.open("Missing closing '}' in statement block or type definition.", start);
        }
        Ok(statements)
    }

    /// One statement.
    pub(super) fn statement(&mut self) -> Reads<Statement> {
        self.nested(Self::one_statement)
    }

    fn one_statement(&mut self) -> Reads<Statement> {
        let start = self.cursor.at();
        let word = self.cursor.word().to_ascii_lowercase();
        let ends = self.cursor.rest()[word.len().min(self.cursor.rest().len())..].chars().next();
        let keyword = ends.is_none_or(|next| next.is_whitespace() || "({;}|[-$)".contains(next)) && is_ascii(&word);
        if !keyword {
            return self.pipeline_statement();
        }
        match word.as_str() {
            "if" => self.after(&word, Self::if_statement),
            "foreach" if self.opens_parenthesis(&word) => self.after(&word, Self::foreach_statement),
            "for" => self.after(&word, Self::for_statement),
            "while" => self.after(&word, Self::while_statement),
            "do" => self.after(&word, Self::do_statement),
            "switch" => self.after(&word, Self::switch_statement),
            "try" => self.after(&word, Self::try_statement),
            "function" | "filter" => self.after(&word, |parser| parser.function(word == "filter")),
            "return" => self.after(&word, |parser| Ok(Statement::Return(parser.optional_value()?))),
            "exit" => self.after(&word, |parser| Ok(Statement::Exit(parser.optional_value()?))),
            "throw" => self.after(&word, |parser| {
                let value = parser.optional_value()?;
                Ok(Statement::Throw(value, parser.cursor.span(start)))
            }),
            "break" => self.after(&word, |_| Ok(Statement::Break)),
            "continue" => self.after(&word, |_| Ok(Statement::Continue)),
            absent if ABSENT.contains(&absent) => {
                self.cursor.set(start + word.len());
                self.cursor.error(format!("'{word}' is not part of this shell's language."), start)
            }
            _ => self.pipeline_statement(),
        }
    }

    fn after<T>(&mut self, word: &str, read: impl FnOnce(&mut Self) -> Reads<T>) -> Reads<T> {
        self.cursor.set(self.cursor.at() + word.len());
        self.cursor.blanks()?;
        read(self)
    }

    /// `foreach` is a statement before a parenthesis, else the alias of a command.
    fn opens_parenthesis(&self, word: &str) -> bool {
        self.cursor.rest()[word.len()..].trim_start().starts_with('(')
    }

    /// What may stand behind `return`.
    fn optional_value(&mut self) -> Reads<Option<Box<Statement>>> {
        let none = self.cursor.peek().is_none_or(|next| is_line_end(next) || ";})#".contains(next));
        if none { Ok(None) } else { Ok(Some(Box::new(self.statement()?))) }
    }

    /// `( … )` of a statement.
    fn condition(&mut self, word: &str) -> Reads<Statement> {
        self.cursor.blanks()?;
        let start = self.cursor.at();
        self.expect("(", &format!("Missing '(' after '{word}' in {word} statement."))?;
        self.lines()?;
        if self.cursor.peek() == Some(')') {
            return self.cursor.missing(format!("Missing condition in {word} statement after '{word} ('."));
        }
        let condition = self.statement()?;
        self.lines()?;
        if self.cursor.peek().is_none() {
            return self.cursor.open(format!("Missing closing ')' after expression in '{word}' statement."), start);
        }
        self.expect(")", &format!("Missing closing ')' after expression in '{word}' statement."))?;
        Ok(condition)
    }

    fn if_statement(&mut self) -> Reads<Statement> {
        let mut branches = Vec::new();
        let mut word = "if";
        loop {
            let condition = self.condition(word)?;
            let body = self.braces(&format!("Missing statement block after {word} ( condition )."))?;
            branches.push((condition, body));
            let here = self.cursor.at();
            self.cursor.lines(false)?;
            match self.cursor.word().to_ascii_lowercase().as_str() {
                "elseif" => {
                    self.cursor.set(self.cursor.at() + "elseif".len());
                    word = "elseif";
                }
                "else" => {
                    self.cursor.set(self.cursor.at() + "else".len());
                    let body = self.braces("Missing statement block after 'else' keyword.")?;
                    return Ok(Statement::If { branches, otherwise: Some(body) });
                }
                _ => {
                    self.cursor.set(here);
                    return Ok(Statement::If { branches, otherwise: None });
                }
            }
        }
    }

    fn foreach_statement(&mut self) -> Reads<Statement> {
        self.expect("(", "Missing opening '(' after keyword 'foreach'.")?;
        self.lines()?;
        if !self.cursor.take("$") {
            return self.cursor.missing("Missing variable name after foreach.");
        }
        let variable = self.cursor.take_while(|one| is_name(one) || one == ':').to_ascii_lowercase();
        self.lines()?;
        if !self.cursor.word().eq_ignore_ascii_case("in") {
            return self.cursor.missing("Missing 'in' after variable in foreach loop.");
        }
        self.cursor.set(self.cursor.at() + "in".len());
        self.lines()?;
        let items = Box::new(self.statement()?);
        self.lines()?;
        self.expect(")", "Missing closing ')' after expression in foreach loop.")?;
        let body = self.braces("Missing statement body in foreach loop.")?;
        Ok(Statement::ForEach { variable: variable.into(), items, body })
    }

    fn for_statement(&mut self) -> Reads<Statement> {
        self.expect("(", "Missing opening '(' after keyword 'for'.")?;
        let mut parts = [None, None, None];
        for (at, part) in parts.iter_mut().enumerate() {
            self.lines()?;
            if !matches!(self.cursor.peek(), Some(';' | ')')) {
                *part = Some(Box::new(self.statement()?));
                self.lines()?;
            }
            if at < 2 && !self.cursor.take(";") {
                break;
            }
        }
        self.lines()?;
        self.expect(")", "Missing closing ')' after expression in 'for' statement.")?;
        let body = self.braces("Missing statement body in for loop.")?;
        let [start, condition, step] = parts;
        Ok(Statement::For { start, condition, step, body })
    }

    fn while_statement(&mut self) -> Reads<Statement> {
        let condition = Box::new(self.condition("while")?);
        let body = self.braces("Missing statement body in while loop.")?;
        Ok(Statement::While { condition, body, body_first: false, until: false })
    }

    fn do_statement(&mut self) -> Reads<Statement> {
        let body = self.braces("Missing statement body in do loop.")?;
        self.lines()?;
        let word = self.cursor.word().to_ascii_lowercase();
        if word != "while" && word != "until" {
            return self.cursor.missing("Missing while or until keyword in do loop.");
        }
        self.cursor.set(self.cursor.at() + word.len());
        let condition = Box::new(self.condition(&word)?);
        Ok(Statement::While { condition, body, body_first: true, until: word == "until" })
    }

    fn switch_statement(&mut self) -> Reads<Statement> {
        let (mut matching, mut case_sensitive) = (Matching::Exact, false);
        while let Some((name, length)) = self.cursor.operator_word() {
            match name.as_str() {
                "wildcard" => matching = Matching::Wildcard,
                "regex" => matching = Matching::Regex,
                "exact" => matching = Matching::Exact,
                "casesensitive" => case_sensitive = true,
                _ => return self.cursor.unexpected(),
            }
            self.cursor.set(self.cursor.at() + length);
            self.cursor.blanks()?;
        }
        let subject = Box::new(self.condition("switch")?);
        self.lines()?;
        let start = self.cursor.at();
        self.expect("{", "Missing '{' in switch statement.")?;
        let mut clauses = Vec::new();
        loop {
            self.cursor.lines(true)?;
            if self.cursor.take("}") {
                return Ok(Statement::Switch(Switch { matching, case_sensitive, subject, clauses }));
            }
            if self.cursor.peek().is_none() {
                return self.cursor.open("Missing closing '}' in switch statement.", start);
            }
            let condition = match self.cursor.word() {
                word if word.eq_ignore_ascii_case("default") => {
                    self.cursor.set(self.cursor.at() + word.len());
                    None
                }
                _ => Some(self.argument()?),
            };
            clauses.push((condition, self.braces("Missing statement block in switch statement clause.")?));
        }
    }

    fn try_statement(&mut self) -> Reads<Statement> {
        let body = self.braces("The Try statement is missing its statement block.")?;
        let (mut catches, mut finally) = (Vec::new(), None);
        loop {
            let here = self.cursor.at();
            self.lines()?;
            match self.cursor.word().to_ascii_lowercase().as_str() {
                "catch" if finally.is_none() => {
                    self.cursor.set(self.cursor.at() + "catch".len());
                    self.lines()?;
                    let mut types = Vec::new();
                    while self.cursor.peek() == Some('[') {
                        types.push(self.type_name()?);
                        self.lines()?;
                        if self.cursor.take(",") {
                            self.lines()?;
                        }
                    }
                    catches.push((types, self.braces("The Catch block is missing its statement block.")?));
                }
                "finally" if finally.is_none() => {
                    self.cursor.set(self.cursor.at() + "finally".len());
                    finally = Some(self.braces("The Finally block is missing its statement block.")?);
                }
                _ if catches.is_empty() && finally.is_none() => {
                    return self.cursor.missing("The Try statement is missing its Catch or Finally block.");
                }
                _ => {
                    self.cursor.set(here);
                    return Ok(Statement::Try { body, catches, finally });
                }
            }
        }
    }
}

fn is_ascii(word: &str) -> bool {
    !word.is_empty() && word.is_ascii()
}

fn ends_with_block(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::If { .. }
            | Statement::ForEach { .. }
            | Statement::For { .. }
            | Statement::While { body_first: false, .. }
            | Statement::Switch(_)
            | Statement::Try { .. }
            | Statement::Function(..)
    )
}
