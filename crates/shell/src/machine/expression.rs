//! Expressions, variables and what may stand left of `=`.

use std::rc::Rc;

use super::{Machine, Run, Stop};
use crate::cast::{cast, is_of, literal_number, short};
use crate::failure::Failure;
use crate::layout::laid_out;
use crate::member::{call, index, of_type, own_property, property};
use crate::operator::{arithmetic, compare, join, numeric, range, replace, split, words};
use crate::tree::{Binary, Expression, ExpressionKind, Extent, Logic, Part, Unary};
use crate::value::{Table, Value};

impl Machine {
    /// The value of an expression.
    pub(super) fn expression(&mut self, expression: &Expression) -> Run<Value> {
        self.step(expression.span)?;
        let place = expression.span;
        Ok(match &expression.kind {
            ExpressionKind::Number(number, _) => literal_number(*number),
            ExpressionKind::Text(text) | ExpressionKind::Word(text) => Value::Text(text.clone()),
            ExpressionKind::Expandable(parts) => self.expanded(parts)?,
            ExpressionKind::Variable(name) => self.variable_value(name),
            ExpressionKind::Array(items) => {
                let items: Run<Vec<Value>> = items.iter().map(|item| self.expression(item)).collect();
                Value::list(items?)
            }
            ExpressionKind::Paren(statement) => {
                let value = self.value_of(statement)?;
                if matches!(**statement, crate::tree::Statement::Assign { .. }) {
                    self.assigned(statement)?
                } else {
                    value
                }
            }
            ExpressionKind::Sub(statements) => {
                let mut values: Vec<Value> = Vec::new();
                self.statements(statements, &mut values)?;
                Value::unrolled(values)
            }
            ExpressionKind::ArrayOf(statements) => {
                let mut values: Vec<Value> = Vec::new();
                self.statements(statements, &mut values)?;
                Value::list(values)
            }
            ExpressionKind::Hash(entries) => self.table(entries)?,
            ExpressionKind::Block(block) => Value::Block(block.clone()),
            ExpressionKind::Type(name) => Value::Type(name.clone()),
            ExpressionKind::Cast(name, value) => {
                let value = self.expression(value)?;
                cast(name, &value, place)?
            }
            ExpressionKind::Unary(operator, operand) => self.unary(*operator, operand, place)?,
            ExpressionKind::Binary(operator, left, right) => self.binary(*operator, left, right, place)?,
            ExpressionKind::Member(of, name) => {
                let (of, name) = (self.expression(of)?, self.expression(name)?);
                property(&of, &name.text())
            }
            ExpressionKind::Index(of, at) => {
                let (of, at) = (self.expression(of)?, self.expression(at)?);
                index(&of, &at, place)?
            }
            ExpressionKind::Call(of, name, arguments) => {
                let (of, name) = (self.expression(of)?, self.expression(name)?);
                let arguments: Run<Vec<Value>> = arguments.iter().map(|one| self.expression(one)).collect();
                call(&of, &name.text(), &arguments?, place)?
            }
            ExpressionKind::Static(of, name) => self.of_world(of, name, None, place)?,
            ExpressionKind::StaticCall(of, name, arguments) => {
                let arguments: Run<Vec<Value>> = arguments.iter().map(|one| self.expression(one)).collect();
                self.of_world(of, name, Some(&arguments?), place)?
            }
            ExpressionKind::Step(target, step, after) => {
                let old = self.expression(target)?;
                let new = arithmetic('+', &numeric(&old).unwrap_or(Value::Whole(0)), &Value::Whole(*step), place)?;
                self.store(target, new.clone())?;
                if *after { old } else { new }
            }
            ExpressionKind::Choice(condition, yes, no) => {
                let chosen = if self.expression(condition)?.truth() { yes } else { no };
                self.expression(chosen)?
            }
        })
    }

    /// An assignment in parentheses has the value that was assigned.
    fn assigned(&mut self, statement: &crate::tree::Statement) -> Run<Value> {
        match statement {
            crate::tree::Statement::Assign { target, .. } => self.expression(target),
            _ => Ok(Value::Null),
        }
    }

    fn expanded(&mut self, parts: &[Part]) -> Run<Value> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Value(value) => {
                    let value = self.expression(value)?;
                    let separator = self.variable("ofs");
                    match (&value, separator.is_null()) {
                        (Value::List(_), false) => text.push_str(&join(&value, &separator.text()).text()),
                        _ => text.push_str(&value.text()),
                    }
                }
            }
        }
        Ok(Value::of(text))
    }

    fn table(&mut self, entries: &[(Expression, crate::tree::Statement)]) -> Run<Value> {
        let table = Table::default();
        for (key, value) in entries {
            let name = self.expression(key)?;
            if table.get(&name.text()).is_some() {
                let message = format!("Duplicate keys '{}' are not allowed in hash literals.", name.text());
                return Err(Failure::of_language("DuplicateKeyInHashLiteral", message, key.span).into());
            }
            let value = self.value_of(value)?;
            table.set(name, value);
        }
        Ok(Value::Table(Rc::new(table)))
    }

    fn unary(&mut self, operator: Unary, operand: &Expression, place: Extent) -> Run<Value> {
        let value = self.expression(operand)?;
        Ok(match operator {
            Unary::Not => Value::Bool(!value.truth()),
            Unary::Minus => arithmetic('-', &Value::Whole(0), &value, place)?,
            Unary::Plus => arithmetic('+', &Value::Whole(0), &value, place)?,
            Unary::Comma => Value::list(vec![value]),
            Unary::Join => join(&value, ""),
            Unary::Split => words(&value),
        })
    }

    fn binary(&mut self, operator: Binary, left: &Expression, right: &Expression, place: Extent) -> Run<Value> {
        let one = self.expression(left)?;
        // What is decided by the left side alone is not asked on the right.
        match operator {
            Binary::Logic(Logic::And) if !one.truth() => return Ok(Value::Bool(false)),
            Binary::Logic(Logic::Or) if one.truth() => return Ok(Value::Bool(true)),
            Binary::Coalesce if !one.is_null() => return Ok(one),
            _ => {}
        }
        if let Binary::Is(wanted) = operator {
            let of = self.type_of(right)?;
            return Ok(Value::Bool(is_of(&one, &of) == wanted));
        }
        if operator == Binary::As {
            let of = self.type_of(right)?;
            return Ok(cast(&of, &one, place).unwrap_or_default());
        }
        let other = self.expression(right)?;
        Ok(match operator {
            Binary::Arithmetic(sign) => arithmetic(sign, &one, &other, place)?,
            Binary::Range => range(&one, &other, place)?,
            Binary::Format => {
                let text = laid_out(&one.text(), &if other.is_null() { vec![Value::Null] } else { other.each() });
                let message = "Error formatting a string: Index (zero based) must be greater than or equal to zero and less than the size \
                               of the argument list.";
                Value::of(text.ok_or_else(|| Failure::of_language("FormatError", message, place))?)
            }
            Binary::Logic(Logic::Xor) => Value::Bool(one.truth() != other.truth()),
            Binary::Logic(_) => Value::Bool(other.truth()),
            Binary::Coalesce => other,
            Binary::Bits(logic) => {
                let (Some(Value::Whole(one)), Some(Value::Whole(other))) = (numeric(&one), numeric(&other)) else {
                    return Err(Failure::of_language("InvalidCast", "Bits are of whole numbers.", place).into());
                };
                Value::Whole(match logic {
                    Logic::And => one & other,
                    Logic::Or => one | other,
                    Logic::Xor => one ^ other,
                })
            }
            Binary::Compare(comparison, case) => {
                let (value, found) = compare(comparison, case, &one, &other, place)?;
                if let Some(found) = found {
                    let matches = Table::default();
                    for (name, text) in found {
                        matches.set(crate::cast::guessed(&name), Value::of(text));
                    }
                    self.set("matches", Value::Table(Rc::new(matches)));
                }
                value
            }
            Binary::Replace(case) => replace(&one, &other, case, place)?,
            Binary::SplitBy(case) => split(&one, &other, case, place)?,
            Binary::JoinBy => join(&one, &other.text()),
            Binary::Is(_) | Binary::As => unreachable!("decided before the right side is asked"),
        })
    }

    fn type_of(&mut self, expression: &Expression) -> Run<String> {
        Ok(match &expression.kind {
            ExpressionKind::Type(name) => name.to_string(),
            _ => self.expression(expression)?.text(),
        })
    }

    /// `[type]::name`: what belongs to the world is asked of the console, the rest is computed.
    fn of_world(&mut self, of: &str, name: &str, arguments: Option<&[Value]>, place: Extent) -> Run<Value> {
        let first = arguments.and_then(<[Value]>::first).map(Value::text).unwrap_or_default();
        let file = |error: String| Stop::from(Failure::of_language("FileNotFound", error, place));
        let of_world = match (short(of).as_str(), name.to_ascii_lowercase().as_str()) {
            ("datetime", "now" | "utcnow") => Some(Value::Date(self.console.now())),
            ("datetime", "today") => Some(Value::Date(self.console.now().replace_time(time::Time::MIDNIGHT))),
            ("guid", "newguid") => Some(Value::of(self.console.guid())),
            ("environment", "machinename") => Some(Value::of(self.console.environment("HOSTNAME").unwrap_or_default())),
            ("dns", "gethostname") => Some(Value::of(self.console.environment("HOSTNAME").unwrap_or_default())),
            ("file", "readallbytes") => Some(Value::Octets(self.console.read(&first).map_err(file)?.into())),
            ("file", "readalltext") => {
                let octets = self.console.read(&first).map_err(file)?;
                Some(Value::of(String::from_utf8_lossy(&octets).into_owned()))
            }
            ("file", "exists") => Some(Value::Bool(self.console.read(&first).is_ok())),
            ("file", "writealltext" | "writeallbytes") => {
                let content = arguments.and_then(|all| all.get(1)).cloned().unwrap_or_default();
                let octets = match &content {
                    Value::Octets(octets) => octets.to_vec(),
                    other => other.text().into_bytes(),
                };
                self.console.save(&first, &octets, false).map_err(file)?;
                Some(Value::Null)
            }
            _ => None,
        };
        if let Some(value) = of_world {
            return Ok(value);
        }
        match of_type(of, name, arguments, place) {
            Some(value) => Ok(value?),
            None if arguments.is_some() => {
                let message =
                    format!("Method invocation failed because [{of}] does not contain a method named '{name}'.");
                Err(Failure::of_language("MethodNotFound", message, place)
                    .advise("this shell has its own closed list of methods; .NET is not behind it")
                    .into())
            }
            None => {
                cast(of, &Value::Null, place)
                    .map(|_| ())
                    .or_else(|failure| if failure.id == "TypeNotFound" { Err(failure) } else { Ok(()) })?;
                Ok(Value::Null)
            }
        }
    }

    /// A variable by its name with its scope (SH-31).
    fn variable_value(&mut self, name: &str) -> Value {
        if let Some((scope, name)) = name.split_once(':') {
            return match scope {
                "env" => self.console.environment(&name.to_ascii_uppercase()).map_or(Value::Null, Value::of),
                "script" | "global" => self.scopes[0].get(name).cloned().unwrap_or_default(),
                _ => self.variable(name),
            };
        }
        match name {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "_" | "psitem" => self.current.clone(),
            "?" => Value::Bool(self.succeeded),
            "error" => Value::list(self.failures.clone()),
            "psversiontable" => {
                let table = Table::default();
                table.set(Value::of("PSVersion"), Value::of("5.1"));
                table.set(Value::of("PSEdition"), Value::of("Postroad"));
                Value::Table(Rc::new(table))
            }
            "formatenumerationlimit" if self.variable(name).is_null() => Value::Whole(super::ENUMERATION_LIMIT),
            "erroractionpreference" if self.variable(name).is_null() => Value::of("Continue"),
            "confirmpreference" if self.variable(name).is_null() => Value::of("High"),
            "whatifpreference" if self.variable(name).is_null() => Value::Bool(false),
            _ => self.variable(name),
        }
    }

    /// Gives a variable of the innermost scope its value.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let (scope, name) = name.split_once(':').unwrap_or(("", name));
        let scopes = self.scopes.len();
        let at = if matches!(scope, "script" | "global") { 0 } else { scopes - 1 };
        self.scopes[at].insert(name.into(), value);
    }

    /// Puts a value where an expression points.
    pub(super) fn store(&mut self, target: &Expression, value: Value) -> Run<()> {
        let refused = |message: String| Err(Failure::of_language("PropertyNotFound", message, target.span).into());
        match &target.kind {
            ExpressionKind::Variable(name) if matches!(&**name, "true" | "false" | "null") => {
                if &**name == "null" {
                    return Ok(());
                }
                refused(format!("Cannot overwrite variable {name} because it is read-only or constant."))
            }
            ExpressionKind::Variable(name) => {
                self.set(name, value);
                Ok(())
            }
            ExpressionKind::Cast(of, inner) => {
                let value = cast(of, &value, target.span)?;
                self.store(inner, value)
            }
            ExpressionKind::Array(targets) => {
                let values = value.each();
                for (at, one) in targets.iter().enumerate() {
                    let last = at + 1 == targets.len() && values.len() > targets.len();
                    let part = if last { Value::list(values[at..].to_vec()) } else { values.get(at).cloned().unwrap_or_default() };
                    self.store(one, part)?;
                }
                Ok(())
            }
            ExpressionKind::Member(of, name) => {
                let (of, name) = (self.expression(of)?, self.expression(name)?.text());
                let done = match &of {
                    Value::Object(object) => object.set(&name, value),
                    Value::Table(table) => {
                        table.set(Value::of(&*name), value);
                        true
                    }
                    _ => false,
                };
                if done {
                    return Ok(());
                }
                let there = own_property(&of, &name).is_some();
                let why = if there { "is a read only property" } else { "cannot be found on this object" };
                refused(format!("The property '{name}' {why}. Verify that the property exists and can be set."))
            }
            ExpressionKind::Index(of, at) => {
                let (of, at) = (self.expression(of)?, self.expression(at)?);
                match (&of, numeric(&at)) {
                    (Value::Table(table), _) => table.set(at, value),
                    (Value::List(items), Some(Value::Whole(place))) => {
                        let mut items = items.borrow_mut();
                        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
                        let place = usize::try_from(if place < 0 { place + count } else { place }).unwrap_or(usize::MAX);
                        match items.get_mut(place) {
                            Some(old) => *old = value,
                            None => return refused("Index was outside the bounds of the array.".to_owned()),
                        }
                    }
                    _ => return refused("Unable to index into an object of this type.".to_owned()),
                }
                Ok(())
            }
            _ => refused("The assignment expression is not valid. The input to an assignment operator must be an object that is able to accept assignments, such as a variable or a property.".to_owned()),
        }
    }
}
