//! Certificates that count no more: whose, until when, and who said so.

use authority::{Revocation, Subject};
use envelope::{ObjectName, ServerName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::author::Author;

/// A revocation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRecord {
    /// What is revoked.
    pub revocation: Revocation,
    /// Who revoked it.
    pub author: Author,
}

/// The stored form. Fields that a later version adds are passed over.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    v: u64,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    administrator: Option<String>,
    issued_until_millis: u64,
    who: String,
    through: String,
}

const STORED_VERSION: u64 = 1;

pub(crate) fn encode(record: &RevocationRecord) -> Vec<u8> {
    let (server, administrator) = match &record.revocation.subject {
        Subject::Server(name) => (Some(name.to_string()), None),
        Subject::Administrator(name) => (None, Some(name.to_string())),
    };
    let stored = Stored {
        v: STORED_VERSION,
        server,
        administrator,
        issued_until_millis: record.revocation.issued_until.as_millis(),
        who: record.author.who.clone(),
        through: record.author.through.clone(),
    };
    serde_json::to_vec(&stored).expect("a revocation is plain data")
}

/// What is stored, or why it cannot be understood: that is never passed over in silence.
pub(crate) fn decode(bytes: &[u8]) -> Result<RevocationRecord, String> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if stored.v != STORED_VERSION {
        return Err(format!("version {}; upgrade this server", stored.v));
    }
    let subject = match (stored.server, stored.administrator) {
        (Some(name), None) => Subject::Server(ServerName::parse(&name).map_err(|error| error.to_string())?),
        (None, Some(name)) => Subject::Administrator(ObjectName::parse(&name).map_err(|error| error.to_string())?),
        _ => return Err("it names no server and no administrator".to_owned()),
    };
    let revocation = Revocation { subject, issued_until: Timestamp::from_millis(stored.issued_until_millis) };
    Ok(RevocationRecord { revocation, author: Author::new(stored.who, stored.through) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_comes_back_as_it_was_and_what_is_strange_is_told() {
        for subject in [
            Subject::Server(ServerName::parse("MAIL1").unwrap()),
            Subject::Administrator(ObjectName::parse("anna").unwrap()),
        ] {
            let revocation = Revocation { subject, issued_until: Timestamp::from_millis(7) };
            let record = RevocationRecord { revocation, author: Author::new("anna", "a test") };
            assert_eq!(decode(&encode(&record)), Ok(record.clone()));
            let later = String::from_utf8(encode(&record)).unwrap().replace("\"v\":1", "\"v\":2");
            assert!(decode(later.as_bytes()).unwrap_err().contains("upgrade"));
        }
        assert!(decode(b"{}").is_err());
    }
}
