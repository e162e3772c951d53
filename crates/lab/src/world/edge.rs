//! Edge servers of a lab: subscribed from the start. What New-EdgeSubscription and the first synchronization do elsewhere is done
//! before the processes run, so that nobody on the internet is turned away meanwhile; from then on EdgeSync goes on.

use std::collections::HashMap;

use directory::{Author, EmbeddedSettings, Marks, RecipientDigest, Sealer, apply, into_buckets};
use envelope::Address;
use net::CertificateAuthority;
use net::certificate::each_pem;
use perimeter::{file, view};
use topology::{DirectoryRecipient, EdgeSubscription, OrganizationDraft, Server, ServerRole, Site};

use super::layout::ServerLayout;
use super::{WorldError, authorities};
use net::Service;

/// The authority of an Edge server: its own, as its name in DNS is its forest.
pub(super) fn authority_of(server: &ServerLayout) -> Result<CertificateAuthority, WorldError> {
    authorities::authority(&server.folder.join("ca"), &server.fqdn)
}

fn edges(servers: &[ServerLayout]) -> impl Iterator<Item = &ServerLayout> {
    servers.iter().filter(|server| server.is_edge)
}

/// In the organization: by what each Edge server is known. A lab that starts again keeps its salts.
pub(super) fn subscribe(
    draft: &mut OrganizationDraft,
    before: &OrganizationDraft,
    servers: &[ServerLayout],
) -> Result<(), WorldError> {
    for layout in edges(servers) {
        let known = before.servers.iter().find(|server| server.name == layout.name);
        let salt = match known.and_then(|known| known.edge.recipient_salt.clone()) {
            Some(salt) => salt,
            None => file::new_salt().map_err(|error| failed(layout, &error))?,
        };
        let port = |service: Service| layout.services.get(&service).map(|addresses| addresses.organization.port());
        let edge = EdgeSubscription {
            forest: Some(layout.fqdn.clone()),
            authorities: each_pem(authority_of(layout)?.certificate_pem()),
            transport_port: port(Service::Transport),
            sync_port: port(Service::Admin),
            recipient_salt: Some(salt),
            ..EdgeSubscription::default()
        };
        let server = draft.servers.iter_mut().find(|server| server.name == layout.name);
        if let Some(server) = server {
            server.edge = edge;
        }
    }
    Ok(())
}

fn failed(layout: &ServerLayout, error: &dyn std::fmt::Display) -> WorldError {
    WorldError::File { path: layout.folder.clone(), cause: std::io::Error::other(error.to_string()) }
}

/// What each Edge server is told, in its own directory.
pub(super) async fn tell(
    inside: &OrganizationDraft,
    recipients: &[DirectoryRecipient],
    servers: &[ServerLayout],
    sealer: &Sealer,
    authority: &CertificateAuthority,
) -> Result<(), WorldError> {
    let authorities = each_pem(authority.certificate_pem());
    for layout in edges(servers) {
        let key = layout.own_key();
        let own_sealer = if key.exists() { Sealer::load(&key)? } else { Sealer::generate(&key)? };
        let backend = directory::open_embedded(&EmbeddedSettings::new(layout.own_directory()), layout.fqdn.as_str())?;
        let before = backend.snapshot().await?;
        let outside = outside(inside, before.draft(), layout, authority);
        let mut credentials = HashMap::new();
        for (connector, sealed) in view::with_credential(inside, &layout.name) {
            let credential = sealer.unseal(&sealed, &connector)?;
            credentials.insert(connector.guid, own_sealer.seal(&credential, &connector));
        }
        let Some(wanted) = view::of(inside, &outside, &layout.name, &credentials, &authorities) else { continue };
        let objects = |draft: &OrganizationDraft| organization::objects(draft, &[]);
        let plan = organization::plan(objects(before.draft()), objects(&wanted));
        if !plan.is_empty() {
            apply(&*backend, plan, before.revision(), &Author::new("lab", "postroad lab")).await?;
        }
        tell_recipients(&*backend, inside, recipients, layout).await?;
    }
    Ok(())
}

async fn tell_recipients(
    backend: &dyn directory::Backend,
    inside: &OrganizationDraft,
    recipients: &[DirectoryRecipient],
    layout: &ServerLayout,
) -> Result<(), WorldError> {
    let edge = inside.servers.iter().find(|server| server.name == layout.name).map(|server| &server.edge);
    let Some(salt) = edge.and_then(|edge| edge.recipient_salt.as_deref()) else { return Ok(()) };
    let addresses = recipients.iter().flat_map(DirectoryRecipient::addresses_for_strangers);
    let is_ours =
        |address: &&Address| inside.accepted_domains.iter().any(|accepted| accepted.domain.covers(&address.domain()));
    let digests: Vec<RecipientDigest> =
        addresses.filter(is_ours).map(|address| RecipientDigest::of(salt, address)).collect();
    let sum = digests.iter().copied().collect::<Marks>().sum(salt);
    Ok(backend.put_buckets(salt, &into_buckets(digests), Some(&sum)).await?)
}

/// The Edge server's own configuration before it is told anything: itself, and who may tell it.
fn outside(
    inside: &OrganizationDraft,
    before: &OrganizationDraft,
    layout: &ServerLayout,
    authority: &CertificateAuthority,
) -> OrganizationDraft {
    let known = inside.servers.iter().find(|server| server.name == layout.name);
    let Some(known) = known else { return before.clone() };
    let edge = EdgeSubscription {
        organization: Some(authority.forest().clone()),
        organization_authorities: each_pem(authority.certificate_pem()),
        ..known.edge.clone()
    };
    let own = before.servers.iter().find(|server| server.name == layout.name).unwrap_or(known);
    let own = Server { edge, role: ServerRole::Edge, ..own.clone() };
    let sites: Vec<Site> = inside.sites.iter().filter(|site| site.name == own.site).cloned().collect();
    let mut outside = OrganizationDraft { servers: vec![own], sites, ..before.clone() };
    outside.transport_config.private_target_ranges = inside.transport_config.private_target_ranges.clone();
    outside
}
