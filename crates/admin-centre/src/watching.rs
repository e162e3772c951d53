//! Drawing pages again for those who look: each once for all who may see the same, for as long as somebody does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::centre::Centre;
use crate::live::{Drawn, Key, Now, View};
use crate::pages::{self, Outcome, Trouble};
use crate::person::Person;
use crate::request::Ask;

/// A page that somebody looks at is drawn again after, and at most once a second when servers say something before (WA-22).
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_LEAST: Duration = Duration::from_secs(1);

/// Takes part in what others look at, or begins to.
pub(crate) fn look(centre: &Arc<Centre>, ask: &Ask, person: &Person) -> watch::Receiver<Now> {
    let (path, query) = (ask.path.clone(), ask.query.clone());
    let key = Key { path, query, groups: person.groups_text() };
    let mut views = centre.live.views.lock();
    if let Some(view) = views.get(&key) {
        return view.now.subscribe();
    }
    let (now, receiver) = watch::channel(Now::Unknown);
    views.insert(key.clone(), View { now });
    let viewed = Viewed { key, ask: ask.clone(), person: person.clone() };
    tokio::spawn(viewed.go_on(Arc::clone(centre)));
    receiver
}

/// A page that is drawn again and again, for as long as somebody looks.
struct Viewed {
    key: Key,
    ask: Ask,
    person: Person,
}

impl Viewed {
    async fn go_on(self, centre: Arc<Centre>) {
        loop {
            let begun = Instant::now();
            let next = self.draw(&centre).await;
            let is_last = matches!(next, Some(Now::Gone | Now::Ended));
            {
                let mut views = centre.live.views.lock();
                let Some(view) = views.get(&self.key) else { return };
                if let Some(next) = next {
                    publish(&view.now, next);
                }
                if is_last || view.now.receiver_count() == 0 {
                    views.remove(&self.key);
                    return;
                }
            }
            tokio::select! {
                () = centre.live.ended.cancelled() => return,
                () = tokio::time::sleep_until(begun + AGAIN) => {}
                () = async {
                    centre.known.next().await;
                    tokio::time::sleep_until(begun + AGAIN_LEAST).await;
                } => {}
            }
        }
    }

    /// How the page is now; nothing where that cannot be told just now.
    async fn draw(&self, centre: &Arc<Centre>) -> Option<Now> {
        centre.live.drawings.fetch_add(1, Ordering::Relaxed);
        match pages::signed_in(&centre.visit(&self.ask, &self.person), "").await {
            Ok(Outcome::Sheet(sheet)) if sheet.status == 200 => Some(Now::Drawn(Arc::new(Drawn::of(&sheet)))),
            Ok(_) | Err(Trouble::Missing { .. } | Trouble::Wrong(_)) => Some(Now::Gone),
            Err(Trouble::Refused(_)) => Some(Now::Ended),
            Err(Trouble::Away(_)) => None,
        }
    }
}

/// Nobody is woken for what is still the same.
fn publish(to: &watch::Sender<Now>, next: Now) {
    to.send_if_modified(|now| {
        let is_same = matches!((&*now, &next), (Now::Drawn(old), Now::Drawn(new)) if old.mark == new.mark);
        if !is_same {
            *now = next;
        }
        !is_same
    });
}
