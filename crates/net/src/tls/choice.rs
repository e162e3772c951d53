//! Which of its certificates a server shows: the one that a connector names (TA-32), or the best one for the connector's name
//! (TA-30, TA-31, TA-33).
//!
//! Who issued a certificate is read off it: whoever did not sign himself counts as an authority. That the other side believes
//! that authority is for the other side to say.

use std::cmp::Reverse;

use envelope::{Domain, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::names::{CertificateName, joined, name_covers};
use super::peer::{Fingerprint, fingerprint, names};
use crate::certificate::{CertificateError, CertificateNames, KeyedCertificate};
use crate::digest::sha1;

/// A certificate that this server can show, and what it says of itself.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    /// With its key.
    pub keyed: KeyedCertificate,
    /// Issuer, subject and dates.
    pub written: CertificateNames,
    /// Whom it is for.
    pub names: Vec<CertificateName>,
    /// SHA-256 over it.
    pub fingerprint: Fingerprint,
}

/// How well a certificate fits a name (TA-31): the greatest is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    exact: bool,
    issued: bool,
    not_before: Timestamp,
    thumbprint: Reverse<[u8; 32]>,
}

impl OwnCertificate {
    /// Reads what a certificate says of itself.
    ///
    /// # Errors
    /// [`CertificateError::Certificate`].
    pub fn of(keyed: KeyedCertificate) -> Result<Self, CertificateError> {
        let der = keyed.to_der()?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|error| CertificateError::Certificate(error.to_string()))?;
        let (names, fingerprint) = (names(&certificate), fingerprint(&der));
        Ok(Self { written: keyed.names()?, names, fingerprint, keyed })
    }

    /// Within its dates.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        (self.written.not_before..=self.written.not_after).contains(&now)
    }

    /// Signed by itself.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.written.issuer == self.written.subject
    }

    /// Whether it is for this host, exactly or by a wildcard of one label (TA-33).
    #[must_use]
    pub fn covers(&self, host: &Domain) -> bool {
        self.names.iter().any(|name| name_covers(name, host))
    }

    /// Whom it is for, separated by commas.
    #[must_use]
    pub fn names_joined(&self) -> String {
        joined(&self.names)
    }

    /// SHA-1 over it, as Exchange names certificates: 40 digits.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let der = self.keyed.to_der().unwrap_or_default();
        sha1(&der).iter().map(|octet| format!("{octet:02X}")).collect()
    }

    fn fit(&self, host: &Domain, now: Timestamp) -> Option<Fit> {
        let covering = |name: &&CertificateName| name_covers(name, host);
        if !self.is_valid(now) || !self.covers(host) {
            return None;
        }
        let wildcard = |name: &CertificateName| matches!(name, CertificateName::Dns(name) if name.starts_with("*."));
        Some(Fit {
            exact: self.names.iter().filter(covering).any(|name| !wildcard(name)),
            issued: !self.is_self_signed(),
            not_before: self.written.not_before,
            thumbprint: Reverse(self.fingerprint.0),
        })
    }

    fn is_named(&self, issuer: &str, subject: &str) -> bool {
        same_name(&self.written.issuer, issuer) && same_name(&self.written.subject, subject)
    }
}

/// The certificate for a connector with this `Fqdn` (TA-30); `None` where no valid one has the name, and the default is shown.
#[must_use]
pub fn for_host<'a>(
    all: impl IntoIterator<Item = &'a OwnCertificate>,
    host: &Domain,
    now: Timestamp,
) -> Option<&'a OwnCertificate> {
    let fitting = all.into_iter().filter_map(|one| Some((one.fit(host, now)?, one)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, one)| one)
}

/// Those that are for this host, in the order in which they would be chosen; those that are not valid last.
#[must_use]
pub fn in_order<'a>(all: &'a [OwnCertificate], host: &Domain, now: Timestamp) -> Vec<&'a OwnCertificate> {
    let mut covering: Vec<_> = all.iter().filter(|one| one.covers(host)).collect();
    covering.sort_by_key(|one| Reverse(one.fit(host, now)));
    covering
}

/// The certificate that `TlsCertificateName` names. Several that fit are renewals of each other: the newest that is valid
/// counts (TA-32).
#[must_use]
pub fn named<'a>(
    all: impl IntoIterator<Item = &'a OwnCertificate>,
    wanted: &str,
    now: Timestamp,
) -> Option<&'a OwnCertificate> {
    let (issuer, subject) = issuer_and_subject(wanted)?;
    let fitting = all.into_iter().filter(|one| one.is_named(issuer, subject) && one.is_valid(now));
    fitting.max_by_key(|one| one.written.not_before)
}

/// `<I>issuer<S>subject`, the tags in either case.
fn issuer_and_subject(text: &str) -> Option<(&str, &str)> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find("<s>").filter(|_| lower.starts_with("<i>"))?;
    Some((&text[3..at], &text[at + 3..]))
}

/// Whether two X.500 names are the same as printed: some print the most particular part first, others last.
fn same_name(one: &str, two: &str) -> bool {
    let parts = |name: &str| {
        let parts = name.split(',').map(|part| part.trim().replace(" = ", "=").to_lowercase());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>()
    };
    let (one, two) = (parts(one), parts(two));
    one == two || one.iter().eq(two.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::PrivateKeyPem;

    fn certificate(issuer: &str, subject: &str, names: &[&str], from: u64, until: u64) -> OwnCertificate {
        let moment = Timestamp::from_millis;
        let mut fingerprint = [0; 32];
        fingerprint[0] = u8::try_from(from).unwrap();
        OwnCertificate {
            keyed: KeyedCertificate { cert_pem: String::new(), key_pem: PrivateKeyPem::new(String::new()) },
            written: CertificateNames {
                issuer: issuer.into(),
                subject: subject.into(),
                not_before: moment(from),
                not_after: moment(until),
            },
            names: names.iter().map(|name| CertificateName::Dns((*name).into())).collect(),
            fingerprint: Fingerprint(fingerprint),
        }
    }

    #[test]
    fn the_newest_valid_certificate_of_that_issuer_and_subject_is_shown() {
        // TA-32
        let there = [
            certificate("CN=Contoso CA, O=Contoso", "CN=mail.contoso.com", &[], 10, 90),
            certificate("CN=Contoso CA, O=Contoso", "CN=mail.contoso.com", &[], 20, 100),
            certificate("CN=Contoso CA, O=Contoso", "CN=mail.contoso.com", &[], 60, 200),
            certificate("CN=Other", "CN=mail.contoso.com", &[], 0, 1000),
        ];
        let at = Timestamp::from_millis;
        let chosen = |name: &str, now| named(&there, name, at(now)).map(|one| one.written.not_before.as_millis());
        for spelling in [
            "<I>CN=Contoso CA, O=Contoso<S>CN=mail.contoso.com",
            "<i>O=Contoso,CN=Contoso CA<s>cn=Mail.Contoso.com",
            "<I>CN = Contoso CA, O = Contoso<S>CN = mail.contoso.com",
        ] {
            assert_eq!(chosen(spelling, 50), Some(20), "{spelling}");
            assert_eq!(chosen(spelling, 150), Some(60), "{spelling}");
            assert_eq!(chosen(spelling, 300), None, "{spelling}: expired");
        }
        assert_eq!(chosen("<I>CN=Other<S>CN=mail.contoso.com", 50), Some(0));
        for unknown in ["<I>CN=Nobody<S>CN=mail.contoso.com", "CN=mail.contoso.com", "<I>CN=Other", ""] {
            assert_eq!(chosen(unknown, 50), None, "{unknown}");
        }
    }

    #[test]
    fn the_best_certificate_for_a_name_is_exact_then_issued_then_new() {
        // TA-30, TA-31, TA-33
        let there = [
            certificate("CN=CA", "CN=a", &["mail.contoso.com"], 10, 90),
            certificate("CN=CA", "CN=b", &["other.com", "Mail.Contoso.com"], 20, 50),
            certificate("CN=CA", "CN=c", &["*.contoso.com"], 30, 200),
            certificate("CN=d", "CN=d", &["mail.contoso.com"], 40, 300),
            certificate("CN=CA", "CN=e", &["*.contoso.com"], 31, 200),
        ];
        let chosen = |host: &str, now| {
            let one = for_host(&there, &Domain::parse(host).unwrap(), Timestamp::from_millis(now));
            one.map(|one| &*one.written.subject)
        };
        for (host, now, expected) in [
            ("mail.contoso.com", 45, Some("CN=b")), // the newest of those that are exact and issued
            ("mail.contoso.com", 60, Some("CN=a")), // which has ended
            ("mail.contoso.com", 100, Some("CN=d")), // exact before issued
            ("mail.contoso.com", 5, None),          // none is valid yet
            ("smtp.contoso.com", 45, Some("CN=e")), // one label, the newer of two
            ("www.eu.contoso.com", 45, None),       // and not two
            ("contoso.com", 45, None),
            ("other.com", 45, Some("CN=b")),
        ] {
            assert_eq!(chosen(host, now), expected, "{host} at {now}");
            let (domain, now) = (Domain::parse(host).unwrap(), Timestamp::from_millis(now));
            let first = in_order(&there, &domain, now).first().copied().filter(|one| one.is_valid(now));
            assert_eq!(
                first.map(|one| &*one.written.subject),
                expected,
                "{host}: the first of the list is what is shown"
            );
        }
    }

    #[test]
    fn of_equal_certificates_the_thumbprint_decides() {
        // TA-31
        let one = certificate("CN=CA", "CN=a", &["a.example"], 10, 90);
        let other = OwnCertificate { fingerprint: Fingerprint([1; 32]), ..one.clone() };
        let host = Domain::parse("a.example").unwrap();
        for order in [[&one, &other], [&other, &one]] {
            let chosen = for_host(order, &host, Timestamp::from_millis(50)).unwrap();
            assert_eq!(chosen.fingerprint, Fingerprint([1; 32]));
        }
    }
}
