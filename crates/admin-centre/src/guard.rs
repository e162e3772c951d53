//! What browsers may not be made to do: the headers of every answer, whose host this is, and whether a change was asked for by one
//! of our own pages (WA-62…WA-64).

use std::collections::BTreeSet;

/// Of every answer, errors included (WA-63).
pub(crate) const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // Not no-referrer: browsers would send `Origin: null` with forms (Fetch standard, "append a request Origin header").
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), payment=(), usb=()",
    ),
    ("x-frame-options", "DENY"),
    ("strict-transport-security", "max-age=31536000"),
];

/// The names by which the centre may be called: others would be those of a page that had its name rebound to us.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(BTreeSet<String>);

impl Hosts {
    pub(crate) fn new(names: impl IntoIterator<Item = String>, port: u16) -> Self {
        let mut all = BTreeSet::new();
        for name in names {
            let name = name.to_lowercase();
            // Behind something that listens elsewhere, the port is said with the name.
            if has_port(&name) {
                all.insert(name);
                continue;
            }
            if port == 443 {
                all.insert(name.clone());
            }
            all.insert(format!("{name}:{port}"));
        }
        Self(all)
    }

    pub(crate) fn has(&self, host: &str) -> bool {
        self.0.contains(&host.to_lowercase())
    }
}

/// Whether a name is one with a port; an address of IPv6 stands in brackets (RFC 3986 §3.2.2).
#[must_use]
pub fn has_port(name: &str) -> bool {
    let parts = name.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Whether a change comes from one of our pages: by what browsers say of it, where they say anything. The token of the form is
/// looked at besides.
pub(crate) fn is_from_here(fetch_site: Option<&str>, origin: Option<&str>, host: &str) -> bool {
    let site = fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin =
        origin.is_none_or(|origin| origin.strip_prefix("https://").is_some_and(|of| of.eq_ignore_ascii_case(host)));
    site && origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_asked_for_by_our_own_pages_only() {
        // WA-62
        let host = "centre.example:8443";
        for (site, origin, expected) in [
            (Some("same-origin"), Some("https://centre.example:8443"), true),
            (Some("cross-site"), Some("https://evil.example"), false),
            (Some("cross-site"), None, false),
            (Some("same-site"), Some("https://other.example"), false),
            (Some("same-origin"), Some("null"), false),
            (None, Some("https://centre.example:8443"), true),
            (None, Some("http://centre.example:8443"), false),
            (None, Some("https://centre.example"), false),
        ] {
            assert_eq!(is_from_here(site, origin, host), expected, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_host_is_one_of_ours() {
        // WA-64
        let hosts = Hosts::new(["localhost", "Mail1.example", "proxy.example:443", "[::1]"].map(str::to_owned), 8443);
        assert!(hosts.has("proxy.example:443") && hosts.has("[::1]:8443"));
        assert!(!hosts.has("proxy.example:8443") && !hosts.has("proxy.example"));
        assert!(hosts.has("localhost:8443") && hosts.has("mail1.EXAMPLE:8443"));
        assert!(!hosts.has("evil.example:8443") && !hosts.has("localhost") && !hosts.has(""));
    }
}
