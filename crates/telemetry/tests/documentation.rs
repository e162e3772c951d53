//! The page of metrics is made from the catalogue: it cannot say something else. Neither can the dashboard and the alerts.

use std::collections::BTreeSet;
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

/// The words of a text that are names of metrics, not beginnings of patterns; those of a histogram's series count as the
/// histogram's.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || "_:".contains(character)));
    let names = words.filter(|word| word.starts_with("postroad_") && !word.ends_with('_'));
    names
        .map(|name| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_nothing_else_and_alerts_ask_for_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/compose");
    let read = |name: &str| metrics_in(&std::fs::read_to_string(folder.join(name)).unwrap());
    let catalogue: BTreeSet<String> =
        telemetry::catalogue::ALL.iter().map(telemetry::catalogue::Instrument::prometheus_name).collect();
    assert_eq!(read("grafana/dashboards/postroad.json"), catalogue);
    let alerts = read("prometheus/alerts.yml");
    assert!(!alerts.is_empty() && alerts.is_subset(&catalogue), "{alerts:?}");
}

/// Indented, so that it is a part of a YAML document.
fn indented(text: &str, spaces: usize) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{}{line}\n", " ".repeat(spaces)) };
    text.lines().map(line).collect()
}

/// What Kubernetes has of alerts and dashboard is what containers have, in its own clothes.
#[test]
fn kubernetes_has_the_same_alerts_and_the_same_dashboard() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let read = |name: &str| std::fs::read_to_string(deploy.join("compose").join(name)).unwrap();
    let alerts = read("prometheus/alerts.yml");
    let groups = &alerts[alerts.find("groups:").unwrap()..];
    let note =
        |of: &str| format!("# Made of deploy/compose/{of} by a test of crate telemetry; {REWRITE}=1 writes it anew.\n");
    let rules = format!(
        "{}apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{name: postroad}}\nspec:\n{}",
        note("prometheus/alerts.yml"),
        indented(groups, 2)
    );
    let dashboard = format!(
        "{}apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: dashboard\n  labels: {{grafana_dashboard: \"1\"}}\ndata:\n  postroad.json: |\n{}",
        note("grafana/dashboards/postroad.json"),
        indented(&read("grafana/dashboards/postroad.json"), 4)
    );
    for (name, wanted) in [("rules.yaml", rules), ("dashboard.yaml", dashboard)] {
        let path = deploy.join("k8s/monitoring").join(name);
        if std::env::var_os(REWRITE).is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == wanted, "run the test with {REWRITE}=1 to write deploy/k8s/monitoring/{name} anew");
    }
}
