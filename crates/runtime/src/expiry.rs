//! When certificates end: a metric for each, and a warning in the log while one of them ends soon. Those that lie beside the
//! server's own for SMTP count together: the metric is of the first that ends (TA-30).

use std::path::{Path, PathBuf};
use std::time::Duration;

use envelope::{Service, Timestamp};
use net::certificate::{ETCD_FOLDER, first_end};
use telemetry::Metrics;

use crate::places::further;
use crate::settings::{DirectorySettings, Settings};

/// The organization's authorities, in the identity of a server.
pub(crate) const AUTHORITY_FILE: &str = "ca.pem";
/// A certificate that ends within this time is told of. Sources: half of what `postroad cert renew` leaves.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The certificates of one service.
pub(crate) struct Expiry {
    certificates: Vec<(&'static str, PathBuf)>,
    /// Has folders of further certificates for SMTP, which come and go.
    smtp: Option<Settings>,
    metrics: Metrics,
}

impl Expiry {
    pub(crate) fn of(settings: &Settings, service: Service, metrics: Metrics) -> Self {
        let identity = &settings.identity;
        let mut certificates = vec![
            ("authority", identity.join(AUTHORITY_FILE)),
            ("service", identity.join(service.as_str()).join("cert.pem")),
        ];
        let speaks_smtp = matches!(service, Service::FrontendTransport | Service::Transport);
        if speaks_smtp {
            certificates.push(("smtp", identity.join("smtp").join("cert.pem")));
        }
        if let DirectorySettings::Etcd { identity: shown, .. } = &settings.directory {
            let own = || identity.join(service.as_str()).join(ETCD_FOLDER);
            certificates.push(("directory", shown.clone().unwrap_or_else(own).join("cert.pem")));
        }
        Self { certificates, smtp: speaks_smtp.then(|| settings.clone()), metrics }
    }

    /// Says when they end, as of `now`. A file that is not there has no end: whoever needs it says that.
    pub(crate) fn look(&self, now: Timestamp) {
        for (certificate, path) in &self.certificates {
            if let Some(end) = end_of(path) {
                self.metrics.certificate_end.set(*certificate, end.as_millis() / 1000);
                warn(path, end, now, "`postroad cert renew`");
            }
        }
        let paths = self.smtp.iter().flat_map(further).map(|folder| folder.join("cert.pem"));
        let ends: Vec<(PathBuf, Timestamp)> = paths.filter_map(|path| Some((path.clone(), end_of(&path)?))).collect();
        for (path, end) in &ends {
            warn(
                path,
                *end,
                now,
                "put the new one into another folder beside it; `postroad cert preview` says what changes",
            );
        }
        if let Some(end) = ends.iter().map(|(_, end)| *end).min() {
            self.metrics.certificate_end.set("smtp-further", end.as_millis() / 1000);
        }
    }
}

fn end_of(path: &Path) -> Option<Timestamp> {
    std::fs::read_to_string(path).ok().and_then(|pem| first_end(&pem))
}

fn warn(path: &Path, end: Timestamp, now: Timestamp, advice: &str) {
    if end <= now {
        tracing::error!(path = %path.display(), "this certificate has ended: {advice}");
    } else if end.since(now) < SOON {
        let days = end.since(now).as_secs() / (24 * 3600);
        tracing::warn!(path = %path.display(), days, "this certificate ends soon: {advice}");
    }
}
