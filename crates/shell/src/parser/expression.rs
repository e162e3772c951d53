//! Expressions: precedence climbing over the operators (SH-25), members, calls and indexes behind an operand.

use std::rc::Rc;

use super::Parser;
use crate::cursor::{Reads, is_dash, is_double_quote, is_line_end, is_name, is_single_quote, number};
use crate::tree::{Binary, Compare, Expression, ExpressionKind, Logic, Unary};

/// Binding powers, from the loosest.
const COALESCE: u8 = 1;
const LOGIC: u8 = 2;
const BITS: u8 = 3;
const COMPARISON: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;
const FORMAT: u8 = 7;
const RANGE: u8 = 8;
/// Octets of a number.
const NUMBER_OCTETS_MAX: usize = 400;

impl Parser<'_> {
    /// An expression.
    pub(super) fn expression(&mut self) -> Reads<Expression> {
        let condition = self.nested(|parser| parser.climb(0))?;
        self.cursor.blanks()?;
        if self.cursor.peek() != Some('?') || self.cursor.second() == Some('?') {
            return Ok(condition);
        }
        self.cursor.bump();
        self.lines()?;
        let yes = self.expression()?;
        self.lines()?;
        self.expect(":", "Missing ':' in the conditional expression.")?;
        self.lines()?;
        let no = self.expression()?;
        let span = condition.span.to(no.span);
        Ok(Expression { kind: ExpressionKind::Choice(Box::new(condition), Box::new(yes), Box::new(no)), span })
    }

    fn climb(&mut self, least: u8) -> Reads<Expression> {
        let mut left = self.array()?;
        loop {
            self.cursor.blanks()?;
            let Some((operator, power, length)) = self.binary() else { return Ok(left) };
            if power < least.max(1) {
                return Ok(left);
            }
            let here = self.cursor.at();
            self.cursor.set(here + length);
            self.lines()?;
            if self.cursor.peek().is_none_or(|next| ")};|".contains(next)) {
                let word = self.cursor.since(here).trim().to_owned();
                return self
                    .cursor
                    .missing(format!("You must provide a value expression following the '{word}' operator."));
            }
            let right = self.nested(|parser| parser.climb(power + 1))?;
            let span = left.span.to(right.span);
            left = Expression { kind: ExpressionKind::Binary(operator, Box::new(left), Box::new(right)), span };
        }
    }

    /// The operator that comes next, with its binding power and its length.
    fn binary(&self) -> Option<(Binary, u8, usize)> {
        let rest = self.cursor.rest();
        let next = self.cursor.peek()?;
        if let Some((name, length)) = self.cursor.operator_word() {
            return named(&name).map(|(operator, power)| (operator, power, length));
        }
        let assigns = rest[next.len_utf8()..].starts_with('=');
        match next {
            '.' if rest.starts_with("..") => Some((Binary::Range, RANGE, 2)),
            '?' if rest.starts_with("??") && !rest.starts_with("??=") => Some((Binary::Coalesce, COALESCE, 2)),
            '+' if !assigns => Some((Binary::Arithmetic('+'), SUM, 1)),
            _ if is_dash(next) && !assigns => Some((Binary::Arithmetic('-'), SUM, next.len_utf8())),
            '*' | '/' | '%' if !assigns && !rest.starts_with("*>") => Some((Binary::Arithmetic(next), PRODUCT, 1)),
            _ => None,
        }
    }

    /// Operands joined by commas, which bind tighter than every operator between operands.
    fn array(&mut self) -> Reads<Expression> {
        let first = self.unary()?;
        self.joined(first, |parser, comma| match parser.cursor.peek() {
            None => parser.cursor.open("Missing expression after ','.", comma),
            Some(_) => parser.unary(),
        })
    }

    /// What commas join to `first`, each read by `next`, which is told where the comma was looked for: an array, or `first` alone.
    pub(super) fn joined(
        &mut self,
        first: Expression,
        mut next: impl FnMut(&mut Self, usize) -> Reads<Expression>,
    ) -> Reads<Expression> {
        let mut items = vec![first];
        loop {
            let here = self.cursor.at();
            self.cursor.blanks()?;
            if self.cursor.peek() != Some(',') {
                // A blank before the next word is not part of this one.
                self.cursor.set(here);
                break;
            }
            self.cursor.bump();
            self.lines()?;
            items.push(next(self, here)?);
        }
        let span = items[0].span.to(items[items.len() - 1].span);
        if items.len() == 1 { Ok(items.remove(0)) } else { Ok(Expression { kind: ExpressionKind::Array(items), span }) }
    }

    fn unary(&mut self) -> Reads<Expression> {
        self.nested(Self::one_unary)
    }

    fn one_unary(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        let Some(next) = self.cursor.peek() else { return self.cursor.open("Missing expression.", start) };
        if let Some((name, length)) = self.cursor.operator_word() {
            let operator = match name.as_str() {
                "not" => Unary::Not,
                "join" => Unary::Join,
                "split" | "isplit" | "csplit" => Unary::Split,
                _ => return self.cursor.unexpected(),
            };
            return self.prefixed(start, length, operator);
        }
        let rest = self.cursor.rest();
        match next {
            '!' => self.prefixed(start, 1, Unary::Not),
            ',' => self.prefixed(start, 1, Unary::Comma),
            '+' | '-' if rest.starts_with("++") || rest.starts_with("--") => {
                self.cursor.set(start + 2);
                let target = self.unary()?;
                let span = self.cursor.span(start);
                let step = if next == '+' { 1 } else { -1 };
                Ok(Expression { kind: ExpressionKind::Step(Box::new(target), step, false), span })
            }
            '+' => self.prefixed(start, 1, Unary::Plus),
            _ if is_dash(next) => {
                if self.cursor.second().is_some_and(|digit| digit.is_ascii_digit() || digit == '.') {
                    return self.number_literal();
                }
                self.prefixed(start, next.len_utf8(), Unary::Minus)
            }
            '[' => self.cast(),
            _ => self.primary_with_members(),
        }
    }

    fn prefixed(&mut self, start: usize, length: usize, operator: Unary) -> Reads<Expression> {
        self.cursor.set(start + length);
        self.lines()?;
        let operand = if operator == Unary::Comma || operator == Unary::Not { self.unary()? } else { self.array()? };
        let span = self.cursor.span(start);
        Ok(Expression { kind: ExpressionKind::Unary(operator, Box::new(operand)), span })
    }

    /// `[type]`, alone, before a value, or before `::`.
    fn cast(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        let name = self.type_name()?;
        let operand = |next: char| {
            "$(@[{'\"".contains(next)
                || is_dash(next)
                || next.is_ascii_digit()
                || is_single_quote(next)
                || is_double_quote(next)
        };
        if self.cursor.rest().starts_with("::") {
            let of_type = Expression { kind: ExpressionKind::Type(name), span: self.cursor.span(start) };
            return self.members(of_type);
        }
        let here = self.cursor.at();
        self.cursor.blanks()?;
        let is_operator = self.cursor.operator_word().is_some_and(|(name, _)| named(&name).is_some());
        if self.cursor.peek().is_some_and(operand) && !is_operator {
            let value = self.unary()?;
            let span = self.cursor.span(start);
            return Ok(Expression { kind: ExpressionKind::Cast(name, Box::new(value)), span });
        }
        self.cursor.set(here);
        let of_type = Expression { kind: ExpressionKind::Type(name), span: self.cursor.span(start) };
        self.members(of_type)
    }

    /// `[name]`, without its brackets, as written.
    pub(super) fn type_name(&mut self) -> Reads<Rc<str>> {
        let start = self.cursor.at();
        self.expect("[", "Missing type name after '['.")?;
        let mut depth = 1_usize;
        let name = self.cursor.take_while(|one| {
            depth = match one {
                '[' => depth + 1,
                ']' => depth - 1,
                _ => depth,
            };
            depth > 0 && (one.is_alphanumeric() || "._,[] `+".contains(one))
        });
        let name: Rc<str> = name.trim().into();
        if name.is_empty() {
            return self.cursor.missing("Missing type name after '['.");
        }
        if self.cursor.peek().is_none() {
            return self.cursor.open("Missing ] at end of type token.", start);
        }
        self.expect("]", "Missing ] at end of type token.")?;
        Ok(name)
    }

    fn number_literal(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.bump();
        loop {
            let taken = self.cursor.take_while(char::is_alphanumeric);
            let exponent = taken.ends_with(['e', 'E']) && !self.cursor.since(start).contains("0x");
            match (self.cursor.peek(), self.cursor.second()) {
                (Some('.'), Some(next)) if next.is_ascii_digit() && !self.cursor.since(start).contains('.') => {}
                (Some('+' | '-'), Some(next)) if exponent && next.is_ascii_digit() => {}
                _ => break,
            }
            if self.cursor.since(start).len() > NUMBER_OCTETS_MAX {
                break;
            }
            self.cursor.bump();
        }
        let text = self.cursor.since(start);
        match number(text) {
            Some(value) => {
                let literal =
                    Expression { kind: ExpressionKind::Number(value, text.into()), span: self.cursor.span(start) };
                self.members(literal)
            }
            None => self.cursor.error(format!("Unexpected token '{text}' in expression or statement."), start),
        }
    }

    /// An operand with what hangs on it.
    pub(super) fn primary_with_members(&mut self) -> Reads<Expression> {
        let operand = self.primary()?;
        self.members(operand)
    }

    fn primary(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        let (Some(first), second) = (self.cursor.peek(), self.cursor.second()) else {
            return self.cursor.open("Missing expression.", start);
        };
        match first {
            '$' => self.variable_or_sub(),
            '(' => self.parenthesis(),
            '{' => {
                let block = self.block()?;
                Ok(Expression { kind: ExpressionKind::Block(block), span: self.cursor.span(start) })
            }
            '@' if second == Some('(') => {
                self.cursor.set(start + 2);
                let statements = self.statements(Some(')'))?;
                if !self.cursor.take(")") {
                    return self.cursor.open("Missing closing ')' in subexpression.", start);
                }
                Ok(Expression { kind: ExpressionKind::ArrayOf(statements), span: self.cursor.span(start) })
            }
            '@' if second == Some('{') => self.hash(),
            '@' if second.is_some_and(|next| is_single_quote(next) || is_double_quote(next)) => self.here_string(),
            '@' if second.is_none() => self.cursor.open("Unrecognized token in source text.", start),
            _ if is_single_quote(first) => self.literal_text(),
            _ if is_double_quote(first) => self.expandable_text(false),
            '.' if second.is_some_and(|next| next.is_ascii_digit()) => self.number_literal(),
            _ if first.is_ascii_digit() => self.number_literal(),
            '<' => self.cursor.error("The '<' operator is reserved for future use.", start),
            _ => self.cursor.unexpected(),
        }
    }

    /// `( … )`
    fn parenthesis(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.bump();
        self.lines()?;
        if self.cursor.peek() == Some(')') {
            return self.cursor.error("An expression was expected after '('.", start);
        }
        if self.cursor.peek().is_none() {
            return self.cursor.open("Missing closing ')' in expression.", start);
        }
        let statement = self.statement()?;
        self.lines()?;
        if self.cursor.peek().is_none() {
            return self.cursor.open("Missing closing ')' in expression.", start);
        }
        if self.cursor.peek() != Some(')') {
            return self.cursor.error("Missing closing ')' in expression.", start);
        }
        self.cursor.bump();
        Ok(Expression { kind: ExpressionKind::Paren(Box::new(statement)), span: self.cursor.span(start) })
    }

    /// `@{ … }` (SH-30)
    fn hash(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        self.cursor.set(start + 2);
        let mut entries = Vec::new();
        loop {
            self.cursor.lines(true)?;
            if self.cursor.take("}") {
                return Ok(Expression { kind: ExpressionKind::Hash(entries), span: self.cursor.span(start) });
            }
            let key_start = self.cursor.at();
            let key = match self.cursor.peek() {
                None => return self.cursor.open("The hash literal was incomplete.", start),
                Some(one) if "$(".contains(one) || is_single_quote(one) || is_double_quote(one) => self.primary()?,
                Some(_) => {
                    let word: Rc<str> = self.cursor.take_while(|one| is_name(one) || "-?.".contains(one)).into();
                    if word.is_empty() {
                        return self.cursor.unexpected();
                    }
                    Expression { kind: ExpressionKind::Word(word), span: self.cursor.span(key_start) }
                }
            };
            self.cursor.blanks()?;
            self.expect("=", "Missing '=' operator after key in hash literal.")?;
            self.lines()?;
            if self.cursor.peek().is_none() {
                return self.cursor.open("The hash literal was incomplete.", start);
            }
            entries.push((key, self.statement()?));
            self.cursor.blanks()?;
            match self.cursor.peek() {
                None | Some(';' | '}' | '#') => {}
                Some(one) if is_line_end(one) => {}
                Some(_) => return self.cursor.missing("Missing closing '}' or ';' in hash literal."),
            }
        }
    }

    /// `.name`, `::name`, `(…)`, `[…]`, `++`, `--` directly behind an operand.
    fn members(&mut self, mut operand: Expression) -> Reads<Expression> {
        let start = operand.span.start;
        loop {
            let (next, second) = (self.cursor.peek(), self.cursor.second());
            let kind = match next {
                Some('.') if second.is_some_and(begins_member) => {
                    self.cursor.bump();
                    let name = self.member_name()?;
                    if self.cursor.peek() == Some('(') {
                        let arguments = self.call_arguments()?;
                        ExpressionKind::Call(Box::new(operand), Box::new(name), arguments)
                    } else {
                        ExpressionKind::Member(Box::new(operand), Box::new(name))
                    }
                }
                Some(':') if self.cursor.rest().starts_with("::") => {
                    let ExpressionKind::Type(of) = &operand.kind else { return Ok(operand) };
                    let of = of.clone();
                    self.cursor.set(self.cursor.at() + 2);
                    let name: Rc<str> = self.cursor.take_while(is_name).into();
                    match self.cursor.peek() {
                        Some('(') => ExpressionKind::StaticCall(of, name, self.call_arguments()?),
                        _ => ExpressionKind::Static(of, name),
                    }
                }
                Some('[') => {
                    let here = self.cursor.at();
                    self.cursor.bump();
                    self.lines()?;
                    let index = self.expression()?;
                    self.lines()?;
                    if self.cursor.peek().is_none() {
                        return self.cursor.open("Missing ']' after array index expression.", here);
                    }
                    self.expect("]", "Missing ']' after array index expression.")?;
                    ExpressionKind::Index(Box::new(operand), Box::new(index))
                }
                Some('+') if self.cursor.take("++") => ExpressionKind::Step(Box::new(operand), 1, true),
                Some('-') if matches!(operand.kind, ExpressionKind::Variable(_)) && self.cursor.take("--") => {
                    ExpressionKind::Step(Box::new(operand), -1, true)
                }
                _ => return Ok(operand),
            };
            operand = Expression { kind, span: self.cursor.span(start) };
        }
    }

    fn member_name(&mut self) -> Reads<Expression> {
        let start = self.cursor.at();
        match self.cursor.peek() {
            Some('$') => self.variable_or_sub(),
            Some('(') => self.parenthesis(),
            Some(one) if is_single_quote(one) => self.literal_text(),
            Some(one) if is_double_quote(one) => self.expandable_text(false),
            _ => {
                let name: Rc<str> = self.cursor.take_while(is_name).into();
                Ok(Expression { kind: ExpressionKind::Text(name), span: self.cursor.span(start) })
            }
        }
    }

    fn call_arguments(&mut self) -> Reads<Vec<Expression>> {
        let start = self.cursor.at();
        self.cursor.bump();
        let mut arguments = Vec::new();
        loop {
            self.lines()?;
            match self.cursor.peek() {
                None => return self.cursor.open("Missing ')' in method call.", start),
                Some(')') => {
                    self.cursor.bump();
                    return Ok(arguments);
                }
                Some(',') if !arguments.is_empty() => {
                    self.cursor.bump();
                    self.lines()?;
                }
                Some(_) if !arguments.is_empty() => return self.cursor.missing("Missing ')' in method call."),
                Some(_) => {}
            }
            // Commas separate arguments here; an array needs its own parentheses.
            arguments.push(self.nested(Self::one_argument)?);
        }
    }

    /// An expression in which a comma separates.
    pub(super) fn one_argument(&mut self) -> Reads<Expression> {
        self.climb_without_commas(1)
    }

    fn climb_without_commas(&mut self, least: u8) -> Reads<Expression> {
        let mut left = self.unary()?;
        loop {
            self.cursor.blanks()?;
            let Some((operator, power, length)) = self.binary().filter(|(_, power, _)| *power >= least) else {
                return Ok(left);
            };
            self.cursor.set(self.cursor.at() + length);
            self.lines()?;
            let right = self.nested(|parser| parser.climb_without_commas(power + 1))?;
            let span = left.span.to(right.span);
            left = Expression { kind: ExpressionKind::Binary(operator, Box::new(left), Box::new(right)), span };
        }
    }
}

fn begins_member(one: char) -> bool {
    is_name(one) || "$(".contains(one) || is_single_quote(one) || is_double_quote(one)
}

/// Operators of letters. `c` before a comparison says that case counts, `i` that it does not.
fn named(name: &str) -> Option<(Binary, u8)> {
    let fixed = match name {
        "and" => Some((Binary::Logic(Logic::And), LOGIC)),
        "or" => Some((Binary::Logic(Logic::Or), LOGIC)),
        "xor" => Some((Binary::Logic(Logic::Xor), LOGIC)),
        "band" => Some((Binary::Bits(Logic::And), BITS)),
        "bor" => Some((Binary::Bits(Logic::Or), BITS)),
        "bxor" => Some((Binary::Bits(Logic::Xor), BITS)),
        "f" => Some((Binary::Format, FORMAT)),
        "is" => Some((Binary::Is(true), COMPARISON)),
        "isnot" => Some((Binary::Is(false), COMPARISON)),
        "as" => Some((Binary::As, COMPARISON)),
        "join" => Some((Binary::JoinBy, COMPARISON)),
        _ => None,
    };
    if fixed.is_some() {
        return fixed;
    }
    let of = |name: &str, case: bool| {
        let compare = match name {
            "eq" => Compare::Equal,
            "ne" => Compare::NotEqual,
            "gt" => Compare::Greater,
            "ge" => Compare::GreaterOrEqual,
            "lt" => Compare::Less,
            "le" => Compare::LessOrEqual,
            "like" => Compare::Like,
            "notlike" => Compare::NotLike,
            "match" => Compare::Match,
            "notmatch" => Compare::NotMatch,
            "contains" => Compare::Contains,
            "notcontains" => Compare::NotContains,
            "in" => Compare::In,
            "notin" => Compare::NotIn,
            "replace" => return Some(Binary::Replace(case)),
            "split" => return Some(Binary::SplitBy(case)),
            _ => return None,
        };
        Some(Binary::Compare(compare, case))
    };
    let prefixed = || match name.split_at_checked(1)? {
        ("c", rest) => of(rest, true),
        ("i", rest) => of(rest, false),
        _ => None,
    };
    Some((of(name, false).or_else(prefixed)?, COMPARISON))
}

/// What a word of an operator such as `-like` compares by; for conditions that are written as words of a command (SH-45).
pub fn comparison(name: &str) -> Option<(Compare, bool)> {
    match named(&name.to_ascii_lowercase())?.0 {
        Binary::Compare(compare, case) => Some((compare, case)),
        _ => None,
    }
}
