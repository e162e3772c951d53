//! Recipients looked for, and the members of groups.

pub(crate) mod signatures;

use organization::Object;
use shell::{Call, Failure, Objects, Session, Value};
use topology::RecipientKind;

use crate::change;
use crate::find;
use crate::noun::{NOUNS, Noun, recipient_type};
use crate::premises::Premises;
use crate::queues::filter::{Filter, Properties, Sort};
use crate::show::shown;

/// What `-Filter` compares. Nobody here has the last ones, which a directory of people has: they are empty.
const RECIPIENT: Properties = &[
    ("Name", Sort::Text),
    ("DisplayName", Sort::Text),
    ("Alias", Sort::Text),
    ("PrimarySmtpAddress", Sort::Text),
    ("EmailAddresses", Sort::Text),
    ("ExternalEmailAddress", Sort::Text),
    ("Database", Sort::Text),
    ("RecipientType", Sort::Text),
    ("Guid", Sort::Text),
    ("Department", Sort::Text),
    ("Company", Sort::Text),
    ("Office", Sort::Text),
    ("Title", Sort::Text),
    ("City", Sort::Text),
    ("Manager", Sort::Text),
];

/// Which recipients are looked for, besides by their identity.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    begins: Option<String>,
    filter: Option<Filter>,
    database: Option<String>,
}

impl Wanted {
    /// # Errors
    /// A filter that is none.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Failure> {
        let filter = call.bound.text("Filter").map(|text| Filter::parse(&text, RECIPIENT)).transpose()?;
        let begins = call.bound.text("Anr").map(|text| text.to_lowercase());
        let database = call.bound.text("Database");
        Ok(Self { begins, filter, database })
    }

    /// Whether an object is looked for.
    pub(crate) fn takes(&self, noun: &'static Noun, object: &Object) -> bool {
        let Object::Recipient(recipient) = object else { return true };
        let begins = |wanted: &String| {
            let name = recipient.name.as_str().to_lowercase();
            // ANR: a word of the name, too.
            name.split(' ').any(|word| word.starts_with(&**wanted))
                || name.starts_with(&**wanted)
                || recipient.addresses().any(|address| address.to_string().to_lowercase().starts_with(&**wanted))
        };
        let holds = |filter: &Filter| matches!(shown(noun, object), Value::Object(shown) if filter.holds(&shown));
        let lies = |wanted: &String| {
            matches!(&recipient.kind, RecipientKind::Mailbox { database, .. }
                if database.as_str().eq_ignore_ascii_case(wanted.rsplit('\\').next().unwrap_or(wanted)))
        };
        self.begins.as_ref().is_none_or(begins)
            && self.filter.as_ref().is_none_or(holds)
            && self.database.as_ref().is_none_or(lies)
    }
}

/// `Get-`, `Add-`, `Remove-` and `Update-DistributionGroupMember`.
pub(crate) fn of_group(
    premises: &mut dyn Premises,
    verb: &str,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let Some(noun) = NOUNS.iter().find(|noun| noun.name == "DistributionGroup") else {
        return Err(Failure::new("ObjectNotFound", "NoSuchNoun", "There are no groups."));
    };
    let nothing: Objects = Box::new(std::iter::empty());
    match verb {
        "Get" => {}
        "Update" => return change::members(premises, noun, call, session).map(|()| nothing),
        _ => return change::member(premises, noun, call, session, verb == "Add").map(|()| nothing),
    }
    let draft = premises.configuration().map_err(change::away)?;
    let all = change::existing(premises, noun.kind, &draft)?;
    let groups: Vec<Object> = all.iter().filter(|object| noun.means(object)).cloned().collect();
    let group = find::one(noun, &groups, &call.bound.text("Identity").unwrap_or_default(), None)?;
    let Object::Recipient(recipient) = group else { return Ok(nothing) };
    let RecipientKind::DistributionGroup { members, .. } = &recipient.kind else { return Ok(nothing) };
    let shown = members.iter().map(|address| {
        let known = all.iter().find(|object| object.addresses().any(|own| own == address));
        let name = known.map_or_else(|| address.to_string(), Object::name);
        let of = match known {
            Some(Object::Recipient(recipient)) => recipient_type(recipient),
            _ => "",
        };
        let properties = vec![
            ("Name".into(), Value::of(&*name)),
            ("RecipientType".into(), Value::of(of)),
            ("PrimarySmtpAddress".into(), Value::of(address.to_string())),
        ];
        Value::Object(shell::Object::new("Recipient", Some(&name), properties))
    });
    Ok(Box::new(shown.collect::<Vec<_>>().into_iter()))
}
