//! A real Prometheus beside the containers: its files are valid, it sees every service, every panel of the dashboard shows
//! something, and what is broken is told.

use serde_json::Value;
use telemetry::probe;

use crate::stack::{ETCD, SERVERS, SERVICES, Server, Stack, root};

const DASHBOARD: &str = "deploy/compose/grafana/dashboards/postroad.json";
/// How the description of a panel begins that shows nothing while all is well.
const EMPTY: &str = "Empty while ";

/// What Prometheus answers; its reason if it does not understand the question.
async fn ask(stack: &Stack, path: &str) -> Result<Value, String> {
    let answer = probe::ask(stack.prometheus(), path).await.map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))?;
    if value["status"] == "success" { Ok(value["data"].clone()) } else { Err(value["error"].to_string()) }
}

/// The series that an expression has now, with their numbers.
async fn query(stack: &Stack, expression: &str) -> Result<Vec<(Value, f64)>, String> {
    let encoded: String = expression.bytes().map(|octet| format!("%{octet:02X}")).collect();
    let data = ask(stack, &format!("/api/v1/query?query={encoded}")).await?;
    let series = data["result"].as_array().ok_or("no vector")?;
    let number = |series: &Value| series["value"][1].as_str().and_then(|number| number.parse().ok());
    Ok(series.iter().filter_map(|series| Some((series["metric"].clone(), number(series)?))).collect())
}

/// By Prometheus' own tool: the configuration, and when each alert speaks.
pub(crate) async fn the_files_are_valid(stack: &Stack) {
    // Tests of rules write, and only the folder of its data is for that.
    let tool = ["exec", "--env", "TMPDIR=/prometheus", "@prometheus", "promtool"];
    stack.docker(&[&tool[..], &["check", "config", "/etc/prometheus/prometheus.yml"]].concat()).await;
    stack.docker(&[&tool[..], &["test", "rules", "/rules/alerts.test.yml"]].concat()).await;
}

/// Every service of every server, and every member of etcd.
pub(crate) async fn every_target_is_up(stack: &Stack) {
    let mut last = String::new();
    let up = testkit::until("every target of Prometheus is up", async || {
        let data = ask(stack, "/api/v1/targets?state=active").await.ok()?;
        let targets = data["activeTargets"].as_array()?.clone();
        let down: Vec<_> = targets.iter().filter(|target| target["health"] != "up").collect();
        let now = format!("{} targets; not up: {down:?}", targets.len());
        (now != last).then(|| last.clone_from(&now));
        down.is_empty().then_some(targets.len())
    })
    .await;
    // One is the admin service.
    assert_eq!(up, SERVERS.len() * SERVICES.len() + 1 + ETCD.len(), "{last}");
    stack.report(&format!("Prometheus: {up} of {up} targets are up"));
}

/// Every expression of the dashboard is understood, and has a number now unless its panel says when it has none.
pub(crate) async fn every_panel_has_data(stack: &Stack) {
    let text = std::fs::read_to_string(root().join(DASHBOARD)).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut expressions, mut empty) = (0, 0);
    for panel in panels {
        let may_be_empty = panel["description"].as_str().unwrap().starts_with(EMPTY);
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap().replace("$server", ".+");
            assert!(!expression.contains('$'), "{expression}: a variable that this test does not know");
            expressions += 1;
            testkit::until(&format!("data in \"{}\": {expression}", panel["title"]), async || {
                let series = query(stack, &expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
                let some = series.iter().any(|(_, number)| number.is_finite());
                empty += usize::from(!some && may_be_empty);
                (some || may_be_empty).then_some(())
            })
            .await;
        }
    }
    stack.report(&format!(
        "dashboard: {} panels, {expressions} expressions, {empty} of them empty as they say",
        panels.len()
    ));
}

/// Waits until an alert about a server is at least pending, so often.
pub(crate) async fn alerts(stack: &Stack, name: &str, server: Server, count: usize) {
    let expression = format!("ALERTS{{alertname=\"{name}\", server=\"{}\"}}", server.name.to_uppercase());
    testkit::until(&format!("{count} of {expression}"), async || {
        (query(stack, &expression).await.ok()?.len() >= count).then_some(())
    })
    .await;
}

/// At the end everything answers again, nothing is unaccounted for, and no alert is left.
pub(crate) async fn nothing_is_wrong(stack: &Stack) {
    every_target_is_up(stack).await;
    testkit::until("nothing is unaccounted for, says Prometheus", async || {
        let servers = query(stack, "server:postroad_messages_unaccounted").await.ok()?;
        (servers.len() == SERVERS.len() && servers.iter().all(|(_, number)| *number == 0.0)).then_some(())
    })
    .await;
    let rules = ask(stack, "/api/v1/rules").await.unwrap();
    let rules: Vec<_> =
        rules["groups"].as_array().unwrap().iter().filter_map(|group| group["rules"].as_array()).collect();
    assert!(rules.iter().copied().flatten().all(|rule| rule["health"] == "ok"), "{rules:?}");
    testkit::until("no alert is left", async || query(stack, "ALERTS").await.ok()?.is_empty().then_some(())).await;
    let seen = query(stack, "count by (alertname, alertstate, server) (max_over_time(ALERTS[2h]))").await.unwrap();
    for (labels, services) in seen {
        let word = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
        stack.report(&format!("seen: {} {} {} ({services})", word("alertname"), word("server"), word("alertstate")));
    }
}
