//! The OTLP receiver: takes spans over gRPC on loopback and hands them to the store.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::span::{Span, Whose};
use super::store::SpanLog;

/// Largest request taken, in octets: a full batch of 1024 spans with an explanation of 8 KiB each, and room.
pub const REQUEST_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// Time that clients have to hang up when the receiver ends.
pub const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a receiver does not start.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The socket.
    #[error("cannot listen for traces on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The directory.
    #[error("cannot write traces to {}: {cause}", path.display())]
    File {
        /// Which directory.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A running receiver. It ends when dropped; [`Self::stop`] also waits for it.
#[derive(Debug)]
pub struct TraceReceiver {
    address: SocketAddr,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl TraceReceiver {
    /// Listens on `address` (port 0 takes a free one) and appends to `directory`.
    ///
    /// # Errors
    /// [`ReceiverError`].
    pub async fn start(address: SocketAddr, directory: &Path) -> Result<Self, ReceiverError> {
        let log =
            SpanLog::open(directory).map_err(|cause| ReceiverError::File { path: directory.to_owned(), cause })?;
        let listening = |cause| ReceiverError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let service = TraceServiceServer::new(Receiver(Arc::new(log))).max_decoding_message_size(REQUEST_OCTETS_MAX);
        let ending = CancellationToken::new();
        let ended = ending.clone().cancelled_owned();
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the trace receiver of the lab has failed");
            }
        });
        Ok(Self { address, ending, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What services are told: `http://address`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes what is on its way and ends, at the latest after [`END_TIMEOUT`].
    pub async fn stop(mut self) {
        self.ending.cancel();
        // A panic in it has been reported where it happened; what takes too long is aborted by the drop.
        let _ended = tokio::time::timeout(END_TIMEOUT, &mut self.task).await;
    }
}

impl Drop for TraceReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Receiver(Arc<SpanLog>);

#[async_trait::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = Vec::new();
        for of_resource in request.into_inner().resource_spans {
            let resource = of_resource.resource.unwrap_or_default();
            for of_scope in of_resource.scope_spans {
                let whose = Whose::of(&resource, &of_scope.scope.unwrap_or_default());
                spans.extend(of_scope.spans.into_iter().map(|span| Span::from_otlp(span, &whose)));
            }
        }
        let log = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || log.append(&spans)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(ExportTraceServiceResponse { partial_success: None::<ExportTracePartialSuccess> }))
    }
}
