//! SIGTERM and SIGINT become one drain: stop taking work, settle what is in hand, exit.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

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
