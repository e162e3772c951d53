//! The routing tables of one server for one configuration snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{ByteSize, ObjectName, Revision, ServerName, SiteName};
use topology::{Connector, Database, DatabaseHome, Organization, Server, ServerRole};

use crate::connector::{self, FullRecord, Index, Local, NoRecord, Recorder, Row, Selection, Via};
use crate::decision::{Decision, Destination, NdrReason, Outcome, Route, UnreachableReason};
use crate::explanation::Explanation;
use crate::group::{Group, GroupKind, Roster};
use crate::key::{DeliveryType, NextHopSolutionKey};
use crate::path::{Path, PathTree};
use crate::planning::{Planned, Planner};
use crate::rule::RuleId;
use crate::way::{Attempt, Way};

/// RT-16: the server with the active copy of the database.
const DATABASE: RuleId = RuleId("RT-16");

/// PL-27: a front end of the local site, through which mail leaves by a connector with `FrontendProxyEnabled`.
const FRONT_END: RuleId = RuleId("PL-27");

/// Why tables cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The local server is not (or no longer) in the configuration.
    #[error("there is no server {0} in the configuration")]
    UnknownServer(ServerName),
    /// The snapshot was not validated.
    #[error("there is no site {0} in the configuration")]
    UnknownSite(SiteName),
}

/// Where mail for a database goes.
#[derive(Debug)]
struct DatabaseRoute {
    group: GroupIndex,
    /// Key and way of delivery, when this server is in the group (RT-16).
    here: Option<(Arc<NextHopSolutionKey>, Arc<Way>)>,
}

/// Position of a delivery group in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GroupIndex(usize);

/// The routing tables of one server for one snapshot. Immutable; share them by `Arc`.
#[derive(Debug)]
pub struct RoutingTables {
    organization: Arc<Organization>,
    local: Server,
    tree: PathTree,
    roster: Roster,
    groups: Vec<Planner>,
    databases: HashMap<ObjectName, DatabaseRoute>,
    expansion: HashMap<ServerName, GroupIndex>,
    index: Index,
    at_home: Arc<Way>,
    front_ends: Arc<Way>,
    local_dag: Option<GroupIndex>,
}

impl RoutingTables {
    /// Builds the tables of the server `local`.
    ///
    /// # Errors
    /// [`BuildError`] when the server is not in the configuration.
    pub fn build(organization: Arc<Organization>, local: &ServerName) -> Result<Self, BuildError> {
        let server = organization.server(local).ok_or_else(|| BuildError::UnknownServer(local.clone()))?.clone();
        let tree =
            PathTree::build(&organization, &server.site).ok_or_else(|| BuildError::UnknownSite(server.site.clone()))?;
        let roster = Roster::build(&organization, &tree);
        let index = Index::build(&Local { organization: &organization, server: &server, tree: &tree, roster: &roster });
        let path = tree.path(tree.source()).expect("the local site is the root of its own tree");
        let front_ends = front_ends(&organization, &server);
        let mut tables = Self {
            front_ends: Arc::new(Way { path: path.clone(), stops: Vec::new(), attempts: front_ends }),
            at_home: Arc::new(Way { path, stops: Vec::new(), attempts: Vec::new() }),
            local: server,
            local_dag: None,
            tree,
            roster,
            groups: Vec::new(),
            databases: HashMap::new(),
            expansion: HashMap::new(),
            index,
            organization,
        };
        tables.add_databases();
        tables.add_expansion_servers();
        Ok(tables)
    }

    /// The snapshot.
    #[must_use]
    pub fn organization(&self) -> &Arc<Organization> {
        &self.organization
    }

    /// The snapshot's revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.organization.revision()
    }

    /// The server whose tables these are.
    #[must_use]
    pub fn local_server(&self) -> &Server {
        &self.local
    }

    /// Routes mail for one recipient. `size` is the lower of the present and the original size (RT-13, SC-75); zero for
    /// mail that is exempt from size limits (LM-14).
    #[must_use]
    pub fn route(&self, destination: Destination<'_>, size: ByteSize) -> Decision {
        Decision { outcome: self.decide(destination, size, &mut NoRecord), revision: self.revision() }
    }

    /// Routes mail for one recipient and keeps every connector that was considered.
    #[must_use]
    pub fn explain(&self, destination: Destination<'_>, size: ByteSize) -> Explanation {
        let mut record = FullRecord::new(&self.index, size);
        let outcome = self.decide(destination, size, &mut record);
        let candidates = match destination {
            Destination::External(_) => record.candidates(RuleId("RT-44")),
            Destination::NonSmtp { .. } => record.candidates(RuleId("RT-46")),
            Destination::Mailbox(_) | Destination::ExpansionServer(_) => Vec::new(),
        };
        Explanation {
            from: self.local.name.clone(),
            site: self.local.site.clone(),
            destination: destination.to_string(),
            size,
            decision: Decision { outcome, revision: self.revision() },
            candidates,
        }
    }

    fn decide<'a>(&'a self, destination: Destination<'a>, size: ByteSize, recorder: &mut impl Recorder<'a>) -> Outcome {
        match destination {
            Destination::External(domain) => {
                let barred = self.index.barred(domain);
                barred.into_iter().for_each(|bucket| recorder.barred(bucket));
                match connector::select(self.index.smtp_levels(domain), size, recorder) {
                    Selection::Chosen(row) => self.through_connector(row, domain.ascii(), size),
                    Selection::TooSmall => Outcome::Ndr(NdrReason::ConnectorsTooSmall),
                    Selection::None if barred.is_some() => {
                        Outcome::Unreachable(UnreachableReason::NoWayInside(self.local.site.clone()))
                    }
                    Selection::None => Outcome::Unreachable(UnreachableReason::NoConnector),
                }
            }
            Destination::NonSmtp { kind, text } => {
                let levels = self.index.other_levels(kind, text);
                match connector::select(levels.into_iter(), size, recorder) {
                    Selection::Chosen(row) => self.through_connector(row, text, size),
                    Selection::TooSmall => Outcome::Ndr(NdrReason::ConnectorsTooSmall),
                    Selection::None => Outcome::Ndr(NdrReason::NoConnectorForType),
                }
            }
            Destination::Mailbox(_) | Destination::ExpansionServer(_) if self.local.role == ServerRole::Edge => {
                Outcome::Unreachable(UnreachableReason::NotOnEdge)
            }
            Destination::Mailbox(database) => self.to_database(database, size),
            Destination::ExpansionServer(server) if *server == self.local.name => Outcome::ExpandHere,
            Destination::ExpansionServer(server) => match self.expansion.get(server) {
                Some(&group) => arrive(self.planned(group), size, None),
                None => Outcome::Unreachable(UnreachableReason::UnknownServer(server.clone())),
            },
        }
    }

    fn to_database(&self, database: &ObjectName, size: ByteSize) -> Outcome {
        match self.databases.get(database) {
            None => Outcome::Unreachable(UnreachableReason::UnknownDatabase(database.clone())),
            Some(DatabaseRoute { here: Some((key, way)), .. }) => {
                Outcome::Route(Route { key: key.clone(), way: way.clone(), connector: None })
            }
            Some(DatabaseRoute { group, here: None }) => arrive(self.planned(*group), size, None),
        }
    }

    fn through_connector(&self, row: &Row, name: &str, size: ByteSize) -> Outcome {
        let entry = self.index.entry(row.connector());
        let reach = entry.reach.as_ref().expect("only connectors within reach are in a bucket's rows");
        let key = match &reach.via {
            Via::Dns => Arc::new(NextHopSolutionKey::new(DeliveryType::DnsConnectorDelivery, name, entry.guid)),
            Via::SmartHosts(key) => key.clone(),
            Via::Gateway(kind) => {
                let space = &self.index.connector(row.connector()).address_spaces()[row.space];
                Arc::new(NextHopSolutionKey::new(*kind, space.queue_name(), entry.guid))
            }
            Via::Group(group) => return arrive(group.planned(&self.tree, &self.roster), size, Some(entry.guid)),
        };
        let proxied = matches!(self.index.connector(row.connector()), Connector::Send(it) if it.frontend_proxy_enabled);
        let way = if proxied { &self.front_ends } else { &self.at_home };
        Outcome::Route(Route { key, way: way.clone(), connector: Some(entry.guid) })
    }

    fn planned(&self, group: GroupIndex) -> &Planned {
        self.groups[group.0].planned(&self.tree, &self.roster)
    }

    /// The group that serves a database.
    pub(crate) fn group_of(&self, database: &ObjectName) -> Option<&Group> {
        self.databases.get(database).map(|route| self.groups[route.group.0].group())
    }

    /// The group of the DAG of which this server is a member.
    pub(crate) fn local_dag(&self) -> Option<&Group> {
        self.local_dag.map(|group| self.groups[group.0].group())
    }

    /// The least-cost path to a site, unless no chain of links leads there (RT-06…RT-08).
    #[must_use]
    pub fn path_to(&self, site: &SiteName) -> Option<Path> {
        self.tree.path(self.tree.index(site)?)
    }

    pub(crate) fn connectors(&self) -> &Index {
        &self.index
    }

    pub(crate) fn tree(&self) -> &PathTree {
        &self.tree
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    fn add_databases(&mut self) {
        let organization = self.organization.clone();
        let mailbox_servers = || organization.servers().iter().filter(|server| server.role == ServerRole::Mailbox);
        let mut members: HashMap<&ObjectName, Vec<(&ServerName, &SiteName)>> = HashMap::new();
        for server in mailbox_servers() {
            if let Some(dag) = &server.dag {
                members.entry(dag).or_default().push((&server.name, &server.site));
            }
        }
        let mut dags: HashMap<&ObjectName, GroupIndex> = HashMap::new();
        for dag in organization.dags() {
            let kind = GroupKind::Dag { name: dag.name.as_str().into(), guid: dag.guid };
            let group = Group::new(kind, members.remove(&dag.name).unwrap_or_default(), &self.tree);
            dags.insert(&dag.name, self.add_group(group));
        }
        self.local_dag = self.local.dag.as_ref().and_then(|dag| dags.get(dag)).copied();
        let mut sites: HashMap<&SiteName, GroupIndex> = HashMap::new();
        for site in organization.sites() {
            let servers = self.tree.index(&site.name).map_or(&[][..], |at| self.roster.servers(at));
            let members = servers.iter().map(|server| (server, &site.name));
            let group = Group::new(GroupKind::MailboxSite(site.name.clone()), members, &self.tree);
            sites.insert(&site.name, self.add_group(group));
        }
        for database in organization.databases() {
            let Some(active) = organization.server(database.active_server()) else { continue };
            let (group, member) = match &database.home {
                DatabaseHome::Dag { dag, .. } => (dags.get(dag), self.local.dag.as_ref() == Some(dag)),
                DatabaseHome::Server(_) => (sites.get(&active.site), self.local.site == active.site),
            };
            let Some(&group) = group else { continue };
            let here = (member && self.local.role == ServerRole::Mailbox).then(|| self.deliver(database, active));
            self.databases.insert(database.name.clone(), DatabaseRoute { group, here });
        }
    }

    /// RT-16: this server is in the database's group and hands over to Mailbox Transport Delivery where it is active.
    fn deliver(&self, database: &Database, active: &Server) -> (Arc<NextHopSolutionKey>, Arc<Way>) {
        let key = NextHopSolutionKey::new(DeliveryType::SmtpDeliveryToMailbox, database.name.as_str(), database.guid);
        let attempt = Attempt { server: active.name.clone(), site: active.site.clone(), reason: DATABASE };
        let way = Way { path: self.at_home.path.clone(), stops: Vec::new(), attempts: vec![attempt] };
        (Arc::new(key), Arc::new(way))
    }

    fn add_expansion_servers(&mut self) {
        let organization = self.organization.clone();
        for server in organization.servers().iter().filter(|server| server.role == ServerRole::Mailbox) {
            let kind = GroupKind::Servers { fqdn: server.fqdn.as_str().into() };
            let group = self.add_group(Group::new(kind, [(&server.name, &server.site)], &self.tree));
            self.expansion.insert(server.name.clone(), group);
        }
    }

    fn add_group(&mut self, group: Group) -> GroupIndex {
        self.groups.push(Planner::new(group));
        GroupIndex(self.groups.len() - 1)
    }
}

/// Front ends of the local site in the order in which they are tried: this server's own, then the others by name (PL-27).
fn front_ends(organization: &Organization, local: &Server) -> Vec<Attempt> {
    let is_near = |server: &&Server| server.site == local.site && server.role == ServerRole::Mailbox;
    let mut servers: Vec<&Server> = organization.servers().iter().filter(is_near).collect();
    servers.sort_by_key(|server| (server.name != local.name, server.name.clone()));
    let attempt =
        |server: &Server| Attempt { server: server.name.clone(), site: server.site.clone(), reason: FRONT_END };
    servers.into_iter().map(attempt).collect()
}

/// RT-13: the chosen path is checked, and no other is tried (RT-57).
fn arrive(planned: &Planned, size: ByteSize, connector: Option<topology::Guid>) -> Outcome {
    let (key, way) = match planned {
        Planned::Unreachable(reason) => return Outcome::Unreachable(reason.clone()),
        Planned::Deferred(reason) => return Outcome::Deferred(*reason),
        Planned::Ready { key, way } => (key, way),
    };
    match way.path.too_small_for(size) {
        Some((leg, limit)) => Outcome::Ndr(NdrReason::SiteLinkTooSmall { link: leg.link.clone(), limit }),
        None => Outcome::Route(Route { key: key.clone(), way: way.clone(), connector }),
    }
}
