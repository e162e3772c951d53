//! What a server offers in its EHLO reply. Keywords that we have no use for are skipped.

/// Extensions offered by the server, as far as we use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 1870: whether `SIZE` is offered.
    pub size: bool,
    /// RFC 1870: the largest message it takes, in octets, if it says so.
    pub size_max: Option<u64>,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// `XLONGADDR`: addresses longer than others (EN-73).
    pub long_addresses: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// `AUTH LOGIN`, the form that older servers offer alone.
    pub auth_login: bool,
    /// `AUTH PLAIN` (RFC 4616).
    pub auth_plain: bool,
    /// `AUTH GSSAPI` (RFC 4752).
    pub auth_gssapi: bool,
    /// `X-EXPS GSSAPI`: Exchange Server authentication (TA-60).
    pub x_exps_gssapi: bool,
    /// `X-ANONYMOUSTLS`: TLS between Exchange servers (TA-60).
    pub x_anonymoustls: bool,
}

impl Capabilities {
    /// Reads the text of an EHLO reply: the first line greets, each other one is a keyword with its parameters.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut offered = Self::default();
        text.split('\n').skip(1).for_each(|line| offered.add(line));
        offered
    }

    fn add(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => {
                self.size = true;
                // RFC 1870 §4: 0 is "no fixed maximum".
                self.size_max = words.next().and_then(|word| word.parse().ok()).filter(|&octets| octets > 0);
            }
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "XLONGADDR" => self.long_addresses = true,
            "CHUNKING" => self.chunking = true,
            "DSN" => self.dsn = true,
            "STARTTLS" => self.starttls = true,
            "AUTH" => {
                for mechanism in words {
                    self.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    self.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                    self.auth_gssapi |= mechanism.eq_ignore_ascii_case("GSSAPI");
                }
            }
            "X-EXPS" => self.x_exps_gssapi |= words.any(|mechanism| mechanism.eq_ignore_ascii_case("GSSAPI")),
            "X-ANONYMOUSTLS" => self.x_anonymoustls = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_unknown_ones_skipped() {
        let offered = Capabilities::parse(
            "mx PIPELINING\npipelining\nSIZE 1000\nAUTH NTLM LOGIN\nX-EXPS GSSAPI NTLM\nCHUNKING\n\nBINARYMIME",
        );
        let expected = Capabilities {
            pipelining: true,
            size: true,
            size_max: Some(1000),
            auth_login: true,
            x_exps_gssapi: true,
            chunking: true,
            ..Capabilities::default()
        };
        assert_eq!(offered, expected);
        assert_eq!(Capabilities::parse("PIPELINING"), Capabilities::default(), "the first line only greets");
        assert_eq!(Capabilities::parse("x\nSIZE 0").size_max, None);
    }
}
