//! What a centre is made of, and who is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, Principal, Who};
use envelope::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::accounts::Accounts;
use crate::estate::Estate;
use crate::guard::Hosts;
use crate::known::Known;
use crate::live::Live;
use crate::person::{Person, Proof};
use crate::plans::Plans;
use crate::provider::Provider;
use crate::rehearsals::Rehearsals;
use crate::request::Ask;
use crate::ruled::Ruled;
use crate::session::{Attempts, Sessions};

/// Passwords that are looked at at once.
const DOOR: usize = 2;

/// Files that are brought at once: each may be 32 MB, in memory.
const UPLOADS: usize = 2;

/// Of what a centre is made.
pub struct CentreOptions {
    /// What is asked.
    pub estate: Arc<dyn Estate>,
    /// People without a certificate.
    pub accounts: Accounts,
    /// Who else says who somebody is.
    pub provider: Option<Provider>,
    /// Names by which browsers may call it, without the port.
    pub hosts: Vec<String>,
    /// Where it listens.
    pub port: u16,
    /// A page waits so long for what servers say; what comes later is sent after it. None that did not answer is waited for at all.
    pub patience: Duration,
    /// The time.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The admin centre.
pub struct Centre {
    pub(crate) estate: Arc<dyn Estate>,
    pub(crate) accounts: Accounts,
    pub(crate) provider: Option<Provider>,
    pub(crate) sessions: Sessions,
    pub(crate) attempts: Attempts,
    pub(crate) plans: Plans,
    pub(crate) live: Live,
    pub(crate) rehearsals: Rehearsals,
    /// Who brings files has so many places.
    pub(crate) uploads: Semaphore,
    /// What servers said last.
    pub(crate) known: Arc<Known>,
    /// Passwords are looked at by so many at once: each takes a while and 19 MiB, on purpose.
    pub(crate) door: Semaphore,
    /// Ledgers that do not add up: by how much, and since when.
    pub(crate) gaps: Mutex<HashMap<String, (i128, Timestamp)>>,
    pub(crate) hosts: Hosts,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A request of somebody who is signed in.
pub(crate) struct Visit<'a> {
    pub(crate) centre: &'a Centre,
    pub(crate) ask: &'a Ask,
    pub(crate) person: &'a Person,
    pub(crate) ruled: Ruled<'a>,
    pub(crate) now: Timestamp,
}

impl Centre {
    /// A centre without sessions.
    #[must_use]
    pub fn new(options: CentreOptions) -> Self {
        let CentreOptions { estate, accounts, provider, hosts, port, patience, now } = options;
        let known = Arc::new(Known::new(Arc::clone(&estate), patience, Arc::clone(&now)));
        Self {
            estate,
            accounts,
            provider,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            plans: Plans::default(),
            live: Live::default(),
            rehearsals: Rehearsals::default(),
            uploads: Semaphore::new(UPLOADS),
            known,
            door: Semaphore::new(DOOR),
            gaps: Mutex::default(),
            hosts: Hosts::new(hosts, port),
            clock: now,
        }
    }

    /// Why nobody should be sent here now, if so: certificates of people do not count, and who is revoked is not known.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        self.estate.revoked_unknown()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Whether a browser has a session, before anything that it sends is read.
    pub(crate) fn is_signed_in(&self, ask: &Ask) -> bool {
        self.present(ask, ask.cookie(crate::session::COOKIE).unwrap_or_default()).is_some()
    }

    /// A request of somebody, at this moment.
    pub(crate) fn visit<'a>(&'a self, ask: &'a Ask, person: &'a Person) -> Visit<'a> {
        let ruled = Ruled::new(self.estate.as_ref(), &self.known, person);
        Visit { centre: self, ask, person, ruled, now: self.now() }
    }

    /// Who has the session, if he is still somebody: a certificate that was revoked or has ended, or an account that was ended, is
    /// nobody. While nobody knows who is revoked, whoever came by a certificate waits at the door; his session does not end by that.
    /// What a provider said counts for as long as the session: it is asked again at the next.
    pub(crate) fn present(&self, ask: &Ask, secret: &str) -> Option<Person> {
        let mut person = self.sessions.person(secret, self.now(), ask.seen.is_none())?;
        person.from = ask.from();
        if person.proof == Proof::Certificate && self.estate.revoked_unknown().is_some() {
            return None;
        }
        let counts = match person.proof {
            Proof::Account => {
                self.accounts.find(person.name()).is_some_and(|account| account.groups() == person.groups())
            }
            Proof::Certificate => self.estate.authority().not_revoked(&person.principal).is_ok(),
            Proof::Provider => true,
        };
        if !counts {
            self.sessions.end(secret);
            return None;
        }
        Some(person)
    }

    /// Whom the certificate of the connection names, if it is an administrator's that counts.
    pub(crate) fn by_certificate(&self, ask: &Ask) -> Result<Option<(Principal, Timestamp)>, String> {
        let Some(certificate) = &ask.certificate else { return Ok(None) };
        let Some((principal, until)) = self.estate.principal(certificate) else { return Ok(None) };
        if !matches!(principal.who, Who::Administrator { .. }) {
            return Ok(None);
        }
        // It was good when the connection was made, which may be long ago.
        if until <= self.now() {
            return Err("the certificate has ended; `postroad cert issue --administrator` makes another".to_owned());
        }
        let authority: Authority = self.estate.authority();
        if principal.forest != *authority.forest() {
            return Err(format!("the certificate is of forest {}, not of {}", principal.forest, authority.forest()));
        }
        if let Some(why) = self.estate.revoked_unknown() {
            return Err(why);
        }
        authority.not_revoked(&principal).map_err(|refusal| refusal.to_string())?;
        Ok(Some((principal, until)))
    }
}
