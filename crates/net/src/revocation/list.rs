//! A certificate revocation list (RFC 5280 §5): believed when the issuer of the certificate signed it and it is in its time.
//!
//! Not understood, and so never believed to cover a certificate: indirect lists, lists for some reasons alone, deltas.

use rustls_pki_types::UnixTime;
use x509_parser::extensions::{IssuingDistributionPoint, ParsedExtension};
use x509_parser::prelude::{CertificateRevocationList, FromDer, SubjectPublicKeyInfo};

use super::Status;
use super::chain::{Link, addresses, serial};
use super::proof::{SKEW_SECS, is_trusted_algorithm};

/// Which certificates of its issuer a list speaks of.
#[derive(Debug)]
struct Scope {
    users: bool,
    authorities: bool,
    /// It is the list of these places alone; of all, where there are none.
    places: Vec<String>,
}

/// A list that is believed.
#[derive(Debug)]
pub(super) struct List {
    /// Sorted.
    revoked: Vec<Box<[u8]>>,
    next_update: u64,
    scope: Scope,
}

impl List {
    /// Reads a list of whoever issued `link`.
    pub(super) fn read(octets: &[u8], link: &Link, now: UnixTime) -> Result<Self, String> {
        let (_, list) = CertificateRevocationList::from_der(octets).map_err(|_| "cannot be read")?;
        if list.issuer().as_raw() != link.issuer() {
            return Err("is of another authority".to_owned());
        }
        let (_, key) =
            SubjectPublicKeyInfo::from_der(link.issuer_key()).map_err(|_| "has an issuer whose key cannot be read")?;
        if !is_trusted_algorithm(&list.signature_algorithm) || list.verify_signature(&key).is_err() {
            return Err("is not signed by the authority".to_owned());
        }
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        let next_update = list.next_update().map(|next| seconds(next.timestamp()));
        let next_update = next_update.ok_or("does not say until when it holds")?;
        if seconds(list.last_update().timestamp()) > now.as_secs() + SKEW_SECS {
            return Err("is not valid yet".to_owned());
        }
        if next_update < now.as_secs() {
            return Err("is out of date".to_owned());
        }
        let scope = scope(&list)?;
        let mut revoked: Vec<Box<[u8]>> =
            list.iter_revoked_certificates().map(|one| serial(one.raw_serial()).into()).collect();
        revoked.sort_unstable();
        Ok(Self { revoked, next_update, scope })
    }

    /// In seconds of Unix.
    pub(super) fn next_update(&self) -> u64 {
        self.next_update
    }

    /// Whether it would have the certificate.
    pub(super) fn covers(&self, link: &Link) -> Result<(), &'static str> {
        let Scope { users, authorities, places } = &self.scope;
        let kind = if link.is_authority() { *authorities } else { *users };
        // RFC 5280 §6.3.3 (b)(2): one of many lists is for the certificates that name it.
        let place = places.is_empty() || places.iter().any(|place| link.lists().contains(place));
        if kind && place { Ok(()) } else { Err("is for other certificates of the authority") }
    }

    pub(super) fn status_of(&self, link: &Link) -> Status {
        let found = self.revoked.binary_search_by(|one| (**one).cmp(link.serial()));
        if found.is_ok() { Status::Revoked } else { Status::Good }
    }
}

fn scope(list: &CertificateRevocationList<'_>) -> Result<Scope, &'static str> {
    let mut scope = Scope { users: true, authorities: true, places: Vec::new() };
    for extension in list.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::IssuingDistributionPoint(point) => scope = of_point(point)?,
            // Deltas among them (RFC 5280 §5.2.4).
            _ if extension.critical => return Err("has an extension that is not understood"),
            _ => {}
        }
    }
    Ok(scope)
}

fn of_point(point: &IssuingDistributionPoint<'_>) -> Result<Scope, &'static str> {
    if point.indirect_crl || point.only_some_reasons.is_some() || point.only_contains_attribute_certs {
        return Err("is indirect, or for some reasons alone, which is not understood");
    }
    let places = addresses(point.distribution_point.as_ref());
    if places.is_empty() && point.distribution_point.is_some() {
        return Err("names no place that can be compared");
    }
    Ok(Scope { users: !point.only_contains_ca_certs, authorities: !point.only_contains_user_certs, places })
}
