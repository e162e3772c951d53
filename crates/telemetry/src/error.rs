//! Why telemetry cannot be set up.

/// Telemetry that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a log filter.
    #[error("{filter:?} is not a log filter: {cause}")]
    LogFilter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        cause: String,
    },
    /// An exporter refused its settings.
    #[error("cannot set up the export to {endpoint}: {cause}")]
    Collector {
        /// The collector.
        endpoint: String,
        /// What is wrong.
        cause: String,
    },
    /// The Prometheus exporter refused.
    #[error("cannot set up metrics: {0}")]
    Metrics(String),
}
