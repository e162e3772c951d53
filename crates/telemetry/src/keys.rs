//! The attributes of spans and events: one name each, and the type of their value.
//!
//! Names follow the OpenTelemetry semantic conventions where they have one (messaging, network, server, tls, dns, error);
//! ours stand under `postroad.`. Addresses of people appear in [`RECIPIENT`] and [`SENDER`] only, so that a collector can
//! drop them.

use std::marker::PhantomData;
use std::net::IpAddr;

use envelope::{
    Address, ByteSize, Domain, EnhancedStatus, MessageId, ObjectName, Reply, ReversePath, Revision, ServerName,
    SiteName, Timestamp,
};
use opentelemetry::Value;

/// Longest text of an attribute in octets; the rest is cut off. A routing explanation with twenty candidates has 3,000.
pub const ATTRIBUTE_OCTETS_MAX: usize = 8 * 1024;

/// The name of an attribute whose values are of type `T`.
pub struct Key<T: ?Sized> {
    name: &'static str,
    value: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Key<T> {}

impl<T: ?Sized> Key<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// The name, as collectors see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// A value that can stand in an attribute.
pub trait ToAttribute {
    /// As OpenTelemetry has it.
    fn to_attribute(&self) -> Value;
}

impl ToAttribute for str {
    fn to_attribute(&self) -> Value {
        self[..self.floor_char_boundary(ATTRIBUTE_OCTETS_MAX)].to_owned().into()
    }
}

impl ToAttribute for u64 {
    fn to_attribute(&self) -> Value {
        i64::try_from(*self).unwrap_or(i64::MAX).into()
    }
}

impl ToAttribute for ByteSize {
    fn to_attribute(&self) -> Value {
        self.as_u64().to_attribute()
    }
}

impl ToAttribute for Revision {
    fn to_attribute(&self) -> Value {
        self.0.to_attribute()
    }
}

impl ToAttribute for Timestamp {
    fn to_attribute(&self) -> Value {
        self.to_iso8601().into()
    }
}

macro_rules! displayed {
    ($($type:ty)*) => {
        $(impl ToAttribute for $type {
            fn to_attribute(&self) -> Value {
                self.to_string().to_attribute()
            }
        })*
    };
}

displayed! { Address Domain EnhancedStatus IpAddr MessageId ObjectName Reply ReversePath ServerName SiteName }

macro_rules! keys {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $text:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: Key<$type> = Key::new($text);)*

        /// Name and meaning of every key.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),*))),*];
    };
}

keys! {
    /// The network message id.
    MESSAGE_ID: MessageId = "messaging.message.id";
    /// The `Message-ID` header field, angle brackets included: what a person has at hand.
    INTERNET_MESSAGE_ID: str = "postroad.internet_message_id";
    /// Size of header and body in octets.
    MESSAGE_SIZE: ByteSize = "messaging.message.body.size";
    /// The host called, as configured or as MX records name it.
    SERVER_ADDRESS: str = "server.address";
    /// The port called.
    SERVER_PORT: u64 = "server.port";
    /// Address of the other end.
    PEER_ADDRESS: IpAddr = "network.peer.address";
    /// Port of the other end.
    PEER_PORT: u64 = "network.peer.port";
    /// Address of this end.
    LOCAL_ADDRESS: IpAddr = "network.local.address";
    /// `TLSv1.2` or `TLSv1.3`.
    TLS_VERSION: str = "tls.protocol.version";
    /// Cipher suite.
    TLS_CIPHER: str = "tls.cipher";
    /// Subject of the certificate that the server called has shown.
    TLS_SERVER_SUBJECT: str = "tls.server.subject";
    /// Issuer of that certificate.
    TLS_SERVER_ISSUER: str = "tls.server.issuer";
    /// SHA-256 of that certificate.
    TLS_SERVER_HASH: str = "tls.server.hash.sha256";
    /// The name asked for in DNS.
    DNS_QUESTION: Domain = "dns.question.name";
    /// What DNS answered, in words.
    DNS_ANSWER: str = "postroad.dns.answer";
    /// Enhanced status of a failure.
    ERROR_TYPE: EnhancedStatus = "error.type";
    /// An SMTP reply.
    REPLY: Reply = "postroad.smtp.reply";
    /// The server that does it.
    SERVER: ServerName = "postroad.server";
    /// The site of the server that the span is of.
    SITE: SiteName = "postroad.site";
    /// The Send or Receive connector.
    CONNECTOR: ObjectName = "postroad.connector";
    /// Name of the delivery queue: where to.
    NEXT_HOP: str = "postroad.next_hop";
    /// Delivery type of the queue: how.
    DELIVERY_TYPE: str = "postroad.delivery_type";
    /// Revision of the configuration that decided.
    REVISION: Revision = "postroad.revision";
    /// Why it was decided so: every candidate and what eliminated it.
    EXPLANATION: str = "postroad.explanation";
    /// The rule by which the next hop was chosen, such as `RT-34`.
    RULE: str = "postroad.rule";
    /// How many recipients.
    RECIPIENTS: u64 = "postroad.recipients";
    /// Whom a span is about that is about one recipient only.
    RECIPIENT: Address = "postroad.recipient";
    /// The reverse-path; `<>` for notifications.
    SENDER: ReversePath = "postroad.sender";
    /// How many times it was tried, this one included.
    ATTEMPT: u64 = "postroad.attempt";
    /// Until when it waits then, at most: a change of the configuration, an administrator or a restart may end it earlier.
    WAIT_UNTIL: Timestamp = "postroad.wait.until";
    /// What it waits for.
    WAIT_REASON: str = "postroad.wait.reason";
}
