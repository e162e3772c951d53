//! What was learned is kept while it holds, so that no connection asks for what another one has asked for; what could not be
//! learned is not asked for again at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use rustls_pki_types::UnixTime;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::revocation::lock;

/// Most that are kept.
const KEPT_MAX: usize = 256;
/// What holds longer is asked for anew after this time: revocations are published before the next list is due.
const FRESH: Duration = Duration::from_hours(4);
/// Somebody who did not answer is not asked again for this long.
const PAUSE: Duration = Duration::from_mins(1);

/// What something is kept under.
pub(super) type Key = [u8; 32];

/// Of where it is from and whom it is about.
pub(super) fn key(parts: &[&[u8]]) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 octets")
}

struct Slot<T> {
    /// With until when it holds, in seconds of Unix, and when it was learned.
    known: Option<(T, u64, Instant)>,
    failed: Option<(String, Instant)>,
}

/// What is kept.
pub(super) struct Kept<T>(std::sync::Mutex<HashMap<Key, Arc<Mutex<Slot<T>>>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(std::sync::Mutex::default())
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("entries", &lock(&self.0).len()).finish()
    }
}

impl<T: Clone> Kept<T> {
    /// What is kept under `key`, or what `learn` finds with until when it holds. Whoever wants the same at once waits.
    pub(super) async fn get(
        &self,
        key: &Key,
        now: UnixTime,
        learn: impl Future<Output = Result<(T, u64), String>>,
    ) -> Result<T, String> {
        let slot = self.slot(key, now);
        let mut slot = slot.lock().await;
        let holds = |until: u64| now.as_secs() <= until;
        let still = slot.known.as_ref().filter(|(_, until, _)| holds(*until)).map(|(known, _, _)| known.clone());
        if let (Some(known), Some((_, _, learned))) = (&still, &slot.known)
            && learned.elapsed() < FRESH
        {
            return Ok(known.clone());
        }
        if let Some((why, at)) = &slot.failed
            && at.elapsed() < PAUSE
        {
            return still.ok_or_else(|| why.clone());
        }
        match learn.await {
            Ok((known, until)) => {
                *slot = Slot { known: Some((known.clone(), until, Instant::now())), failed: None };
                Ok(known)
            }
            Err(why) => {
                slot.failed = Some((why.clone(), Instant::now()));
                still.ok_or(why)
            }
        }
    }

    fn slot(&self, key: &Key, now: UnixTime) -> Arc<Mutex<Slot<T>>> {
        let mut slots = lock(&self.0);
        if slots.len() >= KEPT_MAX && !slots.contains_key(key) {
            // What is in use is waited for by somebody.
            slots.retain(|_, slot| {
                slot.try_lock()
                    .map_or(true, |slot| slot.known.as_ref().is_some_and(|(_, until, _)| *until >= now.as_secs()))
            });
            if slots.len() >= KEPT_MAX {
                slots.clear();
            }
        }
        let empty = || Arc::new(Mutex::new(Slot { known: None, failed: None }));
        Arc::clone(slots.entry(*key).or_insert_with(empty))
    }
}
