//! Why nobody was logged on.

use std::time::Duration;

/// Why nobody was logged on. All are transient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KerberosError {
    /// The process was not started with the keytab.
    #[error("this process was not started with the keytab of its settings; start it again")]
    Environment,
    /// The library refused: no ticket, no such server, a clock that is wrong, a token that proves nothing.
    #[error("Kerberos: {0}")]
    Refused(Box<str>),
    /// The library would ask for another server than the configured one.
    #[error(
        "Kerberos would ask for {asked} instead of {wanted}, because DNS says so, which proves nothing: set \
         dns_canonicalize_hostname = false and rdns = false in krb5.conf"
    )]
    Renamed {
        /// The principal of the configured host.
        wanted: Box<str>,
        /// What the library made of it.
        asked: Box<str>,
    },
    /// The other side did not prove who it is.
    #[error("the server did not prove who it is (mutual authentication)")]
    NotMutual,
    /// RFC 4752 §3.1: it wants its own encryption of the session.
    #[error("the server insists on a security layer of GSSAPI, which SMTP under TLS has no use for")]
    LayerRequired,
    /// Not by the protocol.
    #[error("the server broke the protocol of GSSAPI: {0}")]
    Garbled(&'static str),
    /// Neither the realm nor the machine answered.
    #[error("Kerberos did not answer in {} s: is a KDC of the realm in reach?", .0.as_secs())]
    TimedOut(Duration),
}

impl From<libgssapi::error::Error> for KerberosError {
    fn from(error: libgssapi::error::Error) -> Self {
        Self::Refused(words(&error.to_string()).into())
    }
}

/// `Unspecified GSS failure.  Minor code may provide more information (Cannot contact any KDC)` says one thing.
fn words(said: &str) -> String {
    let specific = said.strip_prefix("Unspecified GSS failure.").and_then(|rest| rest.split_once(" ("));
    let text = specific.map_or(said, |(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn what_the_library_really_says_is_told() {
        let long = "Unspecified GSS failure.  Minor code may provide more information (Clock skew too great)";
        assert_eq!(words(long), "Clock skew too great");
        assert_eq!(words("A token was invalid (Success)"), "A token was invalid (Success)");
    }
}
