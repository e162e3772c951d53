//! Message tracking logs for the shell: searched as `postroad track` does.

use cmdlets::Tracking;
use cmdlets::tracking::{TrackedEvent, TrackingSearch};
use envelope::ServerName;
use logs::search::Query;
use logs::tracking::FIELDS;

use super::super::place::Place;
use super::super::queued::Transports;

/// The logs of the servers of a place.
pub(super) struct LiveTracking {
    place: Place,
    runtime: tokio::runtime::Handle,
}

impl LiveTracking {
    pub(super) fn new(place: Place, runtime: tokio::runtime::Handle) -> Self {
        Self { place, runtime }
    }
}

impl Tracking for LiveTracking {
    fn search(
        &mut self,
        server: &ServerName,
        wanted: &TrackingSearch,
        limit: usize,
    ) -> Result<Vec<TrackedEvent>, String> {
        let TrackingSearch { start, end, event_id, source, message_id, ids, recipients, sender, subject } =
            wanted.clone();
        let query =
            Query { start, end, event_id, source, message_id, ids, recipients, sender, subject, connector: None };
        let asking = async { Transports::open(&self.place).await?.track(server, &query, limit).await };
        let found = self.runtime.block_on(asking).map_err(|error| format!("{error:#}"))?;
        let event = |fields: Vec<String>| TrackedEvent(FIELDS.split(',').map(str::to_owned).zip(fields).collect());
        Ok(found.into_iter().map(|line| event(line.fields)).collect())
    }
}
