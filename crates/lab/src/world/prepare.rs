//! What has to be there before the first process starts: authorities, certificates, the configuration.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;

use authority::RoleGroup;
use directory::{ApplySecrets, Author, Sealer};
use envelope::ObjectName;
use net::{CertificateAuthority, NodeIdentity};
use organization::{Document, Kind, with_text_messaging};

use super::backend::Backend;
use super::edge;
use super::layout::ServerLayout;
use super::{Onlooker, Stage, WorldError, WorldOptions};
use crate::clock;
use crate::plan::LabFile;

/// Whoever runs the lab may look into its queues.
const ADMINISTRATOR: &str = "lab";

/// Certificates of every service, anew at each start: they are cheap, and names may have changed.
pub(super) fn servers(
    servers: &[ServerLayout],
    organization: &CertificateAuthority,
    told: &Onlooker,
) -> Result<(), WorldError> {
    let administrator = ObjectName::parse(ADMINISTRATOR).expect("a name");
    let everything = BTreeSet::from([RoleGroup::OrganizationManagement]);
    for (at, server) in servers.iter().enumerate() {
        told.tell(Stage::Servers { done: at, all: servers.len() });
        let own = server.is_edge.then(|| edge::authority_of(server)).transpose()?;
        let authority = own.as_ref().unwrap_or(organization);
        let folder = server.identity_path();
        let services = server.services.keys().copied().collect();
        let identity = NodeIdentity { server: server.name.clone(), fqdn: server.fqdn.clone(), services };
        authority.save_identity_to(&identity, &folder, clock::now())?;
        authority.save_administrator_to(&administrator, &everything, &folder, clock::now())?;
        let smtp = authority.issue_for_smtp(&server.name, &server.fqdn, clock::now())?;
        smtp.save_to(&folder.join("smtp"))?;
    }
    Ok(())
}

/// EN-65: a Drop directory is made by whoever has the gateway. Transport confines itself at its start to what is there.
pub(super) fn gateways(server: &ServerLayout) -> Result<(), WorldError> {
    let drop = server.drop_folder();
    let drops = drop.iter().flat_map(|folder| server.drop_directories.iter().map(|name| folder.join(name)));
    for folder in drops.chain(server.pickup_folder()) {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|cause| WorldError::File { path: folder, cause })?;
    }
    Ok(())
}

const LOOPBACK: &str = "127.0.0.0/8";

/// Applies the organization file to the lab's directory, which is made where it is missing.
pub(super) async fn directory(
    lab: &LabFile,
    options: &WorldOptions,
    backend: &Backend,
    servers: &[ServerLayout],
    authority: &CertificateAuthority,
) -> Result<(), WorldError> {
    let key = options.directory.join("organization.key");
    let sealer = if key.exists() { Sealer::load(&key)? } else { Sealer::generate(&key)? };
    let directory = backend.open(&lab.forest())?;
    let before = directory.snapshot().await?;
    let recipients = directory::all_recipients(&*directory).await?;
    let current = organization::objects(before.draft(), &recipients);
    let document = Document::parse(&lab.organization_text)?;
    let secrets = ApplySecrets::new(&sealer, options.folder.clone(), &current);
    let (mut draft, wanted) = document.to_draft(&secrets)?;
    if draft.transport_config.private_target_ranges.is_empty() {
        // The whole internet of a lab is on loopback.
        draft.transport_config.private_target_ranges.push(LOOPBACK.parse().expect("a range"));
    }
    edge::subscribe(&mut draft, before.draft(), servers)?;
    if !document.has_section(Kind::DeliveryAgentConnector) {
        draft = with_text_messaging(draft, &current);
    }
    let inside = draft.clone();
    let plan = organization::plan(current, organization::objects(&draft, &wanted));
    if !plan.is_empty() {
        directory::apply(&*directory, plan, before.revision(), &Author::new(ADMINISTRATOR, "postroad lab")).await?;
    }
    edge::tell(&inside, &wanted, servers, &sealer, authority).await
}
