//! How each kind of value is written: one implementation of [`Literal`] per noun (docs/rules.md, Send connectors).

use std::net::{IpAddr, SocketAddr};

use envelope::{Address, ByteSize, Domain, Limit, ObjectName, ServerName, SiteName, Span};
use topology::receive_connector::{
    AuthMechanism, MessageRateSource, PermissionGroup, ReceiveRight, TlsDomainCapability, TransportRole,
};
use topology::send_connector::{
    ConnectorType, ErrorPolicy, ProtocolLoggingLevel, SmartHostAuthMechanism, TlsAuthLevel, Usage,
};
use topology::{
    AddressSpace, DomainPattern, ExternalAddress, Guid, LinkCost, Permission, RemoteRange, SmartHost, TransientReply,
    X400Domain,
};

use crate::node::{Node, Position, Value};
use crate::schema::Shape;

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
    pub(crate) fn at(node: &Node, text: impl Into<String>) -> Self {
        Self { path: String::new(), at: node.at, text: text.into() }
    }

    /// The same fault seen from one level higher.
    pub(crate) fn under(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    #[default]
    Count,
    /// Seconds of a time span.
    Seconds,
    /// A size, written `10 MB` or as a number.
    Octets,
}

/// A value as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    /// How many.
    pub count: u64,
    /// Of what.
    pub unit: Unit,
}

impl Unit {
    /// `0 to 15`, `00:00:01 to 1.00:00:00`, `64KB to 2147483647B`.
    pub(crate) fn range(self, least: u64, most: u64) -> String {
        let write = |count: u64| match self {
            Self::Count => count.to_string(),
            Self::Seconds => Span::seconds(count).to_string(),
            Self::Octets => short_size(ByteSize::bytes(count)),
        };
        format!("{} to {}", write(least), write(most))
    }
}

/// What may be written for a value of this kind.
pub(crate) fn kind_of<T: Literal>(_: &T) -> String {
    T::kind()
}

/// The sort of a value of this kind.
pub(crate) fn shape_of<T: Literal>(_: &T) -> Shape {
    T::shape()
}

/// A value with a written form.
pub(crate) trait Literal: Sized {
    /// What may be written: `an address such as user@contoso.com`.
    fn kind() -> String;
    /// The sort of the value.
    fn shape() -> Shape {
        Shape::Text
    }
    /// The value as a number, for what has a range.
    fn measure(&self) -> Option<Measure> {
        None
    }
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
            fn kind() -> String {
                $expected.to_owned()
            }
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
    let repeats = error.contains(text) || error.contains(&format!("{text:?}"));
    if repeats && !text.is_empty() { error } else { format!("{text:?} is not {expected}: {error}") }
}

text_literals! {
    Address = "an address such as user@contoso.com",
    AddressSpace = "an address space such as \"SMTP:*;1\"",
    Domain = "a domain name",
    DomainPattern = "a domain, *.domain or *",
    ExternalAddress = "an address such as user@contoso.com or FAX:+4930123456",
    Guid = "a GUID",
    IpAddr = "an IP address",
    ObjectName = "a name",
    RemoteRange = "an address range",
    ServerName = "the name of a server",
    SiteName = "the name of a site",
    Permission = "a permission such as \"allow ms-Exch-SMTP-Accept-Any-Recipient for ANONYMOUS LOGON\"",
    SmartHost = "an IP address or a host name",
    SocketAddr = "an endpoint such as 0.0.0.0:25",
    String = "a text",
    TransientReply = "a transient reply such as 4.2.2 or 450",
    X400Domain = "an X.400 domain such as C=US;A=Fabrikam;P=Contoso",
    TlsDomainCapability = "a domain with what it may, such as contoso.com:AcceptCloudServicesMail",
}

macro_rules! named_literals {
    ($($type:ty),+ $(,)?) => {$(
        impl Literal for $type {
            fn kind() -> String {
                Self::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(", ")
            }
            fn shape() -> Shape {
                Shape::Word(Self::ALL.iter().map(|value| value.as_str()).collect())
            }
            fn read(node: &Node) -> Result<Self, Vec<Fault>> {
                let text = scalar(node, &format!("one of {}", Self::kind()))?;
                text.parse().map_err(|error: String| vec![Fault::at(node, error)])
            }
            fn write(&self) -> Node {
                Node::text(self)
            }
        }
    )+};
}

named_literals! {
    MessageRateSource,
    ReceiveRight,
    AuthMechanism, ConnectorType, ErrorPolicy, PermissionGroup, ProtocolLoggingLevel, SmartHostAuthMechanism, TlsAuthLevel, TransportRole, Usage
}

impl Literal for Span {
    fn kind() -> String {
        "a time span such as 00:10:00".to_owned()
    }
    fn shape() -> Shape {
        Shape::Span
    }
    fn measure(&self) -> Option<Measure> {
        Some(Measure { count: self.0.as_secs(), unit: Unit::Seconds })
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let text = scalar(node, &Self::kind())?;
        text.parse().map_err(|error| vec![Fault::at(node, explain(&text, &error, &Self::kind()))])
    }
    fn write(&self) -> Node {
        Node::text(self)
    }
}

impl Literal for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }
    fn shape() -> Shape {
        Shape::Truth
    }
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
            fn kind() -> String {
                "a whole number".to_owned()
            }
            fn shape() -> Shape {
                Shape::Whole
            }
            fn measure(&self) -> Option<Measure> {
                Some(Measure { count: u64::from(*self), unit: Unit::Count })
            }
            fn read(node: &Node) -> Result<Self, Vec<Fault>> {
                let text = scalar(node, "a whole number")?;
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = if digits { text.parse().ok() } else { None };
                number.ok_or_else(|| {
                    // What no number is says nothing about the range, which is that of the property.
                    let range = if digits { format!(" from 0 to {}", Self::MAX) } else { String::new() };
                    vec![Fault::at(node, format!("{text:?} is not a whole number{range}"))]
                })
            }
            fn write(&self) -> Node {
                Value::Number(u64::from(*self)).into()
            }
        }
    )+};
}
number_literals!(u16, u32, u64);

impl Literal for LinkCost {
    fn kind() -> String {
        "a cost".to_owned()
    }
    fn shape() -> Shape {
        Shape::Whole
    }
    fn measure(&self) -> Option<Measure> {
        Some(Measure { count: self.get().into(), unit: Unit::Count })
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let text = scalar(node, "a whole number")?;
        let cost = u32::read(node).ok().and_then(Self::new);
        cost.ok_or_else(|| vec![Fault::at(node, format!("{text:?} is not a cost from 1 to 99999"))])
    }
    fn write(&self) -> Node {
        self.get().write()
    }
}

impl Literal for ByteSize {
    fn kind() -> String {
        "a size such as 35MB".to_owned()
    }
    fn shape() -> Shape {
        Shape::Size
    }
    fn measure(&self) -> Option<Measure> {
        Some(Measure { count: self.as_u64(), unit: Unit::Octets })
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let text = scalar(node, "a size such as 35MB")?;
        text.parse().map_err(|error| vec![Fault::at(node, explain(&text, &error, "a size"))])
    }
    /// In the largest unit that divides it: `35MB`.
    fn write(&self) -> Node {
        Node::text(short_size(*self))
    }
}

/// In the largest unit that divides it: `35MB`.
pub(crate) fn short_size(size: ByteSize) -> String {
    let bytes = size.as_u64();
    let units = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    let unit = units.into_iter().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    match unit {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
}

impl<T: Literal> Literal for Limit<T> {
    fn kind() -> String {
        format!("{}, or unlimited", T::kind())
    }
    fn shape() -> Shape {
        Shape::Limit(Box::new(T::shape()))
    }
    fn measure(&self) -> Option<Measure> {
        match self {
            Self::At(limit) => limit.measure(),
            Self::Unlimited => None,
        }
    }
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
    fn kind() -> String {
        T::kind()
    }
    fn shape() -> Shape {
        T::shape()
    }
    fn measure(&self) -> Option<Measure> {
        self.as_ref().and_then(Literal::measure)
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        if node.is_null() { Ok(None) } else { T::read(node).map(Some) }
    }
    fn write(&self) -> Node {
        self.as_ref().map_or_else(Node::null, Literal::write)
    }
}

impl<T: Literal> Literal for Vec<T> {
    fn kind() -> String {
        format!("list: {}", T::kind())
    }
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
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
