//! What a resource is told: its conditions, the revision that has it, and which servers work by that.

use std::collections::BTreeMap;

use directory::Presence;
use envelope::{Revision, ServerName};
use serde_json::{Value, json};
use topology::Organization;

use crate::definitions::SERVERS_TOLD_MAX;
use crate::resource::Resource;
use crate::round::Verdict;

/// Octets of a message; what is longer is cut.
const MESSAGE_MAX: usize = 16 * 1024;

/// Which revision each server of the organization works by: that of its service which is furthest behind. A server of which no service is
/// there works by none.
pub(crate) fn servers(organization: &Organization, presences: &[Presence]) -> BTreeMap<ServerName, Revision> {
    let of = |name: &ServerName| {
        let own = presences.iter().filter(|presence| presence.server == *name);
        own.map(|presence| presence.applied_revision).min().unwrap_or(Revision(0))
    };
    organization.draft().servers.iter().map(|server| (server.name.clone(), of(&server.name))).collect()
}

/// The status that follows. `revision` is that of the configuration after the round; nothing for a resource that goes.
pub(crate) fn next(
    resource: &Resource,
    verdict: &Verdict,
    revision: Revision,
    servers: &BTreeMap<ServerName, Revision>,
    now: &str,
) -> Option<Value> {
    let kept = resource.status["revision"].as_u64().map(Revision);
    let (accepted, has) = match verdict {
        Verdict::Gone => return None,
        Verdict::Accepted { changes: true, .. } => (("True", "Accepted", String::new()), Some(revision)),
        Verdict::Accepted { .. } => (("True", "Accepted", String::new()), Some(kept.unwrap_or(revision))),
        Verdict::Refused { reason, text } => (("False", reason.as_str(), text.clone()), kept),
        Verdict::Stays { text } => (("False", "InUse", text.clone()), kept),
    };
    let behind = |has: Revision| servers.iter().filter(move |(_, applied)| **applied < has);
    let applied = match has {
        None => ("Unknown", "NotAccepted", "the organization has no version of it".to_owned()),
        Some(has) => match behind(has).count() {
            0 => ("True", "Applied", format!("every server works by revision {has}, or by a later one")),
            _ => {
                let names = behind(has).take(SERVERS_TOLD_MAX).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
                ("False", "Waiting", format!("not yet by revision {has}: {}", names.join(", ")))
            }
        },
    };
    let conditions = [("Accepted", accepted), ("Applied", applied)];
    let conditions: Vec<Value> = conditions.map(|(kind, is)| condition_of(resource, kind, is, now)).into();
    let mut status = json!({"observedGeneration": resource.generation, "conditions": conditions});
    if let Some(has) = has {
        status["revision"] = json!(has.0);
        status["appliedBy"] = json!(format!("{}/{}", servers.len() - behind(has).count(), servers.len()));
    }
    let mut told: Vec<(&ServerName, Revision)> = servers.iter().map(|(name, applied)| (name, *applied)).collect();
    told.sort_by_key(|(name, applied)| (*applied, (*name).clone()));
    told.truncate(SERVERS_TOLD_MAX);
    status["servers"] =
        told.iter().map(|(name, applied)| json!({"name": name.as_str(), "revision": applied.0})).collect();
    Some(status)
}

fn condition_of(resource: &Resource, kind: &str, (is, reason, text): (&str, &str, String), now: &str) -> Value {
    let before = resource.condition(kind);
    let since = before.filter(|one| one["status"] == is).and_then(|one| one["lastTransitionTime"].as_str());
    json!({
        "type": kind, "status": is, "reason": reason, "message": cut(text),
        "observedGeneration": resource.generation, "lastTransitionTime": since.unwrap_or(now),
    })
}

fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_MAX {
        let end = (0..=MESSAGE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What is said of it once, when it comes about: the sort (`Normal`, `Warning`), the reason, the text.
pub(crate) fn event(
    resource: &Resource,
    verdict: &Verdict,
    revision: Revision,
) -> Option<(&'static str, &'static str, String)> {
    let said = |reason: &str, text: &str| {
        resource.condition("Accepted").is_some_and(|one| {
            one["reason"] == reason && one["message"] == text && one["observedGeneration"] == resource.generation
        })
    };
    match verdict {
        Verdict::Accepted { drifted: true, .. } => {
            let text = format!(
                "somebody had changed it by another way; revision {revision} says again what this resource says"
            );
            Some(("Warning", "Restored", text))
        }
        Verdict::Accepted { changes: true, .. } => {
            Some(("Normal", "Changed", format!("the organization has it with revision {revision}")))
        }
        Verdict::Accepted { .. } | Verdict::Gone => None,
        Verdict::Refused { reason, text } => {
            (!said(reason.as_str(), text)).then(|| ("Warning", reason.as_str(), text.clone()))
        }
        Verdict::Stays { text } => (!said("InUse", text)).then(|| ("Warning", "InUse", text.clone())),
    }
}
