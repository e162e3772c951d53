//! The file of an Edge subscription: XML with the documented elements (EN-15), and those that this project needs beside them.
//!
//! The Edge server makes a key for each file, keeps its public half, and writes the private one into the file, where the documentation
//! has the password of the bootstrap account. Whoever has the file can sign for an organization within its validity, once;
//! neither side stores a secret.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use envelope::{Domain, ServerName, Timestamp};
use net::signature::{BadKey, SigningKey, is_signed, random_octets};

/// How long a file may be used: 24 hours (EN-11).
pub const DURATION_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest that may be asked for: 2 minutes (EN-11).
pub const DURATION_MIN: Duration = Duration::from_secs(2 * 60);
/// Longest file that is read. Ours: ten times what one with several authorities has.
pub const FILE_OCTETS_MAX: usize = 256 * 1024;
/// Octets of salt for digests of recipients. Ours: as many as a digest has.
const SALT_OCTETS: usize = 32;
/// The root element.
const ROOT: &str = "EdgeSubscription";
/// What a voucher begins with: nothing else that is signed reads like one.
const VOUCHER: &[u8] = b"postroad edge voucher 1\0";

/// Why a file cannot be used. Each text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Not such a file.
    #[error(
        "this is no file of an Edge subscription: {0}. Make one with New-EdgeSubscription -FileName on the Edge server"
    )]
    Malformed(String),
    /// Something in it is not as it was written.
    #[error("the file of the Edge subscription was altered after it was written; make a new one on the Edge server")]
    Altered,
    /// It is too late.
    #[error("the file of the Edge subscription ended on {0}; make a new one on the Edge server")]
    Late(String),
    /// The system has no randomness, or a key is none.
    #[error("the key of the file cannot be used")]
    Key,
}

impl From<BadKey> for FileError {
    fn from(_: BadKey) -> Self {
        Self::Key
    }
}

/// The file: what it says, and its private key.
#[derive(Clone)]
pub struct SubscriptionFile {
    /// Everything but the key.
    pub written: Written,
    key: SigningKey,
}

impl std::fmt::Debug for SubscriptionFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubscriptionFile({}, …)", self.written.server)
    }
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct Written {
    /// The Edge server.
    pub server: ServerName,
    /// Its name in DNS.
    pub fqdn: Domain,
    /// The forest that it is by itself.
    pub forest: Domain,
    /// Its authorities, PEM each.
    pub authorities: Vec<String>,
    /// Where its Transport listens for the organization.
    pub transport_port: u16,
    /// Where its admin service does.
    pub sync_port: u16,
    /// When it was written.
    pub effective: Timestamp,
    /// How long it may be used.
    pub duration: Duration,
}

impl SubscriptionFile {
    /// A file with a new key.
    ///
    /// # Errors
    /// [`FileError::Key`]
    pub fn new(written: Written) -> Result<Self, FileError> {
        Ok(Self { written, key: SigningKey::generate()? })
    }

    /// The public half of its key, in Base64: what the Edge server keeps.
    ///
    /// # Errors
    /// [`FileError::Key`]
    pub fn public_key(&self) -> Result<String, FileError> {
        Ok(BASE64.encode(self.key.public_key()?))
    }

    /// Until when it may be used.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.written.effective.plus(self.written.duration)
    }

    /// Proves to the Edge server that whoever subscribes it to `organization` had the file.
    ///
    /// # Errors
    /// [`FileError::Key`]
    pub fn voucher(&self, organization: &Domain, authorities: &[String]) -> Result<Vec<u8>, FileError> {
        Ok(self.key.sign(&vouched(&self.written.server, organization, authorities))?)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// [`FileError::Key`]
    pub fn to_xml(&self) -> Result<String, FileError> {
        let signature = BASE64.encode(self.key.sign(self.elements(false).as_bytes())?);
        let elements = self.elements(true);
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- Whoever has this file can subscribe the Edge server: delete it after \
             New-EdgeSubscription -FileData. -->\n<{ROOT}>\n{elements}  <Signature>{signature}</Signature>\n</{ROOT}>\n"
        ))
    }

    /// The elements in their order; what is signed has no key.
    fn elements(&self, with_key: bool) -> String {
        let written = &self.written;
        let mut text = String::new();
        let mut element = |name: &str, value: &str| {
            text.push_str(&format!("  <{name}>{}</{name}>\n", escaped(value)));
        };
        element("EdgeServerName", written.server.as_str());
        element("EdgeServerFQDN", &written.fqdn.to_string());
        element("Forest", &written.forest.to_string());
        for authority in &written.authorities {
            element("EdgeCertificateBlob", &BASE64.encode(authority));
        }
        element("ESRAUsername", &format!("ESRA.{}", written.server));
        if with_key {
            element("ESRAPassword", &BASE64.encode(self.key.expose()));
        }
        element("EffectiveDate", &written.effective.as_millis().to_string());
        element("Duration", &written.duration.as_secs().to_string());
        element("AdamSslPort", &written.sync_port.to_string());
        element("TransportPort", &written.transport_port.to_string());
        element("ProductID", "Postroad");
        element("VersionNumber", env!("CARGO_PKG_VERSION"));
        text
    }

    /// Reads a file; whether it is in time is [`in_time`](Self::in_time)'s.
    ///
    /// # Errors
    /// [`FileError::Malformed`], [`FileError::Altered`]
    pub fn parse(octets: &[u8]) -> Result<Self, FileError> {
        let wrong = |text: &str| FileError::Malformed(text.to_owned());
        if octets.len() > FILE_OCTETS_MAX {
            return Err(wrong("it is too long"));
        }
        let text = std::str::from_utf8(octets).map_err(|_| wrong("it is not UTF-8"))?;
        let text = text.trim_start_matches('\u{feff}');
        let document = roxmltree::Document::parse(text).map_err(|error| FileError::Malformed(error.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name(ROOT) {
            return Err(wrong("its root is another element"));
        }
        let all = |name: &'static str| {
            root.children().filter(move |child| child.has_tag_name(name)).map(|child| child.text().unwrap_or_default())
        };
        let one =
            |name: &'static str| all(name).next().ok_or_else(|| FileError::Malformed(format!("it has no {name}")));
        let number = |name: &'static str| {
            one(name)?.trim().parse::<u64>().map_err(|_| FileError::Malformed(format!("{name} is no number")))
        };
        let port = |name: &'static str| {
            u16::try_from(number(name)?).map_err(|_| FileError::Malformed(format!("{name} is no port")))
        };
        let binary = |name: &'static str, text: &str| {
            BASE64.decode(text.trim()).map_err(|_| FileError::Malformed(format!("{name} is not Base64")))
        };
        let pem = |text: &str| {
            let octets = binary("EdgeCertificateBlob", text)?;
            String::from_utf8(octets).map_err(|_| wrong("a certificate is no text"))
        };
        let key = SigningKey::from_octets(&binary("ESRAPassword", one("ESRAPassword")?)?)?;
        let written = Written {
            server: ServerName::parse(one("EdgeServerName")?)
                .map_err(|error| FileError::Malformed(error.to_string()))?,
            fqdn: Domain::parse(one("EdgeServerFQDN")?).map_err(|error| FileError::Malformed(error.to_string()))?,
            forest: Domain::parse(one("Forest")?).map_err(|error| FileError::Malformed(error.to_string()))?,
            authorities: all("EdgeCertificateBlob").map(pem).collect::<Result<_, _>>()?,
            transport_port: port("TransportPort")?,
            sync_port: port("AdamSslPort")?,
            effective: Timestamp::from_millis(number("EffectiveDate")?),
            duration: Duration::from_secs(number("Duration")?),
        };
        let file = Self { written, key };
        let signature = binary("Signature", one("Signature")?)?;
        if !is_signed(&file.key.public_key()?, file.elements(false).as_bytes(), &signature) {
            return Err(FileError::Altered);
        }
        Ok(file)
    }

    /// Whether it may be used now.
    ///
    /// # Errors
    /// [`FileError::Late`]
    pub fn in_time(&self, now: Timestamp, printed: impl FnOnce(Timestamp) -> String) -> Result<(), FileError> {
        if now < self.until() { Ok(()) } else { Err(FileError::Late(printed(self.until()))) }
    }
}

/// A new salt for digests of recipients, in Base64.
///
/// # Errors
/// [`FileError::Key`]
pub fn new_salt() -> Result<String, FileError> {
    Ok(BASE64.encode(random_octets::<SALT_OCTETS>()?))
}

/// Whether a voucher was signed by the key of a file, for this server and organization.
#[must_use]
pub fn is_voucher(
    public_key: &str,
    server: &ServerName,
    organization: &Domain,
    authorities: &[String],
    voucher: &[u8],
) -> bool {
    let Ok(key) = BASE64.decode(public_key) else { return false };
    is_signed(&key, &vouched(server, organization, authorities), voucher)
}

fn vouched(server: &ServerName, organization: &Domain, authorities: &[String]) -> Vec<u8> {
    let mut text = VOUCHER.to_vec();
    let name = server.as_str().to_lowercase();
    for part in [name.as_str(), organization.ascii()].into_iter().chain(authorities.iter().map(String::as_str)) {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> SubscriptionFile {
        SubscriptionFile::new(Written {
            server: ServerName::parse("EDGE1").unwrap(),
            fqdn: Domain::parse("edge1.contoso.com").unwrap(),
            forest: Domain::parse("edge1.contoso.com").unwrap(),
            authorities: vec!["-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned()],
            transport_port: 7525,
            sync_port: 50636,
            effective: Timestamp::from_millis(1_000_000),
            duration: DURATION_DEFAULT,
        })
        .unwrap()
    }

    #[test]
    fn what_was_written_reads_back_and_what_was_altered_does_not() {
        // EN-15
        let file = file();
        let text = file.to_xml().unwrap();
        let read = SubscriptionFile::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (read.written.server.as_str(), read.written.sync_port, read.written.transport_port),
            ("EDGE1", 50636, 7525)
        );
        assert_eq!((read.written.authorities.clone(), read.until()), (file.written.authorities.clone(), file.until()));
        for element in [
            "EdgeServerName",
            "EdgeServerFQDN",
            "EdgeCertificateBlob",
            "ESRAUsername",
            "ESRAPassword",
            "EffectiveDate",
            "Duration",
            "AdamSslPort",
            "ProductID",
            "VersionNumber",
        ] {
            assert!(text.contains(&format!("<{element}>")), "{element}");
        }
        for (before, after) in
            [("EDGE1", "EDGE2"), ("50636", "50637"), ("1000000", "1000001"), ("<Duration>86400", "<Duration>864000")]
        {
            let altered = text.replacen(before, after, 1);
            assert_ne!(altered, text);
            assert_eq!(SubscriptionFile::parse(altered.as_bytes()).unwrap_err(), FileError::Altered, "{before}");
        }
        for bad in ["", "<a/>", "<EdgeSubscription/>", &text[..text.len() / 2]] {
            assert!(matches!(SubscriptionFile::parse(bad.as_bytes()), Err(FileError::Malformed(_))), "{bad:?}");
        }
        assert!(!format!("{file:?}").contains(&BASE64.encode(file.key.expose())));
    }

    #[test]
    fn a_file_ends() {
        // EN-11, EN-13
        let file = file();
        let print = |at: Timestamp| at.as_millis().to_string();
        assert_eq!(file.in_time(Timestamp::from_millis(1_000_000 + 86_399_999), print), Ok(()));
        let late = file.in_time(Timestamp::from_millis(1_000_000 + 86_400_000), print).unwrap_err();
        assert!(late.to_string().contains("make a new one"), "{late}");
    }

    #[test]
    fn a_voucher_counts_for_one_server_and_one_organization() {
        let (file, key) = (file(), file().public_key().unwrap());
        let (contoso, other) = (Domain::parse("contoso.com").unwrap(), Domain::parse("fabrikam.com").unwrap());
        let ours = ["one".to_owned(), "two".to_owned()];
        let voucher = file.voucher(&contoso, &ours).unwrap();
        let own = file.public_key().unwrap();
        assert!(is_voucher(&own, &file.written.server, &contoso, &ours, &voucher));
        assert!(is_voucher(&own, &ServerName::parse("edge1").unwrap(), &contoso, &ours, &voucher));
        assert!(!is_voucher(&key, &file.written.server, &contoso, &ours, &voucher), "another file's key");
        assert!(!is_voucher(&own, &file.written.server, &other, &ours, &voucher));
        assert!(!is_voucher(&own, &file.written.server, &contoso, &ours[..1], &voucher));
        assert!(!is_voucher(&own, &ServerName::parse("EDGE2").unwrap(), &contoso, &ours, &voucher));
        assert!(!is_voucher("nonsense", &file.written.server, &contoso, &ours, &voucher));
    }
}
