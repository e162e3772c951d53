//! `postroad cert crl`: a list of revoked certificates for etcd, which knows nothing of `cert revoke`.
//!
//! Beside the authority stands what it issued and what was revoked, one JSON object in a line; a list is made of that alone, so that
//! neither the directory nor a service has to answer. Lines are added and never changed.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use authority::Subject;
use envelope::{ObjectName, ServerName, Timestamp};
use net::certificate::{ADMINISTRATOR_FOLDER, ETCD_FOLDER, issued_at, serial_of, validity};
use net::{CertificateAuthority, KeyedCertificate, Service, parse_administrator, parse_identity};
use serde::{Deserialize, Serialize};

use super::super::{output, times};
use super::{SMTP_FOLDER, load_authority};

const EXAMPLES: &str = "\
Examples:
  # Once, before etcd is set up: a list of nothing. etcd reads it with --client-crl-file.
  postroad cert crl --ca contoso-keys --out etcd-crl.pem
  # A key of BERLIN1 may be in wrong hands: services hear of it from the directory,
  # etcd by the list.
  postroad cert revoke --server BERLIN1
  postroad cert crl --ca contoso-keys --server BERLIN1 --out etcd-crl.pem

Revokes every certificate that was issued until now to a server or an administrator, in the
list that is written; what was revoked before stays in it. Copy it to every member of etcd: it
is read for each new connection. Connections that are open go on: restart the members, one
after the other, to end them.";

/// Beside the folder of the authority.
const FILE: &str = "issued";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CrlArguments {
    /// Folder of `postroad cert init`.
    #[arg(long, value_name = "FOLDER")]
    ca: PathBuf,
    /// Revoke the certificates of this server.
    #[arg(long, value_name = "NAME", conflicts_with = "administrator")]
    server: Option<ServerName>,
    /// Revoke the certificates of this administrator.
    #[arg(long, value_name = "NAME", value_parser = ObjectName::parse)]
    administrator: Option<ObjectName>,
    /// File for the list (PEM).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "what")]
enum Entry {
    /// A certificate, by its serial number in hexadecimal digits.
    Issued { serial: String, to: String, issued_millis: u64, ends_millis: u64 },
    /// What was issued to somebody until then.
    Revoked { of: String, until_millis: u64 },
}

pub(super) fn run(arguments: &CrlArguments) -> anyhow::Result<()> {
    let CrlArguments { ca, server, administrator, out } = arguments;
    let authority = load_authority(ca)?;
    let subject = match (server, administrator) {
        (Some(server), _) => Some(Subject::Server(server.clone())),
        (None, Some(name)) => Some(Subject::Administrator(name.clone())),
        (None, None) => None,
    };
    let mut entries = read(ca)?;
    let now = times::now();
    if let Some(subject) = &subject {
        let of = name(subject);
        if !entries.iter().any(|entry| matches!(entry, Entry::Issued { to, .. } if *to == of)) {
            bail!(
                "{} has no certificate of {subject} on record: it was issued before records were kept, or elsewhere. Whatever has \
                 it, `postroad cert renew --ca {} --path FOLDER` of its identity puts on record",
                path(ca).display(),
                ca.display()
            );
        }
        let revoked = Entry::Revoked { of, until_millis: now.as_millis() };
        append(ca, std::slice::from_ref(&revoked))?;
        entries.push(revoked);
    }
    let revoked = revoked(&entries, now);
    let list = authority.revocation_list(&revoked, now)?;
    net::certificate::write_public(out, &list)?;
    output::print(&format!(
        "Revoked certificates: {}. List: {}\nNext: copy it to every member of etcd, as its --client-crl-file.\n",
        revoked.len(),
        out.display()
    ))
}

/// Serial numbers of what is revoked and has not ended by itself. Certificates know the second in which they were issued; within one
/// the order of the lines tells.
fn revoked(entries: &[Entry], now: Timestamp) -> Vec<Vec<u8>> {
    let is_revoked = |at: usize, wanted: &str, issued: u64| {
        let mut revocations = entries.iter().enumerate().filter_map(|(after, entry)| match entry {
            Entry::Revoked { of, until_millis } if of == wanted => Some((after, *until_millis)),
            _ => None,
        });
        revocations.any(|(after, until)| at < after || issued / 1000 < until / 1000)
    };
    let serials = entries.iter().enumerate().filter_map(|(at, entry)| match entry {
        Entry::Issued { serial, to, issued_millis, ends_millis }
            if *ends_millis > now.as_millis() && is_revoked(at, to, *issued_millis) =>
        {
            octets(serial)
        }
        _ => None,
    });
    serials.collect()
}

/// Puts on record what is in the identity `folder` and was not yet.
pub(super) fn record(ca: &Path, authority: &CertificateAuthority, folder: &Path) -> anyhow::Result<()> {
    let entries = read(ca)?;
    let known: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Issued { serial, .. } => Some(serial.as_str()),
            Entry::Revoked { .. } => None,
        })
        .collect();
    let found = certificates(folder, authority);
    let new = found.into_iter().filter_map(|(subject, der)| issued(&subject, &der));
    let new: Vec<Entry> =
        new.filter(|entry| !matches!(entry, Entry::Issued { serial, .. } if known.contains(serial.as_str()))).collect();
    append(ca, &new)
}

/// What this authority issued, and to whom: what is shown to etcd and to clients of SMTP names nobody, and stands beside what does.
fn certificates(folder: &Path, authority: &CertificateAuthority) -> Vec<(Subject, Vec<u8>)> {
    let load = |place: &Path| {
        let der = KeyedCertificate::load_from(place).ok()?.to_der().ok()?;
        authority.is_issuer_of(&der).then_some(der)
    };
    let mut found = Vec::new();
    let mut server = None;
    for place in Service::ALL.map(Service::as_str).into_iter().chain([ADMINISTRATOR_FOLDER]) {
        let place = folder.join(place);
        let Some(der) = load(&place) else { continue };
        let subject = match (parse_identity(&der), parse_administrator(&der)) {
            (Ok(peer), _) => {
                server = Some(peer.server.clone());
                Subject::Server(peer.server)
            }
            (Err(_), Ok(administrator)) => Subject::Administrator(administrator.name),
            (Err(_), Err(_)) => continue,
        };
        found.extend(load(&place.join(ETCD_FOLDER)).map(|shown| (subject.clone(), shown)));
        found.push((subject, der));
    }
    let shown = server.zip(load(&folder.join(SMTP_FOLDER)));
    found.extend(shown.map(|(server, der)| (Subject::Server(server), der)));
    found
}

fn issued(subject: &Subject, der: &[u8]) -> Option<Entry> {
    let serial: String = serial_of(der)?.iter().map(|octet| format!("{octet:02x}")).collect();
    let (issued_millis, ends_millis) = (issued_at(der)?.as_millis(), validity(der)?.1.as_millis());
    Some(Entry::Issued { serial, to: name(subject), issued_millis, ends_millis })
}

/// Names are compared without regard to case.
fn name(subject: &Subject) -> String {
    subject.to_string().to_lowercase()
}

fn octets(serial: &str) -> Option<Vec<u8>> {
    let pairs = serial.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn path(ca: &Path) -> PathBuf {
    ca.join(FILE)
}

fn read(ca: &Path) -> anyhow::Result<Vec<Entry>> {
    let path = path(ca);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    // A line that was cut off by a crash is of a certificate that nobody has: it is recorded before it is copied anywhere.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = |line: &str| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()));
    whole.lines().map(line).collect()
}

fn append(ca: &Path, entries: &[Entry]) -> anyhow::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let path = path(ca);
    let lines = entries.iter().map(|entry| serde_json::to_string(entry).map(|line| line + "\n"));
    let lines = lines.collect::<Result<String, _>>()?;
    let written = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).and_then(|mut file| {
        let there = std::fs::read(&path)?;
        let whole = there.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        if whole < there.len() {
            file.set_len(whole as u64)?;
        }
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(serial: &str, to: &str, issued_millis: u64, ends_millis: u64) -> Entry {
        Entry::Issued { serial: serial.into(), to: to.into(), issued_millis, ends_millis }
    }

    #[test]
    fn what_was_issued_until_it_was_revoked_and_has_not_ended_is_listed() {
        let entries = [
            issued("0a01", "server mail1", 5000, 100_000),
            issued("0a02", "server mail2", 5000, 100_000),
            issued("0a03", "server mail1", 1000, 9000),
            Entry::Revoked { of: "server mail1".into(), until_millis: 5100 },
            issued("0a04", "server mail1", 5000, 100_000),
            // Found later, and older.
            issued("0a05", "server mail1", 4000, 100_000),
        ];
        assert_eq!(revoked(&entries, Timestamp::from_millis(10_000)), [vec![0x0a, 0x01], vec![0x0a, 0x05]]);
        assert_eq!(octets("0"), Some(vec![0]));
        assert_eq!(octets("0x"), None);
    }

    #[test]
    fn a_line_that_was_cut_off_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let entry = issued("01", "server mail1", 1, 2);
        append(folder.path(), std::slice::from_ref(&entry)).unwrap();
        let text = std::fs::read_to_string(path(folder.path())).unwrap();
        std::fs::write(path(folder.path()), format!("{text}{}", &text[..20])).unwrap();
        assert_eq!(read(folder.path()).unwrap(), std::slice::from_ref(&entry));
        append(folder.path(), std::slice::from_ref(&entry)).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [entry.clone(), entry]);
        std::fs::write(path(folder.path()), format!("{{}}\n{text}")).unwrap();
        assert!(read(folder.path()).is_err(), "what is not understood is not passed over");
    }
}
