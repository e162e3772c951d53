//! The page of metrics is made from the catalogue: it cannot say something else.

use std::path::Path;

/// Set to write the page instead of comparing it.
const REWRITE: &str = "POSTROAD_REWRITE";

#[test]
fn the_page_of_metrics_is_that_of_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let wanted = telemetry::catalogue::markdown();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, wanted, "run the test with {REWRITE}=1 to write docs/metrics.md anew");
}
