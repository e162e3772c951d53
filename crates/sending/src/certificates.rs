//! The certificate that a server shows to the hosts it sends to (TA-7, TA-21): the server's own for SMTP, or the one that
//! the connector names (`TlsCertificateName`, TA-32).
//!
//! ```text
//!   identity/smtp/{cert,key}.pem            the server's own
//!   identity/smtp/<any name>/{cert,key}.pem further ones, for connectors that name them
//! ```

use envelope::Timestamp;
use net::tls::TrustedRoots;
use net::{KeyedCertificate, TlsClient};
use parking_lot::RwLock;
use runtime::{NodeError, Settings, certificate};

use crate::plan::Unready;

/// One certificate, and whom it is from and for.
struct Candidate {
    issuer: Box<str>,
    subject: Box<str>,
    not_before: u64,
    not_after: u64,
    client: TlsClient,
}

/// The certificates of this server.
pub(crate) struct Certificates {
    roots: TrustedRoots,
    own: KeyedCertificate,
    /// Shows `own`.
    client: TlsClient,
    /// The server's own among them.
    all: RwLock<Vec<Candidate>>,
}

impl Certificates {
    /// Reads what is there now.
    pub(crate) fn load(settings: &Settings, own: &KeyedCertificate) -> Result<Self, NodeError> {
        let roots = certificate::trusted_roots(settings)?;
        let refused = |error: &dyn std::fmt::Display| certificate::refused(settings, error.to_string());
        let client = TlsClient::new(roots.clone()).with_certificate(own).map_err(|error| refused(&error))?;
        let all = RwLock::new(read_all(settings, &roots, own));
        Ok(Self { roots, own: own.clone(), client, all })
    }

    /// The client that shows what a connector names, or the server's own certificate. One that was put there after the
    /// start is found when it is asked for.
    pub(crate) fn client(
        &self,
        settings: &Settings,
        wanted: Option<&str>,
        now: Timestamp,
    ) -> Result<TlsClient, Unready> {
        let Some(wanted) = wanted else { return Ok(self.client.clone()) };
        let chosen = || choose(&self.all.read(), wanted, now.as_millis()).map(|candidate| candidate.client.clone());
        if let Some(client) = chosen() {
            return Ok(client);
        }
        *self.all.write() = read_all(settings, &self.roots, &self.own);
        chosen().ok_or_else(|| {
            let folder = certificate::folder(settings);
            let text = format!(
                "no valid certificate is {wanted} (tlsCertificateName); put cert.pem and key.pem into a folder of {}",
                folder.display()
            );
            Unready::new(text)
        })
    }
}

/// TA-32: several that fit are renewals of each other; the newest that is valid counts.
fn choose<'a>(candidates: &'a [Candidate], wanted: &str, now: u64) -> Option<&'a Candidate> {
    let (issuer, subject) = issuer_and_subject(wanted)?;
    let fits = |candidate: &&Candidate| {
        same_name(&candidate.issuer, issuer)
            && same_name(&candidate.subject, subject)
            && (candidate.not_before..=candidate.not_after).contains(&now)
    };
    candidates.iter().filter(fits).max_by_key(|candidate| candidate.not_before)
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

fn read_all(settings: &Settings, roots: &TrustedRoots, own: &KeyedCertificate) -> Vec<Candidate> {
    let mut found = vec![own.clone()];
    let folders = std::fs::read_dir(certificate::folder(settings)).into_iter().flatten().flatten();
    for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        match KeyedCertificate::load_from(&folder) {
            Ok(certificate) => found.push(certificate),
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "a certificate cannot be used"),
        }
    }
    found.iter().filter_map(|certificate| candidate(certificate, roots)).collect()
}

fn candidate(certificate: &KeyedCertificate, roots: &TrustedRoots) -> Option<Candidate> {
    let names = certificate.names().ok()?;
    let client = TlsClient::new(roots.clone()).with_certificate(certificate).ok()?;
    Some(Candidate {
        issuer: names.issuer,
        subject: names.subject,
        not_before: names.not_before.as_millis(),
        not_after: names.not_after.as_millis(),
        client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(issuer: &str, subject: &str, from: u64, until: u64) -> Candidate {
        let client = TlsClient::new(TrustedRoots::none());
        Candidate { issuer: issuer.into(), subject: subject.into(), not_before: from, not_after: until, client }
    }

    #[test]
    fn the_newest_valid_certificate_of_that_issuer_and_subject_is_shown() {
        // TA-32
        let there = [
            candidate("CN=Contoso CA, O=Contoso", "CN=mail.contoso.com", 10, 90),
            candidate("CN=Contoso CA, O=Contoso", "CN=mail.contoso.com", 20, 100),
            candidate("CN=Contoso CA, O=Contoso", "CN=mail.contoso.com", 60, 200),
            candidate("CN=Other", "CN=mail.contoso.com", 0, 1000),
        ];
        let chosen = |name: &str, now| choose(&there, name, now).map(|candidate| candidate.not_before);
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
}
