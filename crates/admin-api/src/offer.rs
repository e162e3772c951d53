//! What a service offers to administrators on its port for the organization.

use std::path::PathBuf;
use std::sync::Arc;

use rpc::limits::REQUEST_OCTETS_MAX;
use rpc::{Credentials, Offer};

use crate::audit::{AuditService, AuditTrail};
use crate::certificates::{CertificateHandler, CertificatesService};
use crate::databases::{DatabaseHandler, DatabasesService};
use crate::directory::DirectoryService;
use crate::edge::{EdgeHandler, EdgeService};
use crate::edge_sync::{EdgeSyncHandler, EdgeSyncService};
use crate::forward::{ForwardService, Whereabouts};
use crate::health::{HealthHandler, HealthService};
use crate::managed::Managed;
use crate::queues::{QueueHandler, QueuesService};
use crate::tracking::TrackingService;
use crate::wire::v1::audit_server::AuditServer;
use crate::wire::v1::databases_server::DatabasesServer;
use crate::wire::v1::directory_server::DirectoryServer;
use crate::wire::v1::edge_server::EdgeServer;
use crate::wire::v1::edge_sync_server::EdgeSyncServer;
use crate::wire::v1::health_server::HealthServer;
use crate::wire::v1::queues_server::QueuesServer;
use crate::wire::v1::smtp_certificates_server::SmtpCertificatesServer;
use crate::wire::v1::tracking_server::TrackingServer;

/// Offers the queues: to be looked at, and to be acted upon, which is written into the audit log.
pub fn queues(offer: &mut Offer, handler: Arc<dyn QueueHandler>, trail: AuditTrail) {
    offer.routes().add_service(QueuesServer::new(QueuesService { handler, trail }));
}

/// Offers the message tracking logs in `folder`, of these prefixes.
pub fn tracking(offer: &mut Offer, folder: PathBuf, prefixes: &'static [&'static str]) {
    offer.routes().add_service(TrackingServer::new(TrackingService::new(folder, prefixes)));
}

/// Offers what has a mailbox database change its server.
pub fn databases(offer: &mut Offer, handler: Arc<impl DatabaseHandler>) {
    offer.routes().add_service(DatabasesServer::new(DatabasesService(handler)));
}

/// Offers the directory and its audit log.
pub fn management(offer: &mut Offer, managed: &Managed) {
    let directory = DirectoryServer::new(DirectoryService(managed.clone()));
    offer.routes().add_service(directory.max_decoding_message_size(REQUEST_OCTETS_MAX));
    offer.routes().add_service(AuditServer::new(AuditService {
        folder: managed.log_folder.clone(),
        trail: managed.trail.clone(),
    }));
}

/// Offers what an organization has an Edge server do.
pub fn edge(offer: &mut Offer, handler: Arc<dyn EdgeHandler>) {
    let service = EdgeServer::new(EdgeService(handler));
    offer.routes().add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
}

/// Offers EdgeSync to administrators.
pub fn edge_sync(offer: &mut Offer, handler: Arc<dyn EdgeSyncHandler>, trail: AuditTrail) {
    offer.routes().add_service(EdgeSyncServer::new(EdgeSyncService { handler, trail }));
}

/// Offers how the services of the server are.
pub fn health(offer: &mut Offer, handler: Arc<dyn HealthHandler>, trail: AuditTrail) {
    offer.routes().add_service(HealthServer::new(HealthService { handler, trail }));
}

/// Offers the certificates of the server for SMTP.
pub fn certificates(offer: &mut Offer, handler: Arc<dyn CertificateHandler>, trail: AuditTrail) {
    let service = SmtpCertificatesServer::new(CertificatesService { handler, trail });
    offer.routes().add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
}

/// Offers queues and tracking logs of all servers: they are asked with `credentials`, those of the admin service.
pub fn forwarding(offer: &mut Offer, find: Arc<dyn Whereabouts>, credentials: Arc<Credentials>, trail: AuditTrail) {
    let service = ForwardService { find, credentials, trail };
    offer.routes().add_service(QueuesServer::new(service.clone()));
    offer.routes().add_service(TrackingServer::new(service));
}
