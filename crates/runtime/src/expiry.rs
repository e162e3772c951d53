//! When certificates end: a metric for each, and a warning in the log while one of them ends soon.

use std::path::PathBuf;
use std::time::Duration;

use envelope::{Service, Timestamp};
use net::certificate::{ETCD_FOLDER, first_end};
use telemetry::Metrics;

use crate::settings::{DirectorySettings, Settings};

/// The organization's authorities, in the identity of a server.
pub(crate) const AUTHORITY_FILE: &str = "ca.pem";
/// A certificate that ends within this time is told of. Sources: half of what `postroad cert renew` leaves.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The certificates of one service.
pub(crate) struct Expiry {
    certificates: Vec<(&'static str, PathBuf)>,
    metrics: Metrics,
}

impl Expiry {
    pub(crate) fn of(settings: &Settings, service: Service, metrics: Metrics) -> Self {
        let identity = &settings.identity;
        let mut certificates = vec![
            ("authority", identity.join(AUTHORITY_FILE)),
            ("service", identity.join(service.as_str()).join("cert.pem")),
        ];
        if matches!(service, Service::FrontendTransport | Service::Transport) {
            certificates.push(("smtp", identity.join("smtp").join("cert.pem")));
        }
        if let DirectorySettings::Etcd { identity: shown, .. } = &settings.directory {
            let own = || identity.join(service.as_str()).join(ETCD_FOLDER);
            certificates.push(("directory", shown.clone().unwrap_or_else(own).join("cert.pem")));
        }
        Self { certificates, metrics }
    }

    /// Says when they end, as of `now`. A file that is not there has no end: whoever needs it says that.
    pub(crate) fn look(&self, now: Timestamp) {
        for (certificate, path) in &self.certificates {
            let Some(end) = std::fs::read_to_string(path).ok().and_then(|pem| first_end(&pem)) else { continue };
            self.metrics.certificate_end.set(*certificate, end.as_millis() / 1000);
            if end <= now {
                tracing::error!(path = %path.display(), "this certificate has ended: `postroad cert renew`");
            } else if end.since(now) < SOON {
                let days = end.since(now).as_secs() / (24 * 3600);
                tracing::warn!(path = %path.display(), days, "this certificate ends soon: `postroad cert renew`");
            }
        }
    }
}
