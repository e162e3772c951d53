//! Says once when the collector goes away and once when it is back. The library would log an error for every batch.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// A span exporter whose failures are logged when they begin and when they end.
#[derive(Debug)]
pub(crate) struct Watched<E> {
    inner: E,
    endpoint: String,
    away: AtomicBool,
}

impl<E> Watched<E> {
    pub(crate) fn new(inner: E, endpoint: String) -> Self {
        Self { inner, endpoint, away: AtomicBool::new(false) }
    }

    fn note<C: fmt::Display>(&self, outcome: Result<(), C>) {
        let was_away = self.away.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(cause) if !was_away => {
                tracing::warn!(endpoint = self.endpoint, %cause, "the collector is away: traces are dropped");
            }
            Ok(()) if was_away => tracing::info!(endpoint = self.endpoint, "the collector is back"),
            _ => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.note(self.inner.export(batch).await);
        // Told already. Nobody above could do anything about it.
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::tests::logged;
    use crate::logs::{LogFormat, LogSettings};

    #[test]
    fn an_absence_is_told_once_and_its_end_too() {
        let watched = Watched::new((), "http://collector:4317".to_owned());
        let settings = LogSettings { format: LogFormat::Json, ..LogSettings::default() };
        let text = logged(&settings, || {
            for outcome in [Ok(()), Err("refused"), Err("refused"), Ok(()), Ok(()), Err("timeout")] {
                watched.note(outcome);
            }
        });
        let told = text.lines().map(|line| line.contains(r#""level":"WARN""#)).collect::<Vec<_>>();
        assert_eq!(told, [true, false, true], "{text}");
        assert!(text.contains("refused") && text.contains("http://collector:4317"), "{text}");
    }
}
