//! The way to a delivery group as it was planned: the stops, and the servers in the order of connection attempts.

use envelope::{ServerName, SiteName};

use crate::path::Path;
use crate::rule::RuleId;

/// RT-38: a server on the way.
pub(crate) const BACKOFF: RuleId = RuleId("RT-38");

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whom the connection is opened to.
    pub server: ServerName,
    /// Where it stands; servers of one site and reason are equals (RT-24).
    pub site: SiteName,
    /// Why it stands here.
    pub reason: RuleId,
}

/// How mail gets to its delivery group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The least-cost path to the primary site. The mail does not travel along it: it decides proximity, hubs and
    /// backoff (RT-14).
    pub path: Path,
    /// Sites in which the mail stops: every hub on the path, and the primary site. Empty inside the local site.
    pub stops: Vec<SiteName>,
    /// Servers in the order of connection attempts; those of equal standing by name. When all fail the mail waits here
    /// (RT-39). Of a Send connector they are the front ends that it leaves through; none when it leaves from this server.
    pub attempts: Vec<Attempt>,
}

impl Way {
    /// The group's nearest site (RT-20).
    #[must_use]
    pub fn primary_site(&self) -> &SiteName {
        self.path.destination()
    }

    /// The attempts for one connection: servers of equal standing share the load by `rotation`, a counter that starts
    /// anywhere, and those that `failed` come last among their equals (RT-24).
    pub fn attempts_from(&self, rotation: u64, failed: impl Fn(&ServerName) -> bool) -> Vec<&Attempt> {
        rotate(self.attempts.iter().collect(), rotation, failed)
    }

    /// As [`attempts_from`](Self::attempts_from), for a message that was backed off before: it is never backed off
    /// through one of the sites that it `passed` (RT-42).
    pub fn attempts_avoiding(
        &self,
        passed: &[SiteName],
        rotation: u64,
        failed: impl Fn(&ServerName) -> bool,
    ) -> Vec<&Attempt> {
        let allowed = |attempt: &&Attempt| !attempt.is_backoff() || !passed.contains(&attempt.site);
        rotate(self.attempts.iter().filter(allowed).collect(), rotation, failed)
    }
}

impl Attempt {
    /// Whether the server stands on the way only, so that mail that it takes was backed off to it (RT-38).
    #[must_use]
    pub fn is_backoff(&self) -> bool {
        self.reason == BACKOFF
    }
}

/// Rotates each run of attempts with the same site and reason (RT-24).
pub(crate) fn rotate<A: std::borrow::Borrow<Attempt>>(
    mut attempts: Vec<A>,
    rotation: u64,
    failed: impl Fn(&ServerName) -> bool,
) -> Vec<A> {
    let equals = |a: &A, b: &A| (a.borrow().reason, &a.borrow().site) == (b.borrow().reason, &b.borrow().site);
    for run in attempts.chunk_by_mut(equals) {
        let by = usize::try_from(rotation % run.len() as u64).expect("less than the length of a slice");
        run.rotate_left(by);
        run.sort_by_key(|attempt| failed(&attempt.borrow().server));
    }
    attempts
}
