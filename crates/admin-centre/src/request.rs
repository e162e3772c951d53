//! What a browser asks, and what it is answered, before and after HTTP.

use std::net::IpAddr;

/// Names and values, in their order.
pub(crate) type Pairs = Vec<(String, String)>;

/// What a browser asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) post: bool,
    /// As it was sent, without the query.
    pub(crate) path: String,
    pub(crate) query: Pairs,
    pub(crate) form: Pairs,
    /// Files of the form, by name.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) host: String,
    pub(crate) cookies: String,
    pub(crate) fetch_site: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) agent: String,
    /// Of a page that looks for itself whether there is something new: the mark of what the browser has.
    pub(crate) seen: Option<String>,
    pub(crate) from: Option<IpAddr>,
    /// The client's certificate, verified.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// What it is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }

    pub(crate) fn see(to: &str) -> Self {
        Self { status: 303, headers: vec![("location", to.to_owned())], body: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Ask {
    /// The parts of the path, decoded; without those that are empty.
    pub(crate) fn parts(&self) -> Vec<String> {
        let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        self.path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
    }

    pub(crate) fn query(&self, name: &str) -> &str {
        find(&self.query, name)
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        find(&self.form, name)
    }

    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.form.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).next()
    }

    pub(crate) fn from(&self) -> IpAddr {
        self.from.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }
}

pub(crate) fn find<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}
