//! The message tracking logs of a service, searched for administrators: the words are those of [`logs::search`].

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use authority::{Act, Feature};
use envelope::Timestamp;
use futures::StreamExt;
use futures::stream::BoxStream;
use logs::search::{Line, PREFIXES, Query, RESULTS_DEFAULT, RESULTS_MAX, search};
use rpc::Asker;
use rpc::convert::{WireError, without_controls};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::wire::v1 as wire;

/// Searches at once; the others wait. Ours: one reads as fast as the disk gives.
const SEARCHES_MAX: usize = 1;
/// Recipients, and ids, that a search may name. Ours.
pub const NAMED_MAX: usize = 1_000;
/// Fields of a line that are taken from a server.
const FIELDS_MAX: usize = 64;

/// `postroad.admin.v1.Tracking` over a folder of log files.
pub(crate) struct TrackingService {
    folder: PathBuf,
    prefixes: &'static [&'static str],
    searches: Arc<Semaphore>,
}

impl TrackingService {
    pub(crate) fn new(folder: PathBuf, prefixes: &'static [&'static str]) -> Self {
        Self { folder, prefixes, searches: Arc::new(Semaphore::new(SEARCHES_MAX)) }
    }
}

#[tonic::async_trait]
impl wire::tracking_server::Tracking for TrackingService {
    type SearchStream = BoxStream<'static, Result<wire::Line, Status>>;

    async fn search(&self, request: Request<wire::SearchRequest>) -> Result<Response<Self::SearchStream>, Status> {
        let asker = Asker::of(&request)?;
        asker.may(Act::Read(Feature::MessageTracking))?;
        tracing::debug!(administrator = asker.name(), "an administrator searches the message tracking log");
        let (query, limit) = from_wire(request.into_inner())?;
        let turn = Arc::clone(&self.searches).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the service is being stopped"))?;
        let (folder, prefixes) = (self.folder.clone(), self.prefixes);
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        let searching = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // Whoever asked may have gone.
            let go_on = || if alive.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            search(&folder, prefixes, &query, limit, go_on)
        });
        let found = searching.await.map_err(|error| Status::internal(error.to_string()))?;
        drop(gone);
        let found = found.map_err(|error| Status::internal(format!("the log files cannot be read: {error}")))?;
        let lines = found.into_iter().map(|line| Ok(to_wire(line)));
        Ok(Response::new(futures::stream::iter(lines).boxed()))
    }
}

fn from_wire(request: wire::SearchRequest) -> Result<(Query, usize), Status> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    if request.recipients.len().max(request.ids.len()) > NAMED_MAX {
        return Err(Status::invalid_argument(format!("a search names at most {NAMED_MAX} recipients and ids")));
    }
    let limit = usize::try_from(request.limit).unwrap_or(RESULTS_MAX).min(RESULTS_MAX);
    let query = Query {
        start: request.start_millis.map(Timestamp::from_millis),
        end: request.end_millis.map(Timestamp::from_millis),
        event_id: given(request.event_id),
        source: given(request.source),
        message_id: given(request.message_id),
        ids: request.ids,
        recipients: request.recipients,
        sender: given(request.sender),
        subject: given(request.subject),
        connector: given(request.connector),
    };
    Ok((query, if limit == 0 { RESULTS_DEFAULT } else { limit }))
}

pub(crate) fn query_to_wire(query: &Query, limit: usize) -> wire::SearchRequest {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    wire::SearchRequest {
        start_millis: query.start.map(Timestamp::as_millis),
        end_millis: query.end.map(Timestamp::as_millis),
        event_id: text(&query.event_id),
        source: text(&query.source),
        message_id: text(&query.message_id),
        ids: query.ids.clone(),
        recipients: query.recipients.clone(),
        sender: text(&query.sender),
        subject: text(&query.subject),
        connector: text(&query.connector),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
    }
}

fn to_wire(line: Line) -> wire::Line {
    wire::Line { prefix: line.prefix.to_owned(), fields: line.fields }
}

pub(crate) fn line_from_wire(line: &wire::Line) -> Result<Line, WireError> {
    let prefix = PREFIXES.into_iter().find(|known| *known == line.prefix).ok_or(WireError::Invalid("log"))?;
    if line.fields.len() > FIELDS_MAX {
        return Err(WireError::Invalid("number of fields"));
    }
    Ok(Line { prefix, fields: line.fields.iter().map(|field| without_controls(field).into()).collect() })
}
