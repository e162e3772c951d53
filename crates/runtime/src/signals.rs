//! SIGTERM and SIGINT become one drain: stop taking work, settle what is in hand, exit.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A service that has been told to stop exits within this time. Kubernetes kills after 30 s by default.
pub const DRAIN_BOUND: Duration = Duration::from_secs(25);

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at once; what was acknowledged
/// is durable, so nothing is lost by that either.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn drain_on_signals() -> std::io::Result<CancellationToken> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let drain = CancellationToken::new();
    let token = drain.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
            if first {
                tracing::info!("draining: no new work is taken; a second signal ends at once");
                token.cancel();
            } else {
                std::process::exit(130);
            }
        }
    });
    Ok(drain)
}
