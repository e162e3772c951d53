//! The schema: everything that may be said about every kind of object, made from the tables by which objects are read and
//! written. What is not here cannot be configured; what is here and has no effect says so.
//!
//! [`properties`] is for whoever makes parameters, columns, form fields or documents of them; [`without_effect`] finds what
//! somebody said and nothing follows. The page `docs/properties.md` is [`page::properties`], that of the organization file
//! [`page::organization_file`].

pub mod page;
mod row;
mod shape;

use topology::{
    AcceptedDomain, Dag, DeliveryAgentConnector, ForeignConnector, OrganizationDraft, Problem, ReceiveConnector,
    SendConnector, Server, Site, SiteLink, TransportConfig, Weight, X400AuthoritativeDomain,
};

use crate::forms::recipient::RecipientForm;
use crate::forms::server::DatabaseForm;
use crate::kind::Kind;
use crate::object::{self, Object};
use crate::property::{Form, rows};
pub use row::{Effect, Row};
pub use shape::Shape;

/// The properties of `kind`, in the order in which they are applied.
#[must_use]
pub fn properties(kind: Kind) -> Vec<Row> {
    match kind {
        Kind::TransportConfig => rows::<TransportConfig>(),
        Kind::Site => rows::<Site>(),
        Kind::SiteLink => rows::<SiteLink>(),
        Kind::Dag => rows::<Dag>(),
        Kind::Server => rows::<Server>(),
        Kind::Database => rows::<DatabaseForm>(),
        Kind::AcceptedDomain => rows::<AcceptedDomain>(),
        Kind::X400AuthoritativeDomain => rows::<X400AuthoritativeDomain>(),
        Kind::SendConnector => rows::<SendConnector>(),
        Kind::DeliveryAgentConnector => rows::<DeliveryAgentConnector>(),
        Kind::ForeignConnector => rows::<ForeignConnector>(),
        Kind::ReceiveConnector => rows::<ReceiveConnector>(),
        Kind::Recipient => rows::<RecipientForm>(),
    }
}

/// Properties that there were, each with what is done today instead.
#[must_use]
pub fn retired(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::SendConnector => SendConnector::RETIRED,
        _ => &[],
    }
}

/// Whether `name` is a property of `kind` whose value is shown to nobody.
pub(crate) fn is_secret(kind: Kind, name: &str) -> bool {
    properties(kind).iter().any(|row| row.secret && row.name == name)
}

/// A warning for everything that the configuration says and nothing follows.
#[must_use]
pub fn without_effect(draft: &OrganizationDraft) -> Vec<Problem> {
    object::objects(draft, &[]).iter().filter(|object| !object.is_untouched_default()).flat_map(of_object).collect()
}

fn of_object(object: &Object) -> Vec<Problem> {
    let warning = |place, text| Problem { weight: Weight::Warning, place, text };
    let place = object.place();
    object.idle().into_iter().map(|(property, text)| warning(format!("{place}.{property}"), text)).collect()
}
