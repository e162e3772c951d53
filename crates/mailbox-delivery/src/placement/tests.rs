//! Each way in which a recipient is here, elsewhere or nowhere (PL-13).

use std::path::Path;
use std::sync::Arc;

use envelope::{Revision, ServerName};

use super::*;

const ORGANIZATION: &str = r#"
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.com, site: Berlin, dag: DAG1}
  - {name: BERLIN2, fqdn: berlin2.contoso.com, site: Berlin, dag: DAG1}
dags: [{name: DAG1}]
databases:
  - {name: Mailbox Database 1, dag: DAG1, activeOn: BERLIN1}
  - {name: DB2, dag: DAG1, activeOn: BERLIN2}
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
recipients:
  - {name: Ann, address: ann@contoso.com, database: mailbox database 1}
  - {name: Bob, address: bob@contoso.com, database: DB2}
  - {name: Jane Doe, address: jane@contoso.com, database: Mailbox Database 1}
  - {name: Carl, address: carl@contoso.com, externalAddress: carl@fabrikam.com}
  - {name: All, address: all@contoso.com, members: [ann@contoso.com]}
"#;

fn placed(name: Option<&str>) -> Result<Place, RecipientDelivery> {
    let contents = organization::load(ORGANIZATION, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    let server = ServerName::parse("BERLIN1").unwrap();
    let tables = RoutingTables::build(Arc::new(contents.organization), &server).unwrap();
    let settings = "server = \"berlin1\"\nforest = \"contoso.com\"\nstate = \"/s\"\nmailboxes = \"/m\"\n\
                    [directory]\nkind = \"embedded\"\npath = \"/d\"\n[identity]\npath = \"/i\"\n";
    let settings = Settings::parse(settings, Path::new("server.toml")).unwrap();
    let found = name.map(|name| contents.recipients.iter().find(|known| known.name.as_str() == name).unwrap());
    place(found, &tables, &settings)
}

#[test]
fn a_mailbox_of_a_database_that_is_active_here_has_its_folder() {
    let place = placed(Some("Ann")).unwrap();
    assert_eq!(place.database, Path::new("/m/Mailbox Database 1"), "the name as the organization writes it");
    assert_eq!(place.mailbox.as_str(), "ann");
}

#[test]
fn every_other_recipient_has_its_answer() {
    type Kind = fn(Reply) -> RecipientDelivery;
    for (name, kind, text) in [
        (None, RecipientDelivery::Failed as Kind, "550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found"),
        (
            Some("Bob"),
            RecipientDelivery::Reroute,
            "451 4.3.2 STOREDRV.Deliver; rerouted: the mailbox database is active on another server",
        ),
        (
            Some("Carl"),
            RecipientDelivery::Reroute,
            "451 4.3.2 STOREDRV.Deliver; rerouted: the recipient is no mailbox any more",
        ),
        (
            Some("All"),
            RecipientDelivery::Reroute,
            "451 4.3.2 STOREDRV.Deliver; rerouted: the recipient is no mailbox any more",
        ),
        (Some("Jane Doe"), RecipientDelivery::Retry, "451 4.2.0 STOREDRV.Deliver; the mailbox cannot be opened"),
    ] {
        let outcome = placed(name).unwrap_err();
        let reply = match &outcome {
            RecipientDelivery::Failed(reply) | RecipientDelivery::Reroute(reply) | RecipientDelivery::Retry(reply) => {
                reply.clone()
            }
            RecipientDelivery::Delivered => panic!("{name:?}"),
        };
        assert_eq!(reply.to_string(), text);
        assert_eq!(outcome, kind(reply), "{name:?}");
    }
}
