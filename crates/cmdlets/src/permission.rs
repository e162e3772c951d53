//! `Get-`, `Add-`, `Remove-ADPermission` for connectors (docs/rules.md, Permissions: PF-60…PF-69): what the tables and groups give is
//! shown with what an administrator gave and denied; he changes only his own part of it.

pub(crate) mod signatures;

use std::sync::Arc;

use organization::{Kind, Object};
use shell::{Call, Failure, Objects, Session, Value};
use topology::permission::send_default;
use topology::receive_connector::rights::group_default;
use topology::{ConnectorRight, Grantee, OrganizationDraft, Permission, PermissionKind};

use crate::change::{away, check, commit, existing, warn};
use crate::elsewhere;
use crate::find;
use crate::noun::NOUNS;
use crate::on_edge;
use crate::permission::signatures::ENTRY;
use crate::premises::Premises;

/// Rights of recipients, which occur on the same pages.
const OF_RECIPIENTS: [&str; 3] = ["Send As", "Send-As", "Receive-As"];

/// The columns of their table (CM-75).
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let columns = ["Identity", "User", "Deny", "Inherited"];
    (of == ENTRY).then(|| columns.map(|name| (name, name)).into())
}

/// One of a connector's entries: whether it is denied, a right, for whom.
type Entry = (bool, ConnectorRight, Grantee);

/// Everything that holds on a connector, in the order of the tables, the administrator's own at the end.
fn entries(object: &Object) -> Vec<Entry> {
    let each = || {
        let pairs = |grantee: Grantee| ConnectorRight::ALL.iter().map(move |right| (grantee.clone(), *right));
        Grantee::KNOWN.into_iter().flat_map(move |(grantee, _)| pairs(grantee))
    };
    let mut all: Vec<Entry> = Vec::new();
    match object {
        Object::SendConnector(connector) => {
            let is_taken = |grantee: &Grantee, right| {
                let without = Permission { kind: PermissionKind::Without, right, grantee: grantee.clone() };
                connector.permissions.contains(&without)
            };
            let given = each().filter(|(grantee, right)| send_default(grantee, *right) && !is_taken(grantee, *right));
            all.extend(given.map(|(grantee, right)| (false, right, grantee)));
        }
        Object::ReceiveConnector(connector) => {
            let groups = &connector.permission_groups;
            let given =
                each().filter(|(grantee, right)| groups.iter().any(|group| group_default(*group, grantee, *right)));
            all.extend(given.map(|(grantee, right)| (false, right, grantee)));
            for (grantee, _) in Grantee::KNOWN {
                all.extend(connector.denied_to(&grantee).map(|right| (true, right, grantee.clone())));
            }
        }
        _ => {}
    }
    let own = permissions(object).iter().filter(|one| one.kind != PermissionKind::Without);
    all.extend(own.map(|one| (one.kind == PermissionKind::Deny, one.right, one.grantee.clone())));
    all
}

fn permissions(object: &Object) -> &[Permission] {
    match object {
        Object::SendConnector(connector) => &connector.permissions,
        Object::ReceiveConnector(connector) => &connector.permissions,
        _ => &[],
    }
}

fn permissions_mut(object: &mut Object) -> Option<&mut Vec<Permission>> {
    match object {
        Object::SendConnector(connector) => Some(&mut connector.permissions),
        Object::ReceiveConnector(connector) => {
            // What is denied to all by the organization file becomes an entry for each, so that one can be taken away.
            for grantee in topology::ReceiveConnector::DENIED_ALIKE {
                let denied: Vec<ConnectorRight> = connector.denied_to(&grantee).collect();
                let entry = |right| Permission { kind: PermissionKind::Deny, right, grantee: grantee.clone() };
                connector.permissions.extend(denied.into_iter().map(entry));
            }
            connector.denied_rights.clear();
            Some(&mut connector.permissions)
        }
        _ => None,
    }
}

/// Whom an entry is for, as it is printed: with the domain of the organization where there is one (docs/rules.md, Permissions).
fn printed(draft: &OrganizationDraft, grantee: &Grantee) -> String {
    let domain = draft.accepted_domains.iter().find(|domain| domain.is_default).map(|domain| domain.domain.to_string());
    let domain = domain.and_then(|domain| Some(domain.trim_start_matches("*.").split('.').next()?.to_uppercase()));
    match (grantee.to_string(), domain) {
        (name, Some(domain)) if !name.contains('\\') => format!("{domain}\\{name}"),
        (name, _) => name,
    }
}

fn shown(draft: &OrganizationDraft, object: &Object, (deny, right, grantee): &Entry) -> Value {
    let identity = object.name();
    let word = |of: &str, word: &str| Value::Word(of.into(), word.into());
    let properties = vec![
        ("Identity".into(), Value::of(&*identity)),
        ("User".into(), Value::of(printed(draft, grantee))),
        ("Deny".into(), Value::Bool(*deny)),
        ("Inherited".into(), Value::Bool(false)),
        ("IsInherited".into(), Value::Bool(false)),
        ("AccessRights".into(), Value::list(vec![word("ActiveDirectoryRights", "ExtendedRight")])),
        ("ExtendedRights".into(), Value::list(vec![Value::of(right.as_str())])),
        ("InheritanceType".into(), word("ActiveDirectorySecurityInheritance", "All")),
        ("Properties".into(), Value::Null),
        ("ChildObjectTypes".into(), Value::Null),
        ("InheritedObjectType".into(), Value::Null),
        ("IsValid".into(), Value::Bool(true)),
    ];
    Value::Object(shell::Object::new(ENTRY, Some(&identity), properties))
}

/// Runs one of the commands.
pub(crate) fn run(
    premises: &mut dyn Premises,
    verb: &str,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let draft = premises.configuration().map_err(away)?;
    let instance = match call.bound.get("Instance") {
        Some(Value::Object(object)) => Some(object.clone()),
        _ => None,
    };
    let said = |name: &str| match &instance {
        Some(object) => object.get(name).map(|value| value.text()),
        None => call.bound.text(name),
    };
    let object = connector(premises, &draft, &said("Identity").unwrap_or_default())?;
    if let Some(noun) = NOUNS.iter().find(|noun| noun.kind == object.kind()) {
        elsewhere::may_touch(&draft, noun, &call.signature.name, &object)?;
    }
    if verb == "Get" {
        return get(premises, &draft, &object, call);
    }
    on_edge::may(premises, call, object.kind())?;
    let rights = match &instance {
        Some(entry) => entry.get("ExtendedRights").unwrap_or_default().each(),
        None => call.bound.get("ExtendedRights").map(Value::each).unwrap_or_default(),
    };
    let rights: Vec<String> = rights.iter().map(Value::text).collect();
    let rights = rights.iter().map(|right| right_of(&object, right)).collect::<Result<Vec<_>, _>>()?;
    if rights.is_empty() {
        let message = "No right is named: give -ExtendedRights.";
        return Err(Failure::new("InvalidArgument", "NoRights", message).by("PF-62"));
    }
    let grantee = grantee(premises, &draft, &said("User").unwrap_or_default())?;
    let deny = match &instance {
        Some(entry) => entry.get("Deny").is_some_and(|deny| deny.truth()),
        None => call.bound.is_on("Deny"),
    };
    let change = Change { verb, deny, grantee, rights };
    change.make(premises, &draft, &object, call, session)
}

fn get(
    premises: &mut dyn Premises,
    draft: &Arc<OrganizationDraft>,
    object: &Object,
    call: &Call<'_>,
) -> Result<Objects, Failure> {
    if call.bound.is_on("Owner") {
        let properties =
            vec![("Identity".into(), Value::of(object.name())), ("Owner".into(), Value::of("Organization Management"))];
        return Ok(Box::new(std::iter::once(Value::Object(shell::Object::new(
            "OwnerPresentationObject",
            None,
            properties,
        )))));
    }
    let only = call.bound.text("User").map(|user| grantee(premises, draft, &user)).transpose()?;
    let found = entries(object).into_iter().filter(|(_, _, grantee)| only.as_ref().is_none_or(|only| only == grantee));
    let shown: Vec<Value> = found.map(|entry| shown(draft, object, &entry)).collect();
    Ok(Box::new(shown.into_iter()))
}

/// The connector that is meant: both kinds have one space of names (PF-60).
fn connector(premises: &mut dyn Premises, draft: &OrganizationDraft, identity: &str) -> Result<Object, Failure> {
    let objects: Vec<Object> = organization::objects(draft, &[])
        .into_iter()
        .filter(|object| matches!(object.kind(), Kind::SendConnector | Kind::ReceiveConnector))
        .collect();
    let local = premises.local_server();
    let failure = match find::one(&NOUNS[0], &objects, identity, local.as_ref()) {
        Ok(object) => return Ok(object),
        Err(failure) => failure.advise("Get-SendConnector and Get-ReceiveConnector list what there is"),
    };
    // Rights of recipients occur on the same pages.
    let recipients = existing(premises, Kind::Recipient, draft)?;
    if find::one(&NOUNS[0], &recipients, identity, local.as_ref()).is_ok() {
        return Err(of_recipients());
    }
    Err(failure)
}

fn of_recipients() -> Failure {
    let message = "A right of a recipient is not available yet: rights are those of connectors.";
    Failure::new("NotImplemented", "NotAvailableYet", message).by("PF-71")
}

/// PF-69
fn right_of(object: &Object, text: &str) -> Result<ConnectorRight, Failure> {
    if OF_RECIPIENTS.iter().any(|right| right.eq_ignore_ascii_case(text)) {
        return Err(of_recipients());
    }
    let is_of_sending = object.kind() == Kind::SendConnector;
    let known = || ConnectorRight::ALL.iter().filter(|right| right.is_of_sending() == is_of_sending);
    let is = |right: &&ConnectorRight| {
        right.as_str().eq_ignore_ascii_case(text) || right.display_name().eq_ignore_ascii_case(text)
    };
    known().find(is).copied().ok_or_else(|| {
        let kind = if is_of_sending { "Send" } else { "Receive" };
        let names: Vec<&str> = known().map(|right| right.as_str()).collect();
        let message = format!("'{text}' is no right of {kind} connectors; those are {}.", names.join(", "));
        Failure::new("InvalidArgument", "UnknownRight", message).by("PF-69").about(text)
    })
}

/// Whom a name means: one of the documented, or a mailbox.
fn grantee(premises: &mut dyn Premises, draft: &OrganizationDraft, text: &str) -> Result<Grantee, Failure> {
    let wrong = |message: String| Failure::new("InvalidArgument", "UnknownPrincipal", message).by("PF-68").about(text);
    let found: Grantee = text.parse().map_err(wrong)?;
    let Grantee::User(name) = &found else { return Ok(found) };
    let recipients = existing(premises, Kind::Recipient, draft)?;
    let wanted = if text.contains('@') { text } else { name.as_str() };
    match find::one(&NOUNS[0], &recipients, wanted, None) {
        Ok(Object::Recipient(recipient)) => Ok(Grantee::User(recipient.name)),
        _ => {
            let known: Vec<&str> = Grantee::KNOWN.iter().map(|(_, name)| *name).collect();
            Err(wrong(format!("'{text}' is neither a mailbox nor one of {}.", known.join(", "))))
        }
    }
}

/// What is wanted of whom.
struct Change<'a> {
    verb: &'a str,
    deny: bool,
    grantee: Grantee,
    rights: Vec<ConnectorRight>,
}

impl Change<'_> {
    fn make(
        self,
        premises: &mut dyn Premises,
        draft: &Arc<OrganizationDraft>,
        object: &Object,
        call: &Call<'_>,
        session: &mut Session<'_>,
    ) -> Result<Objects, Failure> {
        let mut changed = object.clone();
        let mut made: Vec<Entry> = Vec::new();
        for right in &self.rights {
            let entry = (self.deny, *right, self.grantee.clone());
            let there = entries(&changed).contains(&entry);
            let Some(permissions) = permissions_mut(&mut changed) else { continue };
            match (self.verb, there) {
                ("Add", true) => session.warn(&format!(
                    "The appropriate access control entry is already present on the object \"{}\" for account \"{}\": {right}.",
                    object.name(),
                    printed(draft, &self.grantee)
                )),
                ("Add", false) => {
                    self.add(permissions, *right);
                    made.push(entry);
                }
                (_, true) => self.remove(object, permissions, *right, draft, session),
                (_, false) => session.warn(&format!(
                    "There is no such entry on the object \"{}\" for account \"{}\": {right}. Nothing was removed.",
                    object.name(),
                    printed(draft, &self.grantee)
                )),
            }
        }
        let names: Vec<&str> = self.rights.iter().map(|right| right.as_str()).collect();
        let doing = if self.verb == "Add" { "Adding" } else { "Removing" };
        let way = if self.verb == "Add" { "on" } else { "from" };
        let kind = if self.deny { "denial" } else { "permission" };
        let description = format!(
            "{doing} the {kind} of {} for \"{}\" {way} \"{}\".",
            names.join(", "),
            printed(draft, &self.grantee),
            object.name()
        );
        let nothing: Objects = Box::new(std::iter::empty());
        warn(&check(draft, &changed, None)?, session);
        if !session.should(&description)? || changed == *object {
            return Ok(nothing);
        }
        let shown: Vec<Value> = made.iter().map(|entry| shown(draft, &changed, entry)).collect();
        commit(premises, vec![changed], Vec::new(), &call.signature.name)?;
        Ok(Box::new(shown.into_iter()))
    }

    fn entry(&self, kind: PermissionKind, right: ConnectorRight) -> Permission {
        Permission { kind, right, grantee: self.grantee.clone() }
    }

    fn kind(&self) -> PermissionKind {
        if self.deny { PermissionKind::Deny } else { PermissionKind::Allow }
    }

    /// What was taken from the table is given back by forgetting that.
    fn add(&self, permissions: &mut Vec<Permission>, right: ConnectorRight) {
        let without = self.entry(PermissionKind::Without, right);
        if !self.deny && permissions.contains(&without) {
            permissions.retain(|one| *one != without);
        } else {
            permissions.push(self.entry(self.kind(), right));
        }
    }

    fn remove(
        &self,
        object: &Object,
        permissions: &mut Vec<Permission>,
        right: ConnectorRight,
        draft: &OrganizationDraft,
        session: &mut Session<'_>,
    ) {
        let own = self.entry(self.kind(), right);
        permissions.retain(|one| *one != own);
        if self.deny {
            return;
        }
        match object {
            Object::SendConnector(_) if send_default(&self.grantee, right) => {
                permissions.push(self.entry(PermissionKind::Without, right));
            }
            Object::ReceiveConnector(connector) => {
                let group =
                    connector.permission_groups.iter().find(|group| group_default(**group, &self.grantee, right));
                if let Some(group) = group {
                    // PF-33b
                    session.warn(&format!(
                        "{right} of \"{}\" comes from the permission group {group} and stays: change -PermissionGroups, or deny it \
                         with Add-ADPermission -Deny.",
                        printed(draft, &self.grantee)
                    ));
                }
            }
            _ => {}
        }
    }
}
