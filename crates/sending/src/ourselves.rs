//! Under which names and addresses this organization takes mail: whom mail for others must not be handed to by DNS, or it
//! would come back (RFC 5321 §5.1, ER-10).
//!
//! Known are the names of all servers, the names that their connectors give (`Fqdn`), and the addresses to which Receive
//! connectors are bound. An address that only a router outside knows is not among them: the name in the MX record is.

use std::sync::Arc;

use envelope::Revision;
use parking_lot::Mutex;
use routing::RoutingTables;
use smtp::Ourselves;
use topology::Organization;

/// Names and addresses, found once per configuration.
#[derive(Default)]
pub(crate) struct OwnNames(Mutex<Option<(Revision, Arc<Ourselves>)>>);

impl OwnNames {
    pub(crate) fn of(&self, tables: &RoutingTables) -> Arc<Ourselves> {
        let mut known = self.0.lock();
        match &*known {
            Some((revision, ourselves)) if *revision == tables.revision() => Arc::clone(ourselves),
            _ => {
                let ourselves = Arc::new(of(tables.organization()));
                *known = Some((tables.revision(), Arc::clone(&ourselves)));
                ourselves
            }
        }
    }
}

fn of(organization: &Organization) -> Ourselves {
    let servers = organization.servers();
    let receiving = || servers.iter().flat_map(|server| organization.receive_connectors_of(&server.name));
    let names = servers.iter().map(|server| &server.fqdn);
    let names = names.chain(receiving().filter_map(|connector| connector.fqdn.as_ref()));
    let names = names.chain(organization.send_connectors().iter().filter_map(|connector| connector.fqdn.as_ref()));
    let bindings = receiving().flat_map(|connector| &connector.bindings).copied();
    Ourselves {
        names: names.cloned().collect(),
        entrances: bindings.filter(|binding| !binding.ip().is_unspecified() && binding.port() != 0).collect(),
    }
}
