//! An OCSP response (RFC 6960): stapled by the server, or given by the responder of the authority. Believed when the issuer of
//! the certificate signed it, or somebody whom the issuer certified for just that, and it is in its time.

use aws_lc_rs::digest;
use rustls_pki_types::UnixTime;
use x509_parser::asn1_rs::BitString;
use x509_parser::prelude::{ASN1Time, FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::verify::verify_signature;
use x509_parser::x509::AlgorithmIdentifier;

use super::Status;
use super::chain::{Link, serial};
use super::der::{self, Element, Elements, context};
use super::proof::{SKEW_SECS, is_trusted_algorithm};

/// 1.3.14.3.2.26: SHA-1, by which certificates are named; it protects nothing here.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// 2.16.840.1.101.3.4.2.1.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.3.6.1.5.5.7.48.1.1: `id-pkix-ocsp-basic`.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// RFC 6960 §4.2.2.1: without `nextUpdate` newer information is always there. A response is then believed for an hour.
const WITHOUT_NEXT_SECS: u64 = 3600;
/// Tags of a status: `good` is an implicit NULL, `revoked` an implicit sequence.
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;

/// What a response says about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// In seconds of Unix.
    pub(super) until: u64,
}

/// What a responder is asked about a certificate (RFC 6960 §4.1.1).
pub(super) fn question(link: &Link) -> Vec<u8> {
    let sequence = |parts: &[&[u8]]| der::element(der::SEQUENCE, parts);
    let algorithm = sequence(&[&der::element(der::OBJECT, &[SHA1]), &[der::NULL, 0]]);
    let (name, key) = names(link, &digest::SHA1_FOR_LEGACY_USE_ONLY);
    // A number whose first bit is set would be below zero.
    let zero: &[u8] = if link.serial().first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    let certificate = sequence(&[
        &algorithm,
        &der::element(der::OCTET_STRING, &[&name]),
        &der::element(der::OCTET_STRING, &[&key]),
        &der::element(der::INTEGER, &[zero, link.serial()]),
    ]);
    sequence(&[&sequence(&[&sequence(&[&sequence(&[&certificate])])])])
}

/// By which hashes a certificate's issuer is named: of its name, and of the bits of its key.
fn names(link: &Link, algorithm: &'static digest::Algorithm) -> (Vec<u8>, Vec<u8>) {
    let key = SubjectPublicKeyInfo::from_der(link.issuer_key()).ok();
    let bits = key.as_ref().map_or(&[][..], |(_, key)| &key.subject_public_key.data);
    let hash = |octets: &[u8]| digest::digest(algorithm, octets).as_ref().to_vec();
    (hash(link.issuer()), hash(bits))
}

/// Reads a response about `link`.
pub(super) fn read(octets: &[u8], link: &Link, now: UnixTime) -> Result<Answer, &'static str> {
    let mut response = Elements(octets).expect(der::SEQUENCE).ok_or("cannot be read")?.elements();
    let state = response.expect(der::ENUMERATED).ok_or("cannot be read")?;
    if state.content != [0] {
        return Err("says that the responder cannot tell");
    }
    let signed = basic(response).ok_or("is of a kind that is not known")?;
    let Signed { data, algorithm, signature, certificates } = signed;
    if !is_signed(&data, algorithm, signature, certificates, link, now) {
        return Err("is not signed by the authority, nor by whom it certified for that");
    }
    about(data, link, now).ok_or("says nothing of the certificate that holds now")
}

struct Signed<'a> {
    data: Element<'a>,
    algorithm: Element<'a>,
    signature: Element<'a>,
    certificates: Option<Element<'a>>,
}

fn basic(mut response: Elements<'_>) -> Option<Signed<'_>> {
    let mut bytes = response.expect(context(0))?.elements().expect(der::SEQUENCE)?.elements();
    if bytes.expect(der::OBJECT)?.content != BASIC {
        return None;
    }
    let mut basic = Elements(bytes.expect(der::OCTET_STRING)?.content).expect(der::SEQUENCE)?.elements();
    Some(Signed {
        data: basic.expect(der::SEQUENCE)?,
        algorithm: basic.expect(der::SEQUENCE)?,
        signature: basic.expect(der::BIT_STRING)?,
        certificates: basic.maybe(context(0)).and_then(|all| all.elements().expect(der::SEQUENCE)),
    })
}

/// RFC 6960 §4.2.2.2: by the issuer, or by a certificate of the issuer's for signing such responses.
fn is_signed(
    data: &Element<'_>,
    algorithm: Element<'_>,
    signature: Element<'_>,
    certificates: Option<Element<'_>>,
    link: &Link,
    now: UnixTime,
) -> bool {
    let Ok((_, algorithm)) = AlgorithmIdentifier::from_der(algorithm.whole) else { return false };
    let Ok((_, signature)) = BitString::from_der(signature.whole) else { return false };
    let Ok((_, issuer)) = SubjectPublicKeyInfo::from_der(link.issuer_key()) else { return false };
    let signed_by = |key: &SubjectPublicKeyInfo<'_>| {
        is_trusted_algorithm(&algorithm) && verify_signature(key, &algorithm, &signature, data.whole).is_ok()
    };
    if signed_by(&issuer) {
        return true;
    }
    let mut certificates = certificates.map_or(Elements(&[]), Element::elements);
    while let Some(one) = certificates.next() {
        let Ok((_, delegate)) = X509Certificate::from_der(one.whole) else { continue };
        let within = delegate.validity().not_before.timestamp() <= seconds(now)
            && delegate.validity().not_after.timestamp() >= seconds(now);
        let may = delegate.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.ocsp_signing);
        let certified = delegate.issuer().as_raw() == link.issuer()
            && is_trusted_algorithm(&delegate.signature_algorithm)
            && delegate.verify_signature(Some(&issuer)).is_ok();
        if within && may && certified && signed_by(delegate.public_key()) {
            return true;
        }
    }
    false
}

fn seconds(now: UnixTime) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// What is said about the certificate, if that holds now.
fn about(data: Element<'_>, link: &Link, now: UnixTime) -> Option<Answer> {
    let mut data = data.elements();
    // Version, who signed, when.
    data.maybe(context(0));
    data.next()?;
    data.next()?;
    let mut responses = data.expect(der::SEQUENCE)?.elements();
    while let Some(response) = responses.next() {
        let mut response = response.elements();
        if response.expect(der::SEQUENCE).is_some_and(|named| is_of(named, link)) {
            return single(response, now);
        }
    }
    None
}

fn is_of(named: Element<'_>, link: &Link) -> bool {
    let mut named = named.elements();
    let mut next = |tag| named.expect(tag).map(|element| element.content).unwrap_or_default();
    let (algorithm, name, key) = (next(der::SEQUENCE), next(der::OCTET_STRING), next(der::OCTET_STRING));
    let number = next(der::INTEGER);
    let algorithm = match Elements(algorithm).expect(der::OBJECT).map(|object| object.content) {
        Some(SHA1) => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Some(SHA256) => &digest::SHA256,
        _ => return false,
    };
    let (its_name, its_key) = names(link, algorithm);
    name == its_name && key == its_key && serial(number) == link.serial()
}

fn single(mut response: Elements<'_>, now: UnixTime) -> Option<Answer> {
    let status = match response.next()?.tag {
        GOOD => Status::Good,
        REVOKED => Status::Revoked,
        _ => return None,
    };
    let time = |element: Element<'_>| {
        let (_, time) = ASN1Time::from_der(element.whole).ok()?;
        u64::try_from(time.timestamp()).ok()
    };
    let from = time(response.next()?)?;
    let until = match response.maybe(context(0)) {
        Some(next) => time(next.elements().next()?)?,
        None => from + WITHOUT_NEXT_SECS,
    };
    let holds = from <= now.as_secs() + SKEW_SECS && now.as_secs() <= until;
    holds.then_some(Answer { status, until })
}
