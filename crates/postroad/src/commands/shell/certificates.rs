//! Certificates for the shell: those of the server whose settings were named.

use cmdlets::Certificates;
use cmdlets::certificates::CertificateEntry;
use envelope::{Domain, ServerName};
use net::certificate::serial_of;
use net::tls::{OwnCertificate, in_order};
use runtime::{Settings, certificate};

use super::super::place::Reach;
use super::super::times;

/// The certificates of one server.
pub(super) struct OwnCertificates(Settings);

impl OwnCertificates {
    /// Those of the place that was reached, where it is a server's.
    pub(super) fn of(reach: &Reach) -> Option<Self> {
        reach.settings().cloned().map(Self)
    }
}

impl Certificates for OwnCertificates {
    fn of_server(&mut self, server: &ServerName, hosts: &[String]) -> Result<Vec<CertificateEntry>, String> {
        let Self(settings) = self;
        if *server != settings.server {
            return Err(format!(
                "Certificates of {server} are files of that server, and this is {}: run the shell there.",
                settings.server
            ));
        }
        let all = certificate::all_on_disk(settings);
        if hosts.is_empty() {
            return Ok(all.iter().map(entry).collect());
        }
        let mut found: Vec<CertificateEntry> = Vec::new();
        for host in hosts {
            let host = Domain::parse(host).map_err(|error| format!("{host}: {error}"))?;
            for one in in_order(&all, &host, times::now()).into_iter().map(entry) {
                if !found.contains(&one) {
                    found.push(one);
                }
            }
        }
        Ok(found)
    }
}

fn entry(one: &OwnCertificate) -> CertificateEntry {
    let serial = one.keyed.to_der().ok().and_then(|der| serial_of(&der)).unwrap_or_default();
    CertificateEntry {
        thumbprint: one.thumbprint(),
        subject: one.written.subject.to_string(),
        issuer: one.written.issuer.to_string(),
        domains: one.names.iter().map(ToString::to_string).collect(),
        not_before: one.written.not_before,
        not_after: one.written.not_after,
        serial_number: serial.iter().map(|octet| format!("{octet:02X}")).collect(),
        self_signed: one.is_self_signed(),
    }
}
