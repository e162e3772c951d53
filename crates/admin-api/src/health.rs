//! How the services of a server are, told by its admin service, which asks each of them: who administers need not reach their
//! endpoints for metrics.

use std::sync::Arc;

use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::Service;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use rpc::Asker;
use rpc::convert::without_controls;
use tonic::{Request, Response, Status};

use crate::api::Api;
use crate::audit::AuditTrail;
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::health_client::HealthClient;

/// How one service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// Of which server.
    pub server: Box<str>,
    /// Which service.
    pub service: Box<str>,
    /// Why it is not ready; nothing when it is.
    pub reason: Option<Box<str>>,
    /// What it measures, as Prometheus reads it.
    pub metrics: Box<str>,
}

/// Asks the services of a server.
#[async_trait]
pub trait HealthHandler: Send + Sync + 'static {
    /// One of them, or all that can be asked.
    async fn check(&self, service: Option<Service>) -> Vec<ServiceHealth>;
}

/// `postroad.admin.v1.Health` over a handler.
pub(crate) struct HealthService {
    pub(crate) handler: Arc<dyn HealthHandler>,
    pub(crate) trail: AuditTrail,
}

#[tonic::async_trait]
impl wire::health_server::Health for HealthService {
    type CheckHealthStream = BoxStream<'static, Result<wire::ServiceHealth, Status>>;

    async fn check_health(
        &self,
        request: Request<wire::CheckHealthRequest>,
    ) -> Result<Response<Self::CheckHealthStream>, Status> {
        self.trail.ruled(&Asker::of(&request)?, Act::Read(Feature::Servers), "Test-ServiceHealth")?;
        let name = request.into_inner().service;
        let service = (!name.is_empty()).then(|| name.parse()).transpose();
        let service = service.map_err(|_| Status::invalid_argument("there is no such service"))?;
        let told = self.handler.check(service).await.into_iter().map(|one| {
            Ok(wire::ServiceHealth {
                server: one.server.into(),
                service: one.service.into(),
                ready: one.reason.is_none(),
                reason: one.reason.map(String::from).unwrap_or_default(),
                metrics: one.metrics.into(),
            })
        });
        Ok(Response::new(stream::iter(told.collect::<Vec<_>>()).boxed()))
    }
}

impl Api {
    /// How the services of the server behind this connection are: one, or all that it can ask.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn check_health(&self, service: Option<Service>) -> Result<Vec<ServiceHealth>, AdminError> {
        let service = service.map(|service| service.as_str().to_owned()).unwrap_or_default();
        let asked = HealthClient::new(self.channel()).check_health(wire::CheckHealthRequest { service }).await;
        let mut answer = asked.map_err(|status| self.failure(&status))?.into_inner();
        let mut all = Vec::new();
        while let Some(one) = answer.message().await.map_err(|status| self.failure(&status))? {
            all.push(ServiceHealth {
                server: without_controls(&one.server),
                service: without_controls(&one.service),
                reason: (!one.ready).then(|| without_controls(&one.reason)),
                metrics: without_controls(&one.metrics),
            });
        }
        Ok(all)
    }
}
