//! The `internet:` part of a lab file: domains, hosts, and how the hosts behave. Only its form; nothing is started here.
//!
//! ```yaml
//! internet:
//!   domains:
//!     - {name: fabrikam.example, mx: [{host: mx1.fabrikam.example, preference: 10}]}
//!     - {name: nomail.example, nullMx: true}
//!     - {name: broken.example, failure: serverFailure}
//!   hosts:
//!     - name: mx1.fabrikam.example
//!       behavior:
//!         tls: selfSigned
//!         login: {user: contoso, password: secret}
//!         faults:
//!           - {at: rcpt, reply: 450 4.7.1 Greylisted, times: 1}
//!           - {at: accepted, disconnect: true, times: 1}
//! ```
//!
//! A name that is nowhere in it does not exist (NXDOMAIN).

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use envelope::{Address, Domain, EnhancedStatus, Reply, Severity};
use organization::Shape;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, SeqAccess, Visitor};
use smtp_session::{Credentials, Secret};

/// The keys of a description.
pub(crate) const SHAPE: Shape =
    Shape::Keys(&[("domains", Shape::Each(&Shape::Keys(DOMAIN))), ("hosts", Shape::Each(&Shape::Keys(HOST)))]);
const DOMAIN: &[(&str, Shape)] =
    &[("name", Shape::Any), ("mx", Shape::Each(&Shape::Keys(MX))), ("nullMx", Shape::Any), ("failure", Shape::Any)];
const MX: &[(&str, Shape)] = &[("host", Shape::Any), ("preference", Shape::Any)];
const HOST: &[(&str, Shape)] = &[("name", Shape::Any), ("behavior", Shape::Keys(BEHAVIOR))];
const BEHAVIOR: &[(&str, Shape)] = &[
    ("dead", Shape::Any),
    ("tls", Shape::Any),
    ("without", Shape::Any),
    ("login", Shape::Keys(&[("user", Shape::Any), ("password", Shape::Any)])),
    ("faults", Shape::Each(&Shape::Keys(FAULT))),
];
const FAULT: &[(&str, Shape)] = &[
    ("at", Shape::Any),
    ("delayMillis", Shape::Any),
    ("reply", Shape::Any),
    ("disconnect", Shape::Any),
    ("times", Shape::Any),
    ("recipient", Shape::Any),
];

/// Longest delay of a fault: longer than any SMTP timeout (RFC 5321 §4.5.3.2: ten minutes).
pub(super) const DELAY_MAX: Duration = Duration::from_secs(3600);

/// A simulated internet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Domains that mail is sent to; each name once.
    #[serde(default, deserialize_with = "each_once")]
    pub domains: Vec<MailDomain>,
    /// Hosts, each with an address of its own; each name once.
    #[serde(default, deserialize_with = "each_once")]
    pub hosts: Vec<Host>,
}

/// A domain and what DNS says about its mail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "MailDomainForm")]
pub struct MailDomain {
    /// How it greets, and what its certificate is for.
    pub name: Domain,
    /// What a question for its MX records gets.
    pub answer: MxRecords,
}

/// What a question for MX records gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxRecords {
    /// These; none at all means that the domain's own address takes its mail (RFC 5321 §5.1).
    Hosts(Vec<MxRecord>),
    /// The domain takes no mail (RFC 7505).
    NullMx,
    /// No answer that could be used.
    Failure(DnsFailure),
}

/// How DNS fails for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DnsFailure {
    /// SERVFAIL.
    ServerFailure,
    /// The name server answers REFUSED.
    Refused,
}

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MxRecord {
    /// Need not be a described host: then it has no address.
    #[serde(deserialize_with = "parsed")]
    pub host: Domain,
    /// Lower is better.
    #[serde(default = "default_preference")]
    pub preference: u16,
}

/// A destination, partner or smart host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The name in DNS, in the banner and in the certificate.
    #[serde(deserialize_with = "parsed")]
    pub name: Domain,
    /// Without it, the host takes everything.
    #[serde(default)]
    pub behavior: Behavior,
}

/// How a host behaves. The default offers TLS with a trusted certificate and takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Behavior {
    /// Has an address but nothing listens there: connections are refused.
    pub dead: bool,
    /// STARTTLS and the certificate shown.
    pub tls: HostTls,
    /// Extensions that EHLO does not offer.
    pub without: Vec<Extension>,
    /// Takes mail only after AUTH with these, which is offered only under TLS.
    #[serde(deserialize_with = "login")]
    pub login: Option<Credentials>,
    /// What goes wrong, in this order.
    pub faults: Vec<Fault>,
}

/// STARTTLS of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostTls {
    /// Offered, with a certificate of the lab's authority for the host's name.
    #[default]
    Trusted,
    /// Not offered.
    None,
    /// Offered, with a certificate that nobody vouches for.
    SelfSigned,
    /// Offered, with a certificate of the lab's authority that was valid once.
    Expired,
    /// Offered, with a certificate of the lab's authority for another name.
    WrongName,
}

/// An extension that a host may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 3030.
    Chunking,
    /// RFC 1870.
    Size,
    /// RFC 6152.
    #[serde(rename = "8BITMIME")]
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3461.
    Dsn,
    /// RFC 2034.
    EnhancedStatusCodes,
}

/// Something that goes wrong at one step of a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FaultForm")]
pub struct Fault {
    /// Where.
    pub at: Step,
    /// Waits first.
    pub delay: Duration,
    /// What then happens.
    pub outcome: Reaction,
    /// Only so many times for each sender and recipient, as greylisting counts; `None` for always. At `connect` and
    /// `ehlo` neither is known yet, and the host counts for all.
    pub times: Option<u32>,
    /// Only for this recipient; at [`Step::Rcpt`] only.
    pub recipient: Option<Address>,
}

/// A step of a session at which faults happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Before the banner.
    Connect,
    /// In answer to EHLO or HELO.
    Ehlo,
    /// In answer to STARTTLS.
    StartTls,
    /// In answer to MAIL.
    Mail,
    /// In answer to RCPT.
    Rcpt,
    /// In answer to DATA or the first BDAT.
    Data,
    /// After the final dot, the message not stored.
    EndOfData,
    /// After the final dot, the message stored and its sender not yet told: a disconnect here makes a duplicate.
    Accepted,
}

/// What a fault does after its delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing more.
    Continue,
    /// Answers so, with 4yz or 5yz.
    Reply(Reply),
    /// Closes the connection without a word.
    Disconnect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MailDomainForm {
    #[serde(deserialize_with = "parsed")]
    name: Domain,
    #[serde(default)]
    mx: Vec<MxRecord>,
    #[serde(default)]
    null_mx: bool,
    failure: Option<DnsFailure>,
}

impl TryFrom<MailDomainForm> for MailDomain {
    type Error = String;

    fn try_from(form: MailDomainForm) -> Result<Self, String> {
        let answer = match (form.mx.is_empty(), form.null_mx, form.failure) {
            (_, false, None) => MxRecords::Hosts(form.mx),
            (true, true, None) => MxRecords::NullMx,
            (true, false, Some(failure)) => MxRecords::Failure(failure),
            _ => return Err(format!("{}: only one of mx, nullMx and failure can be given", form.name)),
        };
        Ok(Self { name: form.name, answer })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FaultForm {
    at: Step,
    #[serde(default)]
    delay_millis: u64,
    #[serde(default)]
    reply: Option<String>,
    #[serde(default)]
    disconnect: bool,
    #[serde(default)]
    times: Option<u32>,
    #[serde(default, deserialize_with = "parsed_if_any")]
    recipient: Option<Address>,
}

impl TryFrom<FaultForm> for Fault {
    type Error = String;

    fn try_from(form: FaultForm) -> Result<Self, String> {
        let delay = Duration::from_millis(form.delay_millis);
        if delay > DELAY_MAX {
            return Err(format!("delayMillis is at most {}", DELAY_MAX.as_millis()));
        }
        let outcome = match (form.reply, form.disconnect) {
            (Some(_), true) => return Err("a fault has either a reply or a disconnect".to_owned()),
            (Some(text), false) => Reaction::Reply(failure_reply(&text)?),
            (None, true) => Reaction::Disconnect,
            (None, false) if delay.is_zero() => {
                return Err("a fault has a delayMillis, a reply or a disconnect".to_owned());
            }
            (None, false) => Reaction::Continue,
        };
        if form.recipient.is_some() && form.at != Step::Rcpt {
            return Err("a fault for one recipient is at rcpt".to_owned());
        }
        Ok(Self { at: form.at, delay, outcome, times: form.times, recipient: form.recipient })
    }
}

/// `450 4.7.1 Greylisted`; the enhanced status may be missing.
fn failure_reply(text: &str) -> Result<Reply, String> {
    let wrong = || format!("{text:?} is not a reply of failure such as 450 4.7.1 Greylisted");
    let (code, text) = text.split_once(' ').unwrap_or((text, ""));
    let code: u16 = code.parse().ok().filter(|code| (400..600).contains(code)).ok_or_else(wrong)?;
    let reply = match EnhancedStatus::strip_from(text) {
        Some((status, text)) => Reply::new(code, status, text),
        None => Reply::plain(code, text),
    };
    let agrees = reply.status.is_none_or(|status| status.severity() == reply.severity());
    if agrees && reply.severity() != Severity::Success { Ok(reply) } else { Err(wrong()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginForm {
    user: String,
    password: String,
}

fn login<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Credentials>, D::Error> {
    let form = Option::<LoginForm>::deserialize(deserializer)?;
    Ok(form.map(|form| Credentials { user: form.user.into(), secret: Secret::new(form.password.into_bytes()) }))
}

fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

fn parsed_if_any<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: fmt::Display>,
{
    parsed(deserializer).map(Some)
}

const fn default_preference() -> u16 {
    10
}

trait Named {
    fn name(&self) -> &Domain;
}

impl Named for MailDomain {
    fn name(&self) -> &Domain {
        &self.name
    }
}

impl Named for Host {
    fn name(&self) -> &Domain {
        &self.name
    }
}

/// A sequence in which no name comes twice.
fn each_once<'de, D: Deserializer<'de>, T: DeserializeOwned + Named>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct EachOnce<T>(std::marker::PhantomData<T>);

    impl<'de, T: DeserializeOwned + Named> Visitor<'de> for EachOnce<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let (mut items, mut names) = (Vec::new(), HashSet::new());
            while let Some(item) = sequence.next_element::<T>()? {
                if !names.insert(item.name().clone()) {
                    return Err(A::Error::custom(format!("{} is described twice", item.name())));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(EachOnce(std::marker::PhantomData))
}
