//! A connection to one of the servers of a source: TLS before anything else, and a bind.
//!
//! ldap3 speaks the protocol, over the end of a [`bridge`]: sockets, TLS and StartTLS are ours. StartTLS is one request of
//! fixed octets and one answer of few, which is read here to its last octet and no further: nothing that came in clear is
//! believed under TLS (RFC 4513 §3.1.1).

use std::net::SocketAddr;
use std::time::Duration;

use ldap3::asn1::{PL, StructureTag, parse_tag};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use net::bridge::bridge;
use net::{Host, Stream, TlsClient, Verification};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::source::{Identity, LdapSource, ServerAddress};

/// Time for a connection to come up and for StartTLS: a server that is there takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the answer to a bind.
const BIND_TIMEOUT: Duration = Duration::from_secs(10);
/// `busy`, `unavailable`, `unwillingToPerform`, `other` (RFC 4511 appendix A.2): another server may be able to.
const UNABLE: [u32; 4] = [51, 52, 53, 80];
/// `ExtendedRequest` of StartTLS (RFC 4511 §4.14.1), message 1.
const STARTTLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Octets of its answer, with a reason in words.
const STARTTLS_ANSWER_MAX: usize = 1024;

/// Why a directory gave no answer. For mail it is always transient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LdapError {
    /// None of the servers is there, or could be believed.
    #[error("{0}")]
    Away(String),
    /// The directory does not take the name and the password.
    #[error("{server}: {name} cannot log on: {text}; check the name and the password")]
    Refused {
        /// Which server.
        server: String,
        /// Whose.
        name: String,
        /// What it says.
        text: String,
    },
    /// It has an answer that is none.
    #[error("{0}")]
    Answer(String),
}

/// A connection on which somebody has asked to be let in.
pub(crate) struct Connected {
    pub(crate) ldap: Ldap,
    /// The number of the server.
    pub(crate) at: usize,
    /// What it says to the bind: result code and words. 0 when nobody asked.
    pub(crate) answer: (u32, String),
}

/// The first server of `source` that answers, beginning with number `first`; to a bind as `identity`, where there is one: a server
/// that can only say that it cannot now has not answered.
///
/// # Errors
/// [`LdapError::Away`] with the reason of each.
pub(crate) async fn connect(
    source: &LdapSource,
    first: usize,
    octets_max: u64,
    identity: Option<&Identity>,
) -> Result<Connected, LdapError> {
    let mut reasons = Vec::new();
    let number = source.servers.len();
    for at in (0..number).map(|step| first.wrapping_add(step) % number) {
        let server = &source.servers[at];
        match answer(source, server, octets_max, identity).await {
            Ok((ldap, answer)) => return Ok(Connected { ldap, at, answer }),
            Err(reason) => reasons.push(format!("{server}: {reason}")),
        }
    }
    Err(LdapError::Away(reasons.join("; ")))
}

async fn answer(
    source: &LdapSource,
    server: &ServerAddress,
    octets_max: u64,
    identity: Option<&Identity>,
) -> Result<(Ldap, (u32, String)), String> {
    let ldap = reach(source, server, octets_max).await?;
    let Some(identity) = identity else { return Ok((ldap, (0, String::new()))) };
    match bind(&ldap, identity).await? {
        (code, text) if UNABLE.contains(&code) => Err(format!("it answers with result {code}: {text}")),
        answer => Ok((ldap, answer)),
    }
}

async fn reach(source: &LdapSource, server: &ServerAddress, octets_max: u64) -> Result<Ldap, String> {
    let mut stream = open(source, server).await?;
    if server.starttls {
        let started = tokio::time::timeout(CONNECT_TIMEOUT, start_tls(&mut stream)).await;
        started.unwrap_or_else(|_| Err("no answer to StartTLS".into()))?;
    }
    let tls = TlsClient::new(source.roots.clone());
    let verification = Verification::Host(server.host.clone());
    let shaken = tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(stream, &server.host, &verification)).await;
    let (stream, _) = match shaken {
        Ok(shaken) => shaken.map_err(|error| format!("TLS: {error}"))?,
        Err(_) => return Err("TLS: no answer".into()),
    };
    let socket = bridge(stream, octets_max).map_err(|error| error.to_string())?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(socket));
    let (connection, ldap) =
        LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| error.to_string())?;
    // Ends with the handle. What it fails with, whoever waits for an answer is told.
    tokio::spawn(connection.drive());
    Ok(ldap)
}

async fn open(source: &LdapSource, server: &ServerAddress) -> Result<Stream, String> {
    let addresses = match &server.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            let found = tokio::time::timeout(CONNECT_TIMEOUT, source.resolver.addresses(name)).await;
            let found = found.map_err(|_| "DNS does not answer".to_owned())?;
            found.map_err(|error| error.to_string())?
        }
    };
    let mut reason = "it has no address in DNS".to_owned();
    // One that does not answer costs its time: who has many servers lists them.
    for address in addresses.into_iter().take(2) {
        match net::connect(SocketAddr::new(address, server.port), None, CONNECT_TIMEOUT).await {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

async fn start_tls(stream: &mut Stream) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("StartTLS: {error}");
    stream.write_all(STARTTLS).await.map_err(broken)?;
    let mut answer = vec![0; 2];
    stream.read_exact(&mut answer).await.map_err(broken)?;
    // Short form of the length, or how many octets of it follow (X.690 §8.1.3): Active Directory always writes four.
    let length = match answer[1] {
        short @ 0..=0x7f => usize::from(short),
        long @ 0x81..=0x84 => {
            let mut octets = vec![0; usize::from(long & 0x7f)];
            stream.read_exact(&mut octets).await.map_err(broken)?;
            answer.extend(&octets);
            octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet))
        }
        _ => return Err("StartTLS: the answer is no LDAP".into()),
    };
    if answer[0] != 0x30 || length > STARTTLS_ANSWER_MAX {
        return Err("StartTLS: the answer is no LDAP".into());
    }
    let head = answer.len();
    answer.resize(head + length, 0);
    stream.read_exact(&mut answer[head..]).await.map_err(broken)?;
    match result_of_starttls(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(format!("StartTLS is refused (result {code}); set up TLS there, or use ldaps://")),
        None => Err("StartTLS: the answer is no LDAP".into()),
    }
}

/// The result of an `ExtendedResponse` to message 1.
fn result_of_starttls(answer: &[u8]) -> Option<u64> {
    let (_, StructureTag { payload: PL::C(parts), .. }) = parse_tag(answer).ok()? else { return None };
    let [StructureTag { payload: PL::P(id), .. }, StructureTag { id: 24, payload: PL::C(response), .. }, ..] =
        &parts[..]
    else {
        return None;
    };
    let StructureTag { id: 10, payload: PL::P(code), .. } = response.first()? else { return None };
    let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
    (number(id) == 1 && code.len() <= 4).then(|| number(code))
}

/// What a bind with a password came to: the result code and what the server says to it. `Err` says why there is no answer.
async fn bind(ldap: &Ldap, identity: &Identity) -> Result<(u32, String), String> {
    let (mut ldap, identity) = (ldap.clone(), identity.clone());
    // On its own: ldap3 panics at an answer that is malformed.
    let asking = tokio::spawn(async move { ldap.simple_bind(&identity.name, identity.password()).await });
    match tokio::time::timeout(BIND_TIMEOUT, asking).await {
        Ok(Ok(Ok(result))) => Ok((result.rc, result.text)),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err("the answer to a bind is malformed".into()),
        Err(_) => Err(format!("no answer to a bind in {} s", BIND_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_starttls_are_read_strictly() {
        let openldap = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(result_of_starttls(openldap), Some(0));
        let active_directory =
            b"\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00\
            \x8a\x161.3.6.1.4.1.1466.20037";
        assert_eq!(result_of_starttls(active_directory), Some(0));
        assert_eq!(result_of_starttls(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"), Some(52));
        for wrong in [
            &b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00"[..], // another message
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",      // the answer to a bind
            b"\x30\x03\x02\x01\x01",
            b"\x30\x00",
            b"\x30",
        ] {
            assert_eq!(result_of_starttls(wrong), None, "{wrong:?}");
        }
    }
}
