//! Folders that services share with gateways and delivery agents: `drop`, `pickup` and `replay` of the settings, and that of Transport's
//! socket. Whether the user that services run as may use them, which is whoever has their state.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use net::Service;
use runtime::Settings;
use topology::Organization;

use super::super::findings::Findings;

/// Rights of one class of users on a folder.
const WRITE_AND_ENTER: u32 = 0o3;
const ENTER: u32 = 0o1;

/// All of them that the settings name.
pub(super) fn look(settings: &Settings, organization: Option<&Organization>, findings: &mut Findings) {
    let Ok(state) = std::fs::metadata(&settings.state) else { return }; // it is told of as the state
    let services = User::of(state.uid());
    drops(settings, organization, &services, findings);
    for (subject, folder) in [("pickup", &settings.pickup), ("replay", &settings.replay)] {
        if let Some(folder) = folder {
            queue_of_files(subject, folder, &services, findings);
        }
    }
    if let Some(socket) = settings.service(Service::Transport).socket {
        of_socket(&socket, settings, &services, findings);
    }
}

/// Somebody whose rights are asked for.
struct User {
    uid: u32,
    groups: BTreeSet<u32>,
    shown: String,
}

impl User {
    /// With the groups that this machine's files say; a service that knows users elsewhere has no others.
    fn of(uid: u32) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (mut name, mut groups) = (None, BTreeSet::new());
        for line in read("/etc/passwd").lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if fields.get(2).and_then(|field| field.parse().ok()) == Some(uid) {
                name = fields.first().map(ToString::to_string);
                groups.extend(fields.get(3).and_then(|field| field.parse::<u32>().ok()));
            }
        }
        for line in read("/etc/group").lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let is_member = fields.get(3).is_some_and(|all| all.split(',').any(|one| Some(one) == name.as_deref()));
            groups.extend(fields.get(2).filter(|_| is_member).and_then(|field| field.parse::<u32>().ok()));
        }
        let shown = name.unwrap_or_else(|| format!("user {uid}"));
        Self { uid, groups, shown }
    }

    fn may(&self, about: &Metadata, rights: u32) -> bool {
        let mode = about.mode();
        let given = if self.uid == about.uid() {
            mode >> 6
        } else if self.groups.contains(&about.gid()) {
            mode >> 3
        } else {
            mode
        };
        self.uid == 0 || given & rights == rights
    }
}

/// A folder that has to be there, for its user.
fn is_usable(subject: &str, folder: &Path, (user, rights): (&User, u32), make: &str, findings: &mut Findings) -> bool {
    let shown = folder.display();
    let what = if rights == ENTER { "enter" } else { "write into" };
    match std::fs::metadata(folder) {
        Ok(about) if !about.is_dir() => findings.wrong(subject, format!("{shown} is no folder"), make),
        Ok(about) if !user.may(&about, rights) => {
            let text = format!(
                "{}, as whom services run, may not {what} {shown} (owner {}, group {}, mode {:o})",
                user.shown,
                about.uid(),
                about.gid(),
                about.mode() & 0o7777
            );
            findings.wrong(subject, text, make);
        }
        Ok(_) => return true,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            findings.wrong(subject, format!("{shown} is not there"), make);
        }
        Err(error) => findings.wrong(subject, format!("{shown}: {error}"), make),
    }
    false
}

/// EN-64, EN-65: the folder of the settings, and the Drop directory of each Foreign connector of this server in it.
fn drops(settings: &Settings, organization: Option<&Organization>, services: &User, findings: &mut Findings) {
    let foreign = organization.map(Organization::foreign_connectors).unwrap_or_default().iter();
    let ours =
        foreign.filter(|connector| connector.enabled && connector.source_transport_servers.contains(&settings.server));
    let Some(root) = &settings.drop else {
        for connector in ours {
            findings.wrong(
                "drop",
                format!(
                    "Foreign connector {} has this server as a source, and the settings name no folder",
                    connector.name
                ),
                "add drop = \"/var/spool/postroad-drop\" and restart Transport (docs/gateways.md)",
            );
        }
        return;
    };
    let make = format!("`install -d -m 0755 {}`, and restart Transport", root.display());
    if !is_usable("drop", root, (services, ENTER), &make, findings) {
        return;
    }
    let mut all_good = true;
    for connector in ours {
        let folder: PathBuf = root.join(connector.drop_directory.as_deref().unwrap_or(connector.name.as_str()));
        let make = format!(
            "its mail waits: `install -d -m 2770 -g GATEWAY {}`, where {} is in the gateway's group (docs/gateways.md)",
            folder.display(),
            services.shown
        );
        let subject = format!("drop of {}", connector.name);
        all_good &= is_usable(&subject, &folder, (services, WRITE_AND_ENTER), &make, findings);
    }
    if all_good {
        findings.good("drop", root.display().to_string());
    }
}

/// PL-56: Transport makes it where it may.
fn queue_of_files(subject: &str, folder: &Path, services: &User, findings: &mut Findings) {
    let make = format!("`install -d -o {} -m 0700 {}`, and restart Transport", services.shown, folder.display());
    if folder.exists() {
        if is_usable(subject, folder, (services, WRITE_AND_ENTER), &make, findings) {
            findings.good(subject, folder.display().to_string());
        }
        return;
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    match std::fs::metadata(parent) {
        Ok(about) if services.may(&about, WRITE_AND_ENTER) => {
            findings.good(subject, format!("{} is not there; Transport makes it", folder.display()));
        }
        _ => findings.wrong(subject, format!("{} is not there, and Transport may not make it", folder.display()), make),
    }
}

/// The folder of the socket at which delivery agents come in.
fn of_socket(socket: &Path, settings: &Settings, services: &User, findings: &mut Findings) {
    let subject = "socket of agents";
    let folder = socket.parent().unwrap_or(Path::new("/"));
    let make = format!(
        "`install -d -o {} -m 0755 {}` before Transport starts (docs/agents.md)",
        services.shown,
        folder.display()
    );
    if !is_usable(subject, folder, (services, WRITE_AND_ENTER), &make, findings) {
        return;
    }
    let mut all_good = true;
    for name in settings.agents.keys() {
        let Some(uid) = net::user_number(name) else {
            let text = format!("[agents] names {name}, whom this machine does not have");
            findings.warning(subject, text, "correct the name, or make the user");
            all_good = false;
            continue;
        };
        if std::fs::metadata(folder).is_ok_and(|about| !User::of(uid).may(&about, ENTER)) {
            let text = format!("{name}, a delivery agent, may not enter {}", folder.display());
            findings.wrong(
                subject,
                text,
                format!("`chmod o+x {}`: the socket itself says who is heard", folder.display()),
            );
            all_good = false;
        }
    }
    if all_good {
        findings.good(subject, socket.display().to_string());
    }
}
