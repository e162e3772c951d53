//! The controller against a real API server for custom resources, with a real etcd below it, and the directory in another etcd.
//!
//! `POSTROAD_API_SERVER` names the program (`make test-controller` builds it); without one this is left out, aloud. It is the server of
//! Kubernetes for custom resources alone, so that Leases and events are custom resources here as well, under their own names.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Mutex;
use std::time::Duration;

use controller::{ADOPT_ANNOTATION, FINALIZER, KEEP_ANNOTATION};
use directory::Administration;
use organization::{Kind, Object};
use serde_json::{Value, json};
use support::{Premises, TestCluster, until};

/// Less than that of `until`, so that it is said what was seen.
const PATIENCE: Duration = Duration::from_secs(50);

fn connector(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "postroad.dev/v1", "kind": "SendConnector", "metadata": {"name": name}, "spec": spec})
}

fn partner() -> Value {
    connector("partner", &json!({"addressSpaces": ["partner.example"], "sourceTransportServers": ["M1"], "port": 2525}))
}

fn accepted(object: &Value) -> Option<(&str, &str)> {
    let all = object["status"]["conditions"].as_array()?;
    let one = all.iter().find(|one| one["type"] == "Accepted")?;
    Some((one["status"].as_str()?, one["message"].as_str()?))
}

/// Waits until a resource is accepted, or is not, for a reason that has these words. Says how it stood when that does not come about.
async fn stands(cluster: &TestCluster, plural: &str, name: &str, wanted: &str, words: &str) {
    let last = Mutex::new(Value::Null);
    let standing = until(async || {
        let there = cluster.get(plural, name).await?;
        *last.lock().unwrap() = there["status"].clone();
        let (status, message) = accepted(&there)?;
        (status == wanted && message.contains(words)).then_some(())
    });
    if tokio::time::timeout(PATIENCE, standing).await.is_err() {
        panic!("{plural} {name} is not {wanted} ({words}): {}", last.lock().unwrap());
    }
}

async fn stored(directory: &dyn Administration, kind: Kind, name: &str) -> Option<Object> {
    let organization = directory.snapshot().await.unwrap();
    organization::objects(organization.draft(), &[])
        .into_iter()
        .find(|object| object.kind() == kind && object.name().eq_ignore_ascii_case(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_become_the_organization_and_are_told_what_became_of_them() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    let running = premises.controller("one").await;

    // A new one: in the organization, with its revision, a finalizer and an event.
    cluster.create("sendconnectors", &partner()).await.unwrap();
    let told = until(async || {
        let there = cluster.get("sendconnectors", "partner").await?;
        (accepted(&there)? == ("True", "")).then_some(there)
    })
    .await;
    assert!(stored(premises.directory(), Kind::SendConnector, "partner").await.is_some());
    let revision = premises.directory().snapshot().await.unwrap().revision();
    assert_eq!(told["status"]["revision"], json!(revision.0));
    assert_eq!(told["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!(told["spec"], partner()["spec"], "what is not said stays unsaid: an older controller would not know it");
    // Nobody is there yet who could work by it; then one of the two servers does.
    assert_eq!(told["status"]["appliedBy"], "0/2");
    let announced = premises.announce("M1", revision);
    until(async || {
        let there = cluster.get("sendconnectors", "partner").await?;
        (there["status"]["appliedBy"] == "1/2").then_some(())
    })
    .await;
    let there = cluster.get("sendconnectors", "partner").await.unwrap();
    assert_eq!(there["status"]["servers"][0], json!({"name": "M2", "revision": 0}), "who is behind comes first");
    drop(announced);
    until(async || {
        let events = cluster.list("events", "events.k8s.io").await;
        events.iter().any(|event| event["reason"] == "Changed" && event["regarding"]["name"] == "partner").then_some(())
    })
    .await;

    // What the schema knows the API server refuses; what it cannot know is said in the status, and the last good version stays.
    let wrong = cluster.merge("sendconnectors", "partner", &json!({"spec": {"port": 70000}})).await.unwrap_err();
    assert!(wrong.contains("spec.port"), "{wrong}");
    let wrong =
        cluster.merge("sendconnectors", "partner", &json!({"spec": {"tlsAuthLevel": "Much"}})).await.unwrap_err();
    assert!(wrong.contains("Unsupported value"), "{wrong}");
    let wrong = cluster.merge("sendconnectors", "partner", &json!({"spec": {"name": "Other"}})).await.unwrap_err();
    assert!(wrong.contains("name is given once"), "{wrong}");
    cluster.merge("sendconnectors", "partner", &json!({"spec": {"sourceTransportServers": ["NOBODY"]}})).await.unwrap();
    stands(&cluster, "sendconnectors", "partner", "False", "NOBODY").await;
    let Some(Object::SendConnector(kept)) = stored(premises.directory(), Kind::SendConnector, "partner").await else {
        panic!("it is there")
    };
    assert_eq!(kept.source_transport_servers.len(), 1);
    cluster
        .merge("sendconnectors", "partner", &json!({"spec": {"sourceTransportServers": ["M1", "M2"]}}))
        .await
        .unwrap();
    until(async || {
        let Some(Object::SendConnector(now)) = stored(premises.directory(), Kind::SendConnector, "partner").await
        else {
            return None;
        };
        (now.source_transport_servers.len() == 2).then_some(())
    })
    .await;

    // Deleted in the cluster: deleted here, and only that.
    cluster.delete("sendconnectors", "partner").await.unwrap();
    until(async || cluster.get("sendconnectors", "partner").await.is_none().then_some(())).await;
    assert!(stored(premises.directory(), Kind::SendConnector, "partner").await.is_none());
    assert!(stored(premises.directory(), Kind::SendConnector, "Internet").await.is_some());
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_stays_when_its_resource_goes() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    let running = premises.controller("one").await;
    cluster.create("sendconnectors", &partner()).await.unwrap();
    stands(&cluster, "sendconnectors", "partner", "True", "").await;
    let keep = json!({"metadata": {"annotations": {KEEP_ANNOTATION: "true"}}});
    cluster.merge("sendconnectors", "partner", &keep).await.unwrap();
    cluster.delete("sendconnectors", "partner").await.unwrap();
    until(async || cluster.get("sendconnectors", "partner").await.is_none().then_some(())).await;
    assert!(stored(premises.directory(), Kind::SendConnector, "partner").await.is_some());
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_made_is_taken_over_only_where_it_is_said_and_then_put_back() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    let running = premises.controller("one").await;
    let spec = json!({"name": "Internet", "addressSpaces": ["*"], "sourceTransportServers": ["M1"], "port": 2526});
    cluster.create("sendconnectors", &connector("internet", &spec)).await.unwrap();
    stands(&cluster, "sendconnectors", "internet", "False", ADOPT_ANNOTATION).await;
    let port = async || match stored(premises.directory(), Kind::SendConnector, "Internet").await {
        Some(Object::SendConnector(connector)) => connector.port,
        _ => 0,
    };
    assert_eq!(port().await, 25);
    let adopt = json!({"metadata": {"annotations": {ADOPT_ANNOTATION: "true"}}});
    cluster.merge("sendconnectors", "internet", &adopt).await.unwrap();
    until(async || (port().await == 2526).then_some(())).await;
    stands(&cluster, "sendconnectors", "internet", "True", "").await;

    // By `postroad apply`: the cluster says otherwise.
    premises
        .apply(|text| text.replace("sourceTransportServers: [M1]", "sourceTransportServers: [M1], port: 2600"))
        .await;
    until(async || {
        let events = cluster.list("events", "events.k8s.io").await;
        events.iter().any(|event| event["reason"] == "Restored").then_some(())
    })
    .await;
    assert_eq!(port().await, 2526);

    // While the controller is away its resource is deleted: it hears of that when it is back.
    running.end().await;
    cluster.delete("sendconnectors", "internet").await.unwrap();
    assert!(cluster.get("sendconnectors", "internet").await.is_some(), "the finalizer keeps it");
    let running = premises.controller("one").await;
    until(async || cluster.get("sendconnectors", "internet").await.is_none().then_some(())).await;
    assert!(stored(premises.directory(), Kind::SendConnector, "Internet").await.is_none());
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_and_their_links_come_together_and_go_when_nothing_needs_them() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    let running = premises.controller("one").await;
    let of = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "postroad.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let link = json!({"name": "Berlin-Paris", "sites": ["Berlin", "Paris"], "cost": 7});
    cluster.create("sitelinks", &of("SiteLink", "berlin-paris", link)).await.unwrap();
    cluster.create("sites", &of("Site", "paris", json!({"name": "Paris", "subnets": ["10.3.0.0/16"]}))).await.unwrap();
    let domain = json!({"name": "Fabrikam", "domainName": "fabrikam.example"});
    cluster.create("accepteddomains", &of("AcceptedDomain", "fabrikam", domain)).await.unwrap();
    let printers = json!({"name": "Printers", "server": "M1", "bindings": ["0.0.0.0:2527"], "remoteIPRanges": ["192.0.2.0/24"],
        "maxMessageSize": "1MB", "connectionTimeout": "00:20:00"});
    cluster.create("receiveconnectors", &of("ReceiveConnector", "printers", printers)).await.unwrap();
    for (plural, name) in [
        ("sitelinks", "berlin-paris"),
        ("sites", "paris"),
        ("accepteddomains", "fabrikam"),
        ("receiveconnectors", "printers"),
    ] {
        stands(&cluster, plural, name, "True", "").await;
    }
    assert!(stored(premises.directory(), Kind::ReceiveConnector, "M1\\Printers").await.is_some());
    // A site that a link needs stays, and says why; with the link it goes.
    cluster.delete("sites", "paris").await.unwrap();
    stands(&cluster, "sites", "paris", "False", "Berlin-Paris").await;
    cluster.delete("sitelinks", "berlin-paris").await.unwrap();
    until(async || cluster.get("sites", "paris").await.is_none().then_some(())).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_controllers_one_works_and_the_other_takes_over() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    let holder = async || {
        let lease = cluster.get_of("coordination.k8s.io", "leases", "postroad-controller").await?;
        lease["spec"]["holderIdentity"].as_str().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let one = premises.controller("one").await;
    until(async || (holder().await? == "one").then_some(())).await;
    let two = premises.controller("two").await;
    cluster.create("sendconnectors", &partner()).await.unwrap();
    stands(&cluster, "sendconnectors", "partner", "True", "").await;
    assert_eq!(holder().await.as_deref(), Some("one"));
    // One that ends gives the lease up; one that dies would be waited for.
    one.end().await;
    until(async || (holder().await? == "two").then_some(())).await;
    cluster.delete("sendconnectors", "partner").await.unwrap();
    until(async || cluster.get("sendconnectors", "partner").await.is_none().then_some(())).await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_goes_away_and_comes_back_is_followed_again() {
    let Some(mut premises) = Premises::open().await else { return };
    let running = premises.controller("one").await;
    premises.cluster().create("sendconnectors", &partner()).await.unwrap();
    let cluster = premises.cluster();
    stands(&cluster, "sendconnectors", "partner", "True", "").await;
    premises.restart_api_server().await;
    let cluster = premises.cluster();
    cluster.merge("sendconnectors", "partner", &json!({"spec": {"port": 2527}})).await.unwrap();
    until(async || {
        let Some(Object::SendConnector(now)) = stored(premises.directory(), Kind::SendConnector, "partner").await
        else {
            return None;
        };
        (now.port == 2527).then_some(())
    })
    .await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_the_api_server_takes_no_more_stops_none_of_the_others() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    cluster.create("sendconnectors", &connector("stuck", &partner()["spec"])).await.unwrap();
    let mut definition = controller::definitions::definition(Kind::SendConnector);
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{"rule": "self.metadata.name != 'stuck'", "message": "no"}]);
    cluster.redefine(&definition).await;
    let mut number = 0;
    until(async || {
        number += 1;
        let label = json!({"metadata": {"labels": {"number": number.to_string()}}});
        cluster.merge("sendconnectors", "stuck", &label).await.err()
    })
    .await;
    let running = premises.controller("one").await;
    for name in ["first", "second", "third"] {
        let spec = json!({"addressSpaces": [format!("{name}.example")], "sourceTransportServers": ["M1"]});
        cluster.create("sendconnectors", &connector(name, &spec)).await.unwrap();
        stands(&cluster, "sendconnectors", name, "True", "").await;
    }
    assert!(stored(premises.directory(), Kind::SendConnector, "stuck").await.is_none(), "nobody would know of it");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_accepted() {
    let Some(premises) = Premises::open().await else { return };
    let cluster = premises.cluster();
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/k8s");
    let organization = std::fs::read_to_string(deploy.join("overlays/trying/organization.yaml")).unwrap();
    premises.apply(|_| organization.clone()).await;
    let running = premises.controller("one").await;
    let text = std::fs::read_to_string(deploy.join("examples/resources.yaml")).unwrap();
    let examples: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(examples.len(), 5);
    let plural = |example: &Value| format!("{}s", example["kind"].as_str().unwrap().to_lowercase());
    for example in &examples {
        cluster.create(&plural(example), example).await.unwrap();
    }
    for example in &examples {
        stands(&cluster, &plural(example), example["metadata"]["name"].as_str().unwrap(), "True", "").await;
    }
    running.end().await;
}
