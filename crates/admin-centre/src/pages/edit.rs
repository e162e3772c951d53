//! Editing: what was typed becomes an object, the object a plan. Nothing is changed here.

use std::sync::Arc;

use authority::Act;
use envelope::Revision;
use organization::{Change, Kind, Object, Properties, Written, Wrong, properties_of};
use topology::{AcceptedDomainType, Organization, Problem, Weight, receive_connector};

use super::{Answered, Area, Outcome, Trouble, missing, place_of};
use crate::centre::Visit;
use crate::form::{self, Filling};
use crate::plans::{self, PlanEntry};
use crate::request::Pairs;
use crate::view::{Block, Button, Form, Sheet};

/// The act of changing objects of a kind that are there.
pub(crate) const fn changing(kind: Kind) -> Act {
    Act::Change(kind.feature(false))
}

/// Objects of a kind, in the order of the configuration.
pub(crate) fn objects_of(organization: &Organization, kind: Kind) -> Vec<Object> {
    organization::objects(organization.draft(), &[]).into_iter().filter(|object| object.kind() == kind).collect()
}

/// The object of a name, or of a GUID.
pub(crate) fn named(organization: &Organization, kind: Kind, name: &str) -> Option<Object> {
    let all = objects_of(organization, kind);
    let by_name = all.iter().find(|object| object.name().eq_ignore_ascii_case(name) || kind == Kind::TransportConfig);
    by_name.or_else(|| all.iter().find(|object| object.guid().to_string().eq_ignore_ascii_case(name))).cloned()
}

/// Properties that are given once.
pub(crate) const fn fixed(kind: Kind, is_new: bool) -> &'static [&'static str] {
    match (kind, is_new) {
        (Kind::SendConnector, false) => &["usage"],
        (Kind::ReceiveConnector, false) => &["server"],
        // AC-46: another domain is another accepted domain.
        (Kind::AcceptedDomain, false) => &["domainName"],
        _ => &[],
    }
}

/// The form of an object, new or not.
pub(crate) fn sheet(
    visit: &Visit<'_>,
    area: &Area,
    current: &Properties,
    name: Option<&str>,
    typed: Option<&Pairs>,
    wrong: &[Wrong],
) -> Sheet {
    let title = match name {
        Some(_) if area.kind == Kind::TransportConfig => format!("Edit {}", area.title.to_lowercase()),
        Some(name) => format!("Edit {name}"),
        None => format!("New {}", area.one),
    };
    let filling = Filling { kind: area.kind, current, typed, wrong, fixed: fixed(area.kind, name.is_none()) };
    let mut groups = filling.groups();
    // What is wrong with no field of the form is told with the first.
    let told: Vec<&str> = groups.iter().flat_map(|group| &group.fields).map(|field| field.error.as_str()).collect();
    let untold: Vec<String> =
        wrong
            .iter()
            .filter(|wrong| !told.iter().any(|text| text.contains(wrong.text.as_str())))
            .map(|wrong| {
                if wrong.property.is_empty() {
                    wrong.text.clone()
                } else {
                    format!("{}: {}", wrong.property, wrong.text)
                }
            })
            .collect();
    if let Some(field) = groups.first_mut().and_then(|group| group.fields.first_mut())
        && !untold.is_empty()
    {
        field.error = [field.error.clone(), untold.join(" ")].join(" ").trim().to_owned();
    }
    for group in groups.iter_mut().filter(|group| group.fields.iter().any(|field| !field.error.is_empty())) {
        group.folded = false;
    }
    let action = visit.ask.path.clone();
    let mut sheet = Sheet::new(title).under(&format!("/{}", area.path), area.title).says(
        "Nothing is changed by this form: it leads to a plan, which shows what the change does to mail before it is made.",
    );
    if let Some(name) = name.filter(|_| area.kind != Kind::TransportConfig) {
        sheet = sheet.under(&place_of(area.kind, name), name);
    }
    if !wrong.is_empty() {
        sheet.status = 422;
    }
    let refused = visit.ruled.why_not(changing(area.kind));
    sheet.form(Form {
        action,
        groups,
        buttons: vec![Button::primary("Look at the plan").unless(refused)],
        ..Form::default()
    });
    sheet
}

/// The form says of which revision it was drawn: what somebody else changed meanwhile stays (WA-43).
pub(crate) fn based(mut sheet: Sheet, revision: &str) -> Sheet {
    for block in &mut sheet.blocks {
        if let Block::Form(form) = block {
            form.hidden.push(("base".to_owned(), revision.to_string()));
        }
    }
    sheet
}

/// What was typed, put onto what is there: of a form that was drawn before the last change, only what was changed in it.
async fn overlaid(visit: &Visit<'_>, kind: Kind, object: &Object, now: &Organization) -> Result<Properties, Trouble> {
    let current = properties_of(object);
    let base = match visit.ask.field("base") {
        // No page of ours: whoever sends one without means what is there.
        "" => now.revision(),
        told => Revision(told.parse().map_err(|_| {
            let why = "The form does not say of which revision it was drawn: open it again. Nothing was changed.";
            Trouble::Wrong(why.to_owned())
        })?),
    };
    if base == now.revision() {
        return Ok(form::read(kind, &current, visit.ask));
    }
    let then = visit.ruled.at(base).await?;
    let before = objects_of(&then, kind).into_iter().find(|known| known.guid() == object.guid());
    let before =
        properties_of(&before.ok_or_else(|| missing("such object at the revision of the form:", &object.name()))?);
    let typed = form::read(kind, &before, visit.ask);
    Ok(form::overlay(current, &before, &typed))
}

/// What was typed for an object that is there.
pub(crate) async fn edited(visit: &Visit<'_>, area: &Area, object: Object) -> Answered {
    let organization = visit.ruled.organization().await?;
    let current = properties_of(&object);
    let properties = overlaid(visit, area.kind, &object, &organization).await?;
    let name = object.name();
    match build(visit, area.kind, properties, &organization, Some(&object)).await? {
        Ok(changed) => {
            let changed = changed.with_guid(object.guid());
            let mut changes =
                if changed == object { Vec::new() } else { vec![Change::Update { from: object, to: changed.clone() }] };
            changes.extend(no_more_default(&organization, &changed));
            let back = visit.ask.path.clone();
            let title = format!("Change {} {name}", area.one);
            planned(visit, &organization, changes, title.trim_end(), &back)
        }
        Err(wrong) => {
            let again = sheet(visit, area, &current, Some(&name), Some(&visit.ask.form), &wrong);
            Ok(Outcome::Sheet(based(again, visit.ask.field("base"))))
        }
    }
}

/// What was typed for a new object.
pub(crate) async fn made(visit: &Visit<'_>, area: &Area, base: &Properties) -> Answered {
    let organization = visit.ruled.organization().await?;
    let properties = form::read(area.kind, base, visit.ask);
    match build(visit, area.kind, properties, &organization, None).await? {
        Ok(object) => {
            let title = format!("New {} {}", area.one, object.name());
            let mut changes = vec![Change::Create(object.clone())];
            changes.extend(no_more_default(&organization, &object));
            planned(visit, &organization, changes, &title, &visit.ask.path)
        }
        Err(wrong) => Ok(Outcome::Sheet(sheet(visit, area, base, None, Some(&visit.ask.form), &wrong))),
    }
}

/// One accepted domain is the default: that which was is no more (AC-46).
fn no_more_default(organization: &Organization, object: &Object) -> Vec<Change> {
    let Object::AcceptedDomain(domain) = object else { return Vec::new() };
    if !domain.is_default {
        return Vec::new();
    }
    let others = organization.accepted_domains().iter().filter(|known| known.is_default && known.guid != domain.guid);
    others
        .map(|known| {
            let from = Box::new(known.clone());
            let mut to = from.clone();
            to.is_default = false;
            Change::Update { from: Object::AcceptedDomain(from), to: Object::AcceptedDomain(to) }
        })
        .collect()
}

/// The object that properties make, checked within the organization that would be; or everything that is wrong.
pub(crate) async fn build(
    visit: &Visit<'_>,
    kind: Kind,
    mut properties: Properties,
    organization: &Arc<Organization>,
    old: Option<&Object>,
) -> Result<Result<Object, Vec<Wrong>>, Trouble> {
    if old.is_none() && !properties.iter().any(|(name, value)| name == "guid" && !matches!(value, Written::Nothing)) {
        // As the shell does it: an object that is made again under a name is another one.
        form::set(&mut properties, "guid", Written::Text(uuid::Uuid::new_v4().to_string()));
        if kind == Kind::TransportConfig {
            properties.retain(|(name, _)| name != "guid");
        }
    }
    if kind == Kind::AcceptedDomain {
        looked_up_by_type(&mut properties, old);
    }
    let object = match visit.ruled.object(kind, properties, Arc::clone(organization)).await? {
        Ok(object) => object,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let taken = objects_of(organization, kind).iter().any(|known| {
        known.name().eq_ignore_ascii_case(&object.name()) && old.is_none_or(|old| old.guid() != known.guid())
    });
    if taken && kind != Kind::TransportConfig {
        let text = format!("another one is called {} already (V-26)", object.name());
        return Ok(Err(vec![Wrong { property: "name".to_owned(), text }]));
    }
    let change = match old {
        Some(old) => Change::Update { from: old.clone(), to: object.clone().with_guid(old.guid()) },
        None => Change::Create(object.clone()),
    };
    let mut changes = vec![change];
    changes.extend(no_more_default(organization, &object));
    let errors: Vec<Wrong> = found(organization, &changes)
        .into_iter()
        .filter(|problem| problem.weight == Weight::Error)
        .map(|problem| wrong(&object, problem))
        .collect();
    Ok(if errors.is_empty() { Ok(object) } else { Err(errors) })
}

/// EN-82: where Recipient Lookup is as it was by default, in the form of a new domain that of an authoritative one, it goes with the
/// type. As the shell does it.
fn looked_up_by_type(properties: &mut Properties, old: Option<&Object>) {
    let (was, looked_up) = match old {
        Some(Object::AcceptedDomain(old)) => (old.domain_type, old.address_book_enabled),
        _ => (AcceptedDomainType::Authoritative, true),
    };
    let untouched = |(name, value): &(String, Written)| {
        name == "addressBookEnabled" && *value == Written::Truth(looked_up) && looked_up == was.looks_recipients_up()
    };
    properties.retain(|property| !untouched(property));
}

/// What the linter says of the organization that would be, and does not say of that which is.
pub(crate) fn found(organization: &Organization, changes: &[Change]) -> Vec<Problem> {
    let said = |draft| {
        let mut all = topology::validation::lint(draft).0;
        all.extend(topology::validation::written(draft).0);
        all.extend(organization::schema::without_effect(draft));
        all
    };
    let (before, after) = (said(organization.draft()), said(&plans::with(organization, changes)));
    after.into_iter().filter(|problem| problem.weight == Weight::Error || !before.contains(problem)).collect()
}

/// The property that a problem is of.
fn wrong(object: &Object, problem: Problem) -> Wrong {
    let place = object.place();
    let property = problem.place.strip_prefix(&place).map(|rest| rest.trim_start_matches('.').to_owned());
    match property {
        Some(property) => Wrong { property, text: problem.text },
        None => Wrong { property: String::new(), text: format!("{}: {}", problem.place, problem.text) },
    }
}

/// Leads to the plan of changes.
pub(crate) fn planned(
    visit: &Visit<'_>,
    organization: &Organization,
    changes: Vec<Change>,
    title: &str,
    back: &str,
) -> Answered {
    let entry = PlanEntry {
        owner: visit.person.name().to_owned(),
        title: title.to_owned(),
        at: visit.now,
        base: organization.revision(),
        changes,
        back: back.to_owned(),
        report: None,
        typed: None,
        made: None,
    };
    let id = visit.centre.plans.add(entry);
    Ok(Outcome::See(format!("/plans/{id}")))
}

/// Removing an object, as a plan.
pub(crate) fn removed(organization: &Organization, object: &Object) -> Vec<Change> {
    let mut changes = vec![Change::Delete(object.clone())];
    if let Object::ReceiveConnector(connector) = object
        && let Some(server) = organization.server(&connector.server)
        && receive_connector::defaults::named(&connector.server, &connector.name).is_some()
    {
        // A default connector is there without being stored: that it is not is said by its server.
        let mut without = server.clone();
        without.removed_receive_connectors.push(connector.name.clone());
        changes.push(Change::Update {
            from: Object::Server(Box::new(server.clone())),
            to: Object::Server(Box::new(without)),
        });
    }
    changes
}

/// What a name leads to that is nobody's: those that are near it.
pub(crate) fn nobody(organization: &Organization, area: &Area, name: &str) -> Trouble {
    let folded = name.to_lowercase();
    let start: String = folded.chars().take(3).collect();
    let near = objects_of(organization, area.kind)
        .iter()
        .map(Object::name)
        .filter(|known| known.to_lowercase().contains(&folded) || known.to_lowercase().starts_with(&start))
        .take(10)
        .map(|known| crate::view::Bit::link(place_of(area.kind, &known), known).into())
        .collect();
    match missing(area.one, name) {
        Trouble::Missing { what, .. } => Trouble::Missing { what, near },
        other => other,
    }
}
