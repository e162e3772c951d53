//! How each kind of value is written: one implementation of [`Literal`] per noun (send-connector.md §17).

use std::net::{IpAddr, SocketAddr};

use envelope::{Address, ByteSize, Domain, Limit, ObjectName, ServerName, SiteName, Span};
use topology::receive_connector::{AuthMechanism, PermissionGroup, TransportRole};
use topology::send_connector::{
    ConnectorType, ErrorPolicy, ProtocolLoggingLevel, SmartHostAuthMechanism, TlsAuthLevel, Usage,
};
use topology::{AddressSpace, DomainPattern, Guid, LinkCost, RemoteRange, SmartHost};

use crate::node::{Node, Position, Value};

/// One thing wrong with an object, relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Path from the object: empty, `.property` or `.property[2]`.
    pub path: String,
    /// Where it was read.
    pub at: Option<Position>,
    /// What is wrong and what to do.
    pub text: String,
}

impl Fault {
    /// A fault at `node` itself.
    pub fn at(node: &Node, text: impl Into<String>) -> Self {
        Self { path: String::new(), at: node.at, text: text.into() }
    }

    /// The same fault seen from one level higher.
    pub fn under(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

/// A value with a written form.
pub(crate) trait Literal: Sized {
    /// Reads it.
    fn read(node: &Node) -> Result<Self, Vec<Fault>>;
    /// Writes it so that [`read`](Self::read) gives it back.
    fn write(&self) -> Node;
}

/// The scalar of `node`, or what to write instead.
fn scalar<'a>(node: &'a Node, expected: &str) -> Result<std::borrow::Cow<'a, str>, Vec<Fault>> {
    node.scalar().ok_or_else(|| vec![Fault::at(node, format!("write {expected}"))])
}

macro_rules! text_literals {
    ($($type:ty = $expected:literal),+ $(,)?) => {$(
        impl Literal for $type {
            fn read(node: &Node) -> Result<Self, Vec<Fault>> {
                let text = scalar(node, $expected)?;
                text.parse().map_err(|error| vec![Fault::at(node, explain(&text, &error, $expected))])
            }
            fn write(&self) -> Node {
                Node::text(self)
            }
        }
    )+};
}

/// Names the text that is wrong when the error itself does not.
fn explain(text: &str, error: &impl ToString, expected: &str) -> String {
    let error = error.to_string();
    if error.contains(text) && !text.is_empty() { error } else { format!("{text:?} is not {expected}: {error}") }
}

text_literals! {
    Address = "an address such as user@contoso.com",
    AddressSpace = "an address space such as \"SMTP:*;1\"",
    AuthMechanism = "an authentication mechanism",
    ConnectorType = "a connector type",
    Domain = "a domain name",
    DomainPattern = "a domain, *.domain or *",
    ErrorPolicy = "an error policy",
    Guid = "a GUID",
    IpAddr = "an IP address",
    ObjectName = "a name",
    PermissionGroup = "a permission group",
    ProtocolLoggingLevel = "None or Verbose",
    RemoteRange = "an address range",
    ServerName = "the name of a server",
    SiteName = "the name of a site",
    SmartHost = "an IP address or a host name",
    SmartHostAuthMechanism = "an authentication mechanism",
    SocketAddr = "an endpoint such as 0.0.0.0:25",
    Span = "a time span such as 00:10:00",
    String = "a text",
    TlsAuthLevel = "a TLS level",
    TransportRole = "FrontendTransport or HubTransport",
    Usage = "a usage",
}

impl Literal for bool {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let text = scalar(node, "true or false")?;
        let value = text.to_ascii_lowercase().parse();
        value.map_err(|_| vec![Fault::at(node, format!("{text:?} is neither true nor false"))])
    }
    fn write(&self) -> Node {
        Value::Bool(*self).into()
    }
}

macro_rules! number_literals {
    ($($type:ty),+) => {$(
        impl Literal for $type {
            fn read(node: &Node) -> Result<Self, Vec<Fault>> {
                let text = scalar(node, "a whole number")?;
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = if digits { text.parse().ok() } else { None };
                number.ok_or_else(|| {
                    vec![Fault::at(node, format!("{text:?} is not a whole number from 0 to {}", Self::MAX))]
                })
            }
            fn write(&self) -> Node {
                Value::Number(u64::from(*self)).into()
            }
        }
    )+};
}
number_literals!(u16, u32);

impl Literal for LinkCost {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let cost = u32::read(node)?;
        Self::new(cost).ok_or_else(|| vec![Fault::at(node, format!("{cost} is not a cost from 1 to 99999"))])
    }
    fn write(&self) -> Node {
        self.get().write()
    }
}

impl Literal for ByteSize {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let text = scalar(node, "a size such as 35MB")?;
        text.parse().map_err(|error| vec![Fault::at(node, explain(&text, &error, "a size"))])
    }
    /// In the largest unit that divides it: `35MB`.
    fn write(&self) -> Node {
        let bytes = self.as_u64();
        let units = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
        let unit = units.into_iter().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
        match unit {
            Some((unit, shift)) => Node::text(format_args!("{}{unit}", bytes >> shift)),
            None => Node::text(format_args!("{bytes}B")),
        }
    }
}

impl<T: Literal> Literal for Limit<T> {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match node.scalar() {
            Some(text) if text.eq_ignore_ascii_case("unlimited") => Ok(Self::Unlimited),
            _ => T::read(node).map(Self::At),
        }
    }
    fn write(&self) -> Node {
        match self {
            Self::At(limit) => limit.write(),
            Self::Unlimited => Node::text("unlimited"),
        }
    }
}

impl<T: Literal> Literal for Option<T> {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        if node.is_null() { Ok(None) } else { T::read(node).map(Some) }
    }
    fn write(&self) -> Node {
        self.as_ref().map_or_else(Node::null, Literal::write)
    }
}

impl<T: Literal> Literal for Vec<T> {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let items = node.items().ok_or_else(|| vec![Fault::at(node, "write a list, such as [a, b]")])?;
        let (mut values, mut faults) = (Self::new(), Vec::new());
        for (at, item) in items.iter().enumerate() {
            match T::read(item) {
                Ok(value) => values.push(value),
                Err(wrong) => faults.extend(wrong.into_iter().map(|fault| fault.under(&format!("[{at}]")))),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }
    fn write(&self) -> Node {
        Value::List(self.iter().map(Literal::write).collect()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_short_and_read_back() {
        for (size, text) in [
            (ByteSize::mib(35), "35MB"),
            (ByteSize::kib(1536), "1536KB"),
            (ByteSize::bytes(1025), "1025B"),
            (ByteSize::bytes(0), "0B"),
        ] {
            assert_eq!(size.write(), Node::text(text));
            assert_eq!(ByteSize::read(&size.write()), Ok(size));
        }
    }

    #[test]
    fn every_wrong_item_of_a_list_is_named() {
        let node: Node = Value::List(vec![Node::text("a.example"), Node::text(""), Node::text("b..c")]).into();
        let faults = Vec::<Domain>::read(&node).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), ["[1]", "[2]"]);
    }
}
