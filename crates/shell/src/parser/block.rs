//! Script blocks, functions and their parameters (SH-59).

use std::rc::Rc;

use super::Parser;
use crate::cursor::{Reads, is_name};
use crate::tree::{BlockParameter, Expression, ExpressionKind, Number, ScriptBlock, Statement};

impl Parser<'_> {
    /// `{ … }`
    pub(super) fn block(&mut self) -> Reads<Rc<ScriptBlock>> {
        let start = self.cursor.at();
        self.expect("{", "Missing '{' of a script block.")?;
        let body = self.nested(|parser| parser.body(Some('}')))?;
        if !self.cursor.take("}") {
            return self.cursor.open("Missing closing '}' in statement block or type definition.", start);
        }
        Ok(Rc::new(body))
    }

    /// What stands in a block, a function or a script.
    pub(super) fn body(&mut self, close: Option<char>) -> Reads<ScriptBlock> {
        let start = self.cursor.at();
        let mut block = ScriptBlock::default();
        self.cursor.lines(true)?;
        while self.cursor.peek() == Some('[') && self.attribute_begins() {
            self.attribute(&mut block, &mut BlockParameter::named(""))?;
            self.cursor.lines(true)?;
        }
        if self.word_opens("param", '(') {
            self.cursor.set(self.cursor.at() + "param".len());
            self.cursor.blanks()?;
            block.parameters = self.parameters(&mut block.should_process)?;
            self.cursor.lines(true)?;
        }
        let mut sections = false;
        loop {
            self.cursor.lines(true)?;
            let Some(name) = ["begin", "process", "end"].into_iter().find(|name| self.word_opens(name, '{')) else {
                break;
            };
            sections = true;
            self.cursor.set(self.cursor.at() + name.len());
            let statements = self.braces("Missing statement block.")?;
            match name {
                "begin" => block.begin = Some(statements),
                "process" => block.process = Some(statements),
                _ => block.end = statements,
            }
        }
        if !sections {
            block.end = self.statements(close)?;
        } else if self.cursor.peek() != close {
            return self.cursor.unexpected();
        }
        block.span = self.cursor.span(start);
        Ok(block)
    }

    /// Whether `word` and then `bracket` come next.
    fn word_opens(&self, word: &str, bracket: char) -> bool {
        self.cursor.word().eq_ignore_ascii_case(word)
            && self.cursor.rest()[word.len()..].trim_start().starts_with(bracket)
    }

    /// Whether `[Name(` comes next: an attribute, and no type.
    fn attribute_begins(&self) -> bool {
        let rest = self.cursor.rest().strip_prefix('[').unwrap_or_default();
        let name = rest.find(|one: char| !(is_name(one) || one == '.')).unwrap_or(rest.len());
        name > 0 && rest[name..].starts_with('(')
    }

    /// `function name(…) {…}` behind its first word.
    pub(super) fn function(&mut self, filter: bool) -> Reads<Statement> {
        let name = self.cursor.take_while(|one| is_name(one) || "-:.".contains(one)).to_owned();
        if name.is_empty() {
            return self.cursor.missing("Missing name after function keyword.");
        }
        let name: Rc<str> = name.rsplit(':').next().unwrap_or(&name).into();
        self.lines()?;
        let mut should_process = false;
        let parameters =
            if self.cursor.peek() == Some('(') { self.parameters(&mut should_process)? } else { Vec::new() };
        self.lines()?;
        let body = self.block()?;
        let mut body = Rc::unwrap_or_clone(body);
        if !parameters.is_empty() {
            body.parameters = parameters;
        }
        if filter {
            body.process = Some(std::mem::take(&mut body.end));
        }
        Ok(Statement::Function(name, Rc::new(body)))
    }

    /// `( [type]$name = default, … )`
    fn parameters(&mut self, should_process: &mut bool) -> Reads<Vec<BlockParameter>> {
        let start = self.cursor.at();
        self.expect("(", "Missing '(' in function parameter list.")?;
        let mut parameters: Vec<BlockParameter> = Vec::new();
        loop {
            self.lines()?;
            match self.cursor.peek() {
                None => return self.cursor.open("Missing ')' in function parameter list.", start),
                Some(')') => {
                    self.cursor.bump();
                    return Ok(parameters);
                }
                Some(',') if !parameters.is_empty() => {
                    self.cursor.bump();
                    self.lines()?;
                }
                Some(_) if !parameters.is_empty() => {
                    return self.cursor.missing("Missing ')' in function parameter list.");
                }
                Some(_) => {}
            }
            parameters.push(self.one_parameter(should_process)?);
        }
    }

    fn one_parameter(&mut self, should_process: &mut bool) -> Reads<BlockParameter> {
        let mut parameter = BlockParameter::named("");
        let mut block = ScriptBlock::default();
        while self.cursor.peek() == Some('[') {
            if self.attribute_begins() {
                self.attribute(&mut block, &mut parameter)?;
            } else {
                parameter.of = Some(self.type_name()?);
            }
            self.lines()?;
        }
        *should_process |= block.should_process;
        if !self.cursor.take("$") {
            return self.cursor.missing("Missing parameter name.");
        }
        parameter.name = self.cursor.take_while(is_name).into();
        self.lines()?;
        if self.cursor.take("=") {
            self.lines()?;
            parameter.default = Some(self.nested(Self::one_argument)?);
        }
        Ok(parameter)
    }

    /// `[Parameter(Mandatory)]`, `[ValidateSet('a','b')]`, `[CmdletBinding(…)]`
    fn attribute(&mut self, block: &mut ScriptBlock, parameter: &mut BlockParameter) -> Reads<()> {
        self.expect("[", "Missing '[' of an attribute.")?;
        let name = self.cursor.take_while(|one| is_name(one) || one == '.').to_ascii_lowercase();
        self.expect("(", "Missing '(' of an attribute.")?;
        let mut values = Vec::new();
        loop {
            self.lines()?;
            if self.cursor.take(")") {
                break;
            }
            if self.cursor.peek().is_none() {
                return self.cursor.missing("Missing ')' of an attribute.");
            }
            if self.cursor.peek().is_some_and(char::is_alphabetic) {
                let key = self.cursor.take_while(is_name).to_ascii_lowercase();
                self.lines()?;
                let value = if self.cursor.take("=") {
                    self.lines()?;
                    Some(self.nested(Self::one_argument)?)
                } else {
                    None
                };
                said(block, parameter, &key, value.as_ref());
            } else {
                values.push(self.nested(Self::one_argument)?);
            }
            self.lines()?;
            self.cursor.take(",");
        }
        self.lines()?;
        self.expect("]", "Missing ']' at end of an attribute.")?;
        let texts = || values.iter().filter_map(text_of).collect::<Vec<_>>();
        match name.rsplit('.').next().unwrap_or_default() {
            "validateset" => parameter.values = texts(),
            "alias" => parameter.aliases = texts(),
            "validatenotnullorempty" | "validatenotnull" => parameter.not_empty = true,
            "validaterange" => {
                let numbers: Vec<f64> = values.iter().filter_map(number_of).collect();
                if let [least, most] = numbers[..] {
                    parameter.range = Some((least, most));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl BlockParameter {
    fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            aliases: Vec::new(),
            of: None,
            default: None,
            mandatory: false,
            from_pipeline: false,
            from_property: false,
            position: None,
            values: Vec::new(),
            range: None,
            not_empty: false,
        }
    }
}

/// What an attribute says by a name.
fn said(block: &mut ScriptBlock, parameter: &mut BlockParameter, key: &str, value: Option<&Expression>) {
    let yes = value.is_none_or(|value| !matches!(&value.kind, ExpressionKind::Variable(name) if &**name == "false"));
    match key {
        "mandatory" => parameter.mandatory = yes,
        "valuefrompipeline" => parameter.from_pipeline = yes,
        "valuefrompipelinebypropertyname" => parameter.from_property = yes,
        "supportsshouldprocess" => block.should_process = yes,
        "position" => {
            parameter.position = value
                .and_then(number_of)
                .and_then(|place| (0_u8..=100).find(|one| f64::from(*one) == place.trunc()).map(usize::from));
        }
        _ => {}
    }
}

fn text_of(value: &Expression) -> Option<Rc<str>> {
    match &value.kind {
        ExpressionKind::Text(text) | ExpressionKind::Word(text) => Some(text.clone()),
        ExpressionKind::Number(_, text) => Some(text.clone()),
        _ => None,
    }
}

fn number_of(value: &Expression) -> Option<f64> {
    match &value.kind {
        ExpressionKind::Number(Number::Whole(whole), _) => Some(crate::cursor::real(*whole)),
        ExpressionKind::Number(Number::Real(real), _) => Some(*real),
        _ => None,
    }
}
