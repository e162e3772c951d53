//! Whether a certificate has been revoked (TA-8, TA-34, TA-43): by what its server stapled to the handshake, by the lists that
//! its authority publishes, or by asking the authority's responder.
//!
//! ```text
//!   Chain (proved, up to a trusted root) ─▶ each certificate of it:
//!      stapled OCSP response ─▶ list (CRL) of a distribution point ─▶ OCSP responder ─▶ good │ revoked │ cannot be told
//!                                 └───────── kept, refreshed, asked for once ─────────┘
//! ```
//!
//! What cannot be told counts as revoked would (TA-12): mail waits. A certificate that names no list and no responder cannot be
//! revoked by anybody, and is as good as its dates. Only names in certificates that a trusted root vouches for are followed, by
//! plain HTTP as RFC 5280 §4.2.1.13 wants it: lists and answers are signed.
//!
//! | module | what it knows | rules |
//! |---|---|---|
//! | `chain` | who issued what, and where its status can be learned | RFC 5280 §4.2.1.13, §4.2.2.1 |
//! | `list` | a CRL: read, believed, searched | RFC 5280 §5 |
//! | `answer` | an OCSP response: asked for, read, believed | RFC 6960 |
//! | `proof` | which signatures and clocks are believed | – |
//! | `kept` | what is known for a while | – |
//! | `fetch` | HTTP, bounded | – |
//! | `der` | the few shapes of DER that OCSP has | X.690 |

mod answer;
mod chain;
mod der;
mod fetch;
mod kept;
mod list;
mod proof;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls_pki_types::UnixTime;

pub(crate) use self::chain::Chain;

use self::chain::Link;
use self::kept::Kept;
use self::list::List;
use crate::dns::Resolver;

/// For all certificates of a chain together. The other side waits meanwhile: RFC 5321 §4.5.3.2.1 gives it five minutes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
/// Most addresses that one certificate is looked up at, of each kind.
const PLACES_MAX: usize = 4;

/// What a certificate's authority says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Good,
    Revoked,
}

/// Why a certificate is not believed although its chain is proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationProblem {
    /// Its authority has taken it back, or one of the chain.
    #[error("the certificate has been revoked")]
    Revoked,
    /// Nobody can tell, although its authority names who could (TA-12); why.
    #[error("whether the certificate has been revoked cannot be told: {0}")]
    Unknown(Box<str>),
    /// There is no proved chain that could be asked about.
    #[error("nobody who is trusted has issued the certificate")]
    Unproved,
}

/// What is known of revoked certificates, for all connections of a process. Cheap to clone; clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    lists: Arc<Kept<Arc<List>>>,
    answers: Arc<Kept<Status>>,
}

impl Revocations {
    /// The same, for connections whose names these servers resolve.
    #[must_use]
    pub fn asking(&self, resolver: Resolver) -> RevocationCheck {
        RevocationCheck { known: self.clone(), resolver }
    }
}

/// Looks certificates up. Cheap to clone.
#[derive(Clone)]
pub struct RevocationCheck {
    known: Revocations,
    resolver: Resolver,
}

impl fmt::Debug for RevocationCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevocationCheck")
    }
}

impl RevocationCheck {
    /// Whether no certificate of a chain has been revoked.
    ///
    /// # Errors
    /// [`RevocationProblem`]
    pub(crate) async fn check(&self, chain: &Chain, now: UnixTime) -> Result<(), RevocationProblem> {
        let unknown = |why: String| RevocationProblem::Unknown(why.into());
        let all = async {
            for link in chain.links() {
                match self.status(link, now).await {
                    Ok(Status::Good) => {}
                    Ok(Status::Revoked) => return Err(RevocationProblem::Revoked),
                    Err(why) => return Err(unknown(why)),
                }
            }
            Ok(())
        };
        let late = || Err(unknown(format!("nobody said so within {} s", CHECK_TIMEOUT.as_secs())));
        tokio::time::timeout(CHECK_TIMEOUT, all).await.unwrap_or_else(|_| late())
    }

    async fn status(&self, link: &Link, now: UnixTime) -> Result<Status, String> {
        // A response that does not fit or is too old says nothing, and others are asked.
        if let Some(Ok(answer)) = link.stapled().map(|stapled| answer::read(stapled, link, now)) {
            return Ok(answer.status);
        }
        let mut why = Vec::new();
        for place in link.lists().iter().take(PLACES_MAX) {
            match self.list(place, link, now).await {
                Ok(list) => return Ok(list.status_of(link)),
                Err(error) => why.push(error),
            }
        }
        for place in link.responders().iter().take(PLACES_MAX) {
            match self.answer(place, link, now).await {
                Ok(status) => return Ok(status),
                Err(error) => why.push(error),
            }
        }
        if why.is_empty() { Ok(Status::Good) } else { Err(why.join("; ")) }
    }

    async fn list(&self, place: &str, link: &Link, now: UnixTime) -> Result<Arc<List>, String> {
        let fetched = async {
            let octets = fetch::list(&self.resolver, place).await?;
            let list = List::read(&octets, link, now).map_err(|error| format!("the list at {place} {error}"))?;
            let until = list.next_update();
            Ok((Arc::new(list), until))
        };
        let list = self.known.lists.get(&kept::key(&[place.as_bytes(), link.issuer_key()]), now, fetched).await?;
        // A list may be for others of the same authority.
        list.covers(link).map_err(|error| format!("the list at {place} {error}"))?;
        Ok(list)
    }

    async fn answer(&self, place: &str, link: &Link, now: UnixTime) -> Result<Status, String> {
        let asked = async {
            let octets = fetch::answer(&self.resolver, place, answer::question(link)).await?;
            let answer = answer::read(&octets, link, now).map_err(|error| format!("the answer of {place} {error}"))?;
            Ok((answer.status, answer.until))
        };
        let key = kept::key(&[place.as_bytes(), link.issuer_key(), link.serial()]);
        self.known.answers.get(&key, now, asked).await
    }
}

/// Nothing that is kept is half written when somebody panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
