//! What is outside of this machine: the directory with the organization, name servers; and an organization file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::organization::WithoutSecrets;
use directory::{Configuration, MemberState, Presence, ahead_of};
use envelope::{Revision, Timestamp};
use net::dns::{DnsError, DnsProtocol, Resolver};
use runtime::Settings;
use topology::Organization;

use super::super::findings::Findings;
use super::super::organization_file;
use super::super::place;

/// Time for the directory to answer.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(10);
/// A service that has started so far in the future has another clock than this machine.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(30);

/// Whether the directory answers, has this server, and agrees about the time.
pub(super) async fn directory(
    settings: &Settings,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Arc<Organization>> {
    let opened = tokio::time::timeout(DIRECTORY_TIMEOUT, place::open(settings)).await;
    let (directory, organization) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            findings.wrong("directory", format!("{error:#}"), "");
            return None;
        }
        Err(_) => {
            let text = format!("no answer within {} s", DIRECTORY_TIMEOUT.as_secs());
            findings.wrong("directory", text, "check that it runs, and [directory] in the settings");
            return None;
        }
    };
    findings.good("directory", format!("answers; the configuration is at revision {}", organization.revision()));
    members(&directory.members().await, findings);
    let server = &settings.server;
    if let Some(known) = organization.server(server) {
        findings.good("organization", format!("has {server}, {}, in site {}", known.fqdn, known.site));
    } else {
        let text = format!("has no server {server}");
        findings.wrong(
            "organization",
            text,
            "add it to `servers:` of the organization file and run `postroad apply FILE`",
        );
    }
    match directory.presences().await {
        Ok(presences) => {
            restored(directory.as_ref(), &presences, organization.revision(), findings).await;
            let ahead = presences.iter().filter(|presence| presence.started.since(now) > CLOCK_DIFFERENCE_MAX);
            let ahead: Vec<String> = ahead
                .map(|presence| {
                    let by = presence.started.since(now).as_secs();
                    format!("{} of {} has started {by} s from now", presence.service, presence.server)
                })
                .collect();
            if ahead.is_empty() {
                findings.good("clock", format!("{}; no server's is ahead of it", now.to_iso8601()));
            } else {
                let advice = "let every server follow a time server (NTP): retries, expiry and logs need one time";
                findings.wrong("clock", format!("{}, and {}", now.to_iso8601(), ahead.join("; ")), advice);
            }
        }
        Err(error) => findings.warning("clock", format!("the other servers' is not known: {error}"), ""),
    }
    Some(organization)
}

/// One of several that is dead: nothing is amiss, and it has to be mended before another one dies.
fn members(members: &[MemberState], findings: &mut Findings) {
    let failed = |member: &MemberState| Some(format!("{}: {}", member.endpoint, member.failure.as_ref()?));
    let failed: Vec<String> = members.iter().filter_map(failed).collect();
    match (members.len(), failed.as_slice()) {
        (0 | 1, _) => {}
        (all, []) => findings.good("etcd", format!("all {all} members answer")),
        (all, failed) => findings.wrong(
            "etcd",
            format!("{} of {all} members do not answer: {}", failed.len(), failed.join("; ")),
            "start it again, or replace it (docs/production.md): etcd answers while more than half of its members run",
        ),
    }
}

/// What the directory knows of itself against what services work by.
async fn restored(directory: &dyn Configuration, presences: &[Presence], revision: Revision, findings: &mut Findings) {
    if ahead_of(presences, revision).is_none() {
        return;
    }
    // It may have been changed before the services were asked: it is read once more.
    let revision = directory.snapshot().await.map_or(revision, |now| now.revision());
    if let Some(newest) = ahead_of(presences, revision) {
        let text = format!(
            "is older than the configuration of {} {}, revision {}: it was restored from a backup, and services refuse what it \
             holds",
            newest.server, newest.service, newest.applied_revision
        );
        findings.wrong("directory", text, "`postroad apply --restored FILE` makes it count again");
    }
}

/// Whether the name servers of the settings, or of the machine, answer.
pub(super) async fn dns(settings: &Settings, organization: Option<&Organization>, findings: &mut Findings) {
    let resolver = match settings.dns.as_slice() {
        [] => Resolver::system(),
        servers => Resolver::with_servers(servers, DnsProtocol::Any),
    };
    let resolver = match resolver {
        Ok(resolver) => resolver,
        Err(error) => {
            return findings.wrong(
                "DNS",
                error.to_string(),
                "name servers in /etc/resolv.conf, or by `dns` in the settings",
            );
        }
    };
    let servers: Vec<String> = resolver.servers().iter().map(ToString::to_string).collect();
    let servers = servers.join(", ");
    let name = organization.and_then(|organization| organization.server(&settings.server)).map(|own| own.fqdn.clone());
    let name = name.unwrap_or_else(|| settings.forest.clone());
    match resolver.addresses(&name).await {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            findings.good("DNS", format!("{servers} answer; {name} is {}", addresses.join(", ")));
        }
        Err(error) if error.is_transient() => {
            let advice = "check that they are reached from here (UDP and TCP port 53): mail for domains waits for them";
            findings.wrong("DNS", format!("{servers}: {error}"), advice);
        }
        Err(DnsError::NotAName { .. }) => findings.good("DNS", format!("{servers} are configured")),
        Err(error) => findings.warning(
            "DNS",
            format!("{servers} answer; {error}"),
            format!("others look for {name} when this server greets them: give it an address"),
        ),
    }
}

/// Whether an organization file could be applied.
pub(super) fn file(path: &Path, findings: &mut Findings) {
    let read = organization_file::read_in_pieces(path).and_then(|(file, pieces)| {
        if let Some(pieces) = pieces {
            let draft = file.contents.organization.draft();
            organization_file::in_pieces(path, &pieces, draft, &WithoutSecrets, |_| {})?;
        }
        Ok(file)
    });
    match read {
        Ok(file) => {
            let organization = &file.contents.organization;
            let (servers, connectors) = (organization.servers().len(), organization.connectors().count());
            findings
                .good("organization file", format!("{}: {servers} servers, {connectors} connectors", path.display()));
        }
        Err(error) => findings.wrong("organization file", format!("{error:#}"), "its errors are told above"),
    }
}
