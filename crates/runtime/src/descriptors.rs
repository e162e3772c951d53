//! File descriptors: a process may have as many as the system lets it, from the start, and knows how many that are.
//!
//! Systems give a process 1,024 at first, for programs that know no better, and let it have many more when it asks
//! (getrlimit(2), systemd's `LimitNOFILE`).

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As many descriptors as are unsuspicious: of fewer, services say that they are few.
pub const DESCRIPTORS_FEW: u64 = 4096;

/// Asks for as many as the system lets this process have; says so when they are few.
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of file descriptors cannot be raised");
    }
    let limit = limit();
    if limit < DESCRIPTORS_FEW {
        tracing::warn!(
            limit,
            "this process may open few files and connections: raise LimitNOFILE of the service, or `ulimit -Hn`"
        );
    }
}

/// How many descriptors this process may have.
#[must_use]
pub fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(DESCRIPTORS_FEW, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_had_is_asked_for() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(256), hard).unwrap();
        raise_limit();
        assert_eq!(limit(), hard);
    }
}
