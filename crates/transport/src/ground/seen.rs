//! What the message tracking log says about where a message came from.

use std::net::IpAddr;

use logs::tracking::Source;

/// What was seen of a message on its way in.
#[derive(Default)]
pub(crate) struct Seen {
    /// The server that handed it over, or what a client calls itself.
    pub(crate) client_name: Box<str>,
    pub(crate) client_address: Option<IpAddr>,
    /// `Message-ID`, with angle brackets.
    pub(crate) message_id: Option<Box<str>>,
    pub(crate) subject: Option<Box<str>>,
    /// How it came in, where that was not SMTP.
    pub(crate) source: Option<Source>,
}
