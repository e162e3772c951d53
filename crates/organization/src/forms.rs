//! The tables of properties: one module per kind of object.
//!
//! Where the written form has the shape of the noun, the table works on the noun of `topology` itself; a database and a
//! recipient are written flat and have a form of their own.

mod back_pressure;
pub(crate) mod gateway_connector;
pub(crate) mod receive_connector;
pub(crate) mod recipient;
pub(crate) mod send_connector;
pub(crate) mod server;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod site;

use envelope::{Domain, ObjectName, ServerName, SiteName};

/// `name`, which gives an object its identity until `guid` says otherwise.
macro_rules! name_property {
    ($kind:ident) => {
        $crate::property::Property::<Self>::new(
            "name",
            |form| $crate::literal::Literal::write(&form.name),
            |form, node, _| {
                form.name = $crate::literal::Literal::read(node)?;
                form.guid = $crate::kind::Kind::$kind.derived_guid(form.name.as_str());
                Ok(())
            },
        )
        .takes(|form| $crate::literal::kind_of(&form.name))
        .is("Unique among objects of its kind, without regard to case.", "V-26")
        .required()
    };
}
pub(crate) use name_property;

/// A name that stands in a blank object until the required one is read.
fn no_name() -> ObjectName {
    ObjectName::parse("-").expect("one character is a name")
}

/// As [`no_name`], for servers.
fn no_server() -> ServerName {
    ServerName::parse("-").expect("one character is a name")
}

/// As [`no_name`], for sites.
fn no_site() -> SiteName {
    SiteName::parse("-").expect("one character is a name")
}

/// As [`no_name`], for domains.
fn no_domain() -> Domain {
    Domain::parse("invalid").expect("a label is a domain")
}
