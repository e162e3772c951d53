//! Reading anew: on SIGHUP the settings and the certificates, and certificates also when their files change.
//!
//! Settings are read once by whoever uses them, so a process that was told to read them anew says which have changed and need
//! a restart. `[agents]` does not: who may come is looked up when somebody does. Certificates take effect at once where that is possible: what clients of SMTP are shown, and what this service
//! shows when it calls others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use envelope::Service;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::settings::Settings;

/// How often the files of certificates are looked at.
const LOOK: Duration = Duration::from_secs(30);

/// Tells the services of a process to read their certificates anew.
#[derive(Clone, Debug)]
pub struct Reloads(watch::Receiver<Told>);

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    times: u64,
    /// `[agents]` of the settings, once they were read anew.
    agents: Option<AgentUsers>,
}

/// Users of this server who are delivery agents, each with protocols in lower case.
pub type AgentUsers = BTreeMap<String, BTreeSet<String>>;

/// Settings that are followed without a restart, by the beginning of their keys.
const FOLLOWED: &str = "agents.";

impl Reloads {
    /// One that never tells anything.
    #[must_use]
    pub fn never() -> Self {
        Self(watch::channel(Told::default()).1)
    }

    /// Tells on SIGHUP and when a file below `identity` has changed. `settings` is the file that was read at start.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn on_signals(settings: PathBuf, identity: PathBuf) -> std::io::Result<Self> {
        let (hangup, (sender, receiver)) = (signal(SignalKind::hangup())?, watch::channel(Told::default()));
        tokio::spawn(follow(hangup, settings, identity, sender));
        Ok(Self(receiver))
    }

    /// Who may be a delivery agent, where the settings have been read anew since the start.
    #[must_use]
    pub fn agents(&self) -> Option<AgentUsers> {
        self.0.borrow().agents.clone()
    }

    /// Returns at the next time to read anew; never when there will be none.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn follow(mut hangup: Signal, path: PathBuf, identity: PathBuf, reloads: watch::Sender<Told>) {
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let mut seen = written(&identity);
    loop {
        let asked = tokio::select! {
            () = reloads.closed() => return,
            signal = hangup.recv() => signal.is_some(),
            () = tokio::time::sleep(LOOK) => false,
        };
        if asked && let Some(settings) = tell_settings(&path, &known) {
            reloads.send_modify(|told| told.agents = Some(settings.agents));
        }
        let now = written(&identity);
        if asked || now != seen {
            seen = now;
            reloads.send_modify(|told| told.times += 1);
        }
    }
}

/// Says what has changed in the settings since `known`, and gives what is there now, if it can be used. What needs a restart is told
/// until there was one.
fn tell_settings(path: &Path, known: &str) -> Option<Settings> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            // `sed -i` and most editors put another file in its place, which a service that has confined itself does not see.
            tracing::error!(
                path = %path.display(), %error,
                "the settings cannot be read anew; the old ones go on. If the file was replaced since the start, restart this service"
            );
            return None;
        }
    };
    let settings = Settings::parse(&text, path);
    let settings =
        settings.inspect_err(|error| tracing::error!(%error, "the settings have a mistake; the old ones go on"));
    let changed = changed_keys(known, &text);
    let (followed, changed): (Vec<String>, Vec<String>) =
        changed.into_iter().partition(|key| key.starts_with(FOLLOWED));
    let settings = settings.ok()?;
    if !followed.is_empty() {
        tracing::info!(path = %path.display(), changed = followed.join(", "), "these settings count from now on");
    }
    if changed.is_empty() {
        tracing::info!(path = %path.display(), "read anew: no setting needs a restart; certificates are read anew");
    } else {
        let changed = changed.join(", ");
        tracing::warn!(path = %path.display(), changed, "these settings have changed: restart this service to apply them");
    }
    Some(settings)
}

/// The keys whose values differ, with their tables: `services.transport.smtp`.
fn changed_keys(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (flat(before), flat(after));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    all.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

fn flat(text: &str) -> BTreeMap<String, String> {
    fn into(prefix: &str, value: &toml::Value, out: &mut BTreeMap<String, String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    into(&key, value, out);
                }
            }
            value => drop(out.insert(prefix.to_owned(), value.to_string())),
        }
    }
    let mut out = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        into("", &toml::Value::Table(table), &mut out);
    }
    out
}

/// The certificates below `identity`, and when each was written: one that is taken away is a change, too. Asked by name: a
/// service that is confined may not look into the folder, which holds those of the others.
fn written(identity: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let smtp = identity.join("smtp");
    let named: Vec<PathBuf> = std::fs::read_dir(&smtp).map_or_else(
        |_| Vec::new(),
        |named| named.filter_map(Result::ok).map(|folder| folder.path().join("cert.pem")).collect(),
    );
    let of_services = Service::ALL.into_iter().flat_map(|service| {
        ["cert.pem", "ca.pem", "etcd/cert.pem"].map(|file| identity.join(service.as_str()).join(file))
    });
    let files = of_services.chain(named).chain([smtp.join("cert.pem"), identity.join("ca.pem")]);
    files.filter_map(|file| Some((file.clone(), file.metadata().ok()?.modified().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named_with_its_table() {
        let before =
            "server = 'A'\nstate = '/s'\n[services.transport]\nsmtp = '127.0.0.1:1'\n[identity]\npath = '/i'\n";
        let after =
            before.replace(":1", ":2").replace("state = '/s'\n", "").replace("'/i'", "'/i'\norganization-key = '/k'");
        assert_eq!(changed_keys(before, before), Vec::<String>::new());
        assert_eq!(changed_keys(before, &after), ["identity.organization-key", "services.transport.smtp", "state"]);
    }

    #[test]
    fn who_may_be_an_agent_is_followed_and_a_mistake_changes_nothing() {
        // EN-55
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        let before = "server = 'A'\nforest = 'contoso.com'\nstate = '/s'\n[directory]\nkind = 'embedded'\npath = '/d'\n\
                      [identity]\npath = '/i'\n";
        let told = |text: &str| {
            std::fs::write(&path, text).unwrap();
            tell_settings(&path, before).map(|settings| settings.agents)
        };
        let agents = told(&format!("{before}[agents]\nfax = ['FAX']\n")).unwrap();
        assert_eq!(agents, AgentUsers::from([("fax".to_owned(), BTreeSet::from(["fax".to_owned()]))]));
        assert_eq!(told(before), Some(AgentUsers::new()));
        assert_eq!(told(&format!("{before}[agents]\nfax = 1\n")), None);
    }

    #[expect(clippy::disallowed_methods, reason = "the time of a file")]
    #[test]
    fn a_certificate_that_is_written_or_taken_away_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(written(folder.path()).is_empty());
        let smtp = folder.path().join("smtp");
        std::fs::create_dir(&smtp).unwrap();
        std::fs::write(smtp.join("cert.pem"), "x").unwrap();
        let first = written(folder.path());
        assert_eq!(first.len(), 1);
        let file = std::fs::File::options().write(true).open(smtp.join("cert.pem")).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
        let second = written(folder.path());
        assert_ne!(second, first);
        // TA-30: what lies beside it, also when it is taken away, and also when it is older.
        std::fs::create_dir(smtp.join("partner")).unwrap();
        std::fs::write(smtp.join("partner/cert.pem"), "x").unwrap();
        let file = std::fs::File::options().write(true).open(smtp.join("partner/cert.pem")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(written(folder.path()), second);
        std::fs::remove_dir_all(smtp.join("partner")).unwrap();
        assert_eq!(written(folder.path()), second);
    }
}
