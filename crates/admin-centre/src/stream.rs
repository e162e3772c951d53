//! One stream of one browser: what it lacks of the page that it shows, and a sign of life while that is nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use envelope::Timestamp;
use futures::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::centre::Centre;
use crate::guard;
use crate::live::{Now, Place, Shape, lacks};
use crate::request::{Ask, Reply};
use crate::session;
use crate::watching;

/// A browser hears something at least so often; connections that are still are closed after a minute.
const BEAT: Duration = Duration::from_secs(15);
/// Whether the session is still there is looked at after.
const LOOK: Duration = Duration::from_secs(3);
/// After a break a browser comes again after, in milliseconds.
const RETRY_MILLIS: u32 = 3_000;

/// Where streams are asked for: `of` is the address of the page, `have` the mark of what the browser shows.
pub(crate) const PATH: &str = "/live";

pub(crate) struct Going {
    centre: Arc<Centre>,
    ask: Ask,
    secret: String,
    place: Place,
    now: watch::Receiver<Now>,
    has: Option<Arc<Shape>>,
    look: tokio::time::Interval,
    said: Instant,
    state: State,
}

enum State {
    Begins,
    Goes,
    Ends,
}

impl Centre {
    /// A stream, or why there is none.
    pub(crate) fn stream(
        self: &Arc<Self>,
        ask: &Ask,
        of: &Ask,
    ) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + Send + use<>, Reply> {
        let no = |status, text: &str| Reply::new(status, "text/plain; charset=utf-8", text);
        if let Some(reply) = self.not_called(&ask.host) {
            return Err(reply);
        }
        if !guard::is_from_here(ask.fetch_site.as_deref(), ask.origin.as_deref(), &ask.host) {
            return Err(no(403, "Pages of this centre ask for that.\n"));
        }
        let secret = ask.cookie(session::COOKIE).unwrap_or_default().to_owned();
        let Some(person) = self.present(ask, &secret) else { return Err(no(401, "Nobody is signed in.\n")) };
        let Some(place) = self.live.place(session::form_token(&secret)) else {
            return Err(no(503, "Too many pages are open. This one is drawn anew when it is loaded again.\n"));
        };
        let now = watching::look(self, of, &person);
        let has = ask.seen.as_deref().and_then(|mark| self.live.shape(mark));
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (centre, ask, said, state) = (Arc::clone(self), ask.clone(), Instant::now(), State::Begins);
        let going = Going { centre, ask, secret, place, now, has, look, said, state };
        Ok(futures::stream::unfold(going, |mut going| async move {
            let said = going.next().await?;
            Some((Ok(Bytes::from(said)), going))
        }))
    }
}

impl Going {
    /// What is said next; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        match self.state {
            State::Ends => return None,
            State::Begins => {
                self.state = State::Goes;
                // What is known already is the first thing that is compared.
                self.now.mark_changed();
                return Some(format!("retry: {RETRY_MILLIS}\n\n"));
            }
            State::Goes => {}
        }
        loop {
            let said = tokio::select! {
                () = self.place.ended.cancelled() => return None,
                changed = self.now.changed() => {
                    changed.ok()?;
                    self.change()
                }
                _ = self.look.tick() => {
                    if self.centre.present(&self.ask, &self.secret).is_none() {
                        return self.end("out");
                    }
                    (self.said.elapsed() >= BEAT).then(|| beat(self.centre.now()))
                }
            };
            if let Some(said) = said {
                self.said = Instant::now();
                return Some(said);
            }
        }
    }

    fn change(&mut self) -> Option<String> {
        let now = self.now.borrow_and_update().clone();
        match now {
            Now::Unknown => None,
            // The browser comes again, and is looked at anew.
            Now::Ended => self.end("again"),
            Now::Gone => self.end("gone"),
            Now::Drawn(drawn) => {
                let lacks = lacks(self.has.as_deref(), &drawn);
                self.centre.live.drawn(&drawn);
                self.has = self.centre.live.shape(&drawn.mark);
                lacks.map(|lacks| format!("id: {}\ndata: {lacks}\n\n", drawn.mark))
            }
        }
    }

    fn end(&mut self, why: &str) -> Option<String> {
        self.state = State::Ends;
        Some(format!("event: {why}\ndata:\n\n"))
    }
}

/// A sign of life, with the time at which the page was the same.
fn beat(now: Timestamp) -> String {
    format!("event: beat\ndata: {}\n\n", crate::view::shown_time(&now))
}
