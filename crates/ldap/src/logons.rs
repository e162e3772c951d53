//! Whether a password is that of an entry: a simple bind to the directory that keeps it (RFC 4513 §5.1.3), so many at a time,
//! within a bound of time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::connection::{Connected, LdapError, connect};
use crate::source::{Identity, LdapSource};

/// Binds under way at a time, each on a connection of its own. Ours: what a directory takes of one client without a thought.
const UNDER_WAY_MAX: usize = 16;
/// Nobody waits longer for his turn and his answer together, whatever the servers of the source do.
const LOGON_TIMEOUT: Duration = Duration::from_secs(20);
/// Octets that a directory may send to a bind.
const OCTETS_MAX: u64 = 64 * 1024;

/// `invalidCredentials`, and what else says that name and password do not go (RFC 4511 appendix A.2): `noSuchObject`,
/// `inappropriateAuthentication`.
const WRONG: [u32; 3] = [49, 32, 48];

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogonError {
    /// The directory says no.
    #[error("the password is wrong")]
    Wrong,
    /// The directory does not say anything now.
    #[error("{0}")]
    Away(String),
}

/// Asks one source.
#[derive(Debug)]
pub struct Logons {
    source: LdapSource,
    turns: Semaphore,
    /// The server that answered last, or the one after that which did not.
    first: AtomicUsize,
}

impl Logons {
    /// Asks `source`.
    #[must_use]
    pub fn new(source: LdapSource) -> Self {
        Self { source, turns: Semaphore::new(UNDER_WAY_MAX), first: AtomicUsize::new(0) }
    }

    /// Whether `password` is that of the entry of this distinguished name.
    ///
    /// # Errors
    /// [`LogonError`]: that it is not, or that nobody says.
    pub async fn check(&self, entry: &str, password: &str) -> Result<(), LogonError> {
        // Without a password a bind succeeds and authenticates nobody, as one without a name does (RFC 4513 §5.1.1, §5.1.2).
        let identity = Identity::new(entry, Zeroizing::new(password.to_owned()));
        let identity = identity.filter(|_| !entry.is_empty()).ok_or(LogonError::Wrong)?;
        let first = self.first.load(Ordering::Relaxed);
        let answer = tokio::time::timeout(LOGON_TIMEOUT, self.ask(first, &identity)).await;
        if !matches!(answer, Ok(Ok(_))) {
            // The next begins with another: those that hang could take all of everybody's time.
            self.first.store(first.wrapping_add(1), Ordering::Relaxed);
        }
        match answer {
            Ok(Ok((0, _))) => Ok(()),
            Ok(Ok((code, _))) if WRONG.contains(&code) => Err(LogonError::Wrong),
            Ok(Ok((code, text))) => Err(LogonError::Away(format!("the directory answers with result {code}: {text}"))),
            Ok(Err(error)) => Err(LogonError::Away(error.to_string())),
            Err(_) => Err(LogonError::Away(format!("no answer in {} s", LOGON_TIMEOUT.as_secs()))),
        }
    }

    async fn ask(&self, first: usize, identity: &Identity) -> Result<(u32, String), LdapError> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| LdapError::Away("this service ends".into()))?;
        let Connected { mut ldap, at, answer } = connect(&self.source, first, OCTETS_MAX, Some(identity)).await?;
        self.first.store(at, Ordering::Relaxed);
        // Said so that the directory does not log a connection that broke; nobody waits for it.
        let _ = ldap.unbind().await;
        Ok(answer)
    }
}
