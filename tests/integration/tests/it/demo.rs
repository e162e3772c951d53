//! `postroad lab demo`: two sites, four servers, an Edge server and a gateway, fifteen ways that mail can take, in one command.

use crate::support::run_postroad;

async fn every_message_ends_as_it_should(more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["lab", "demo", "--lab", folder.path().to_str().unwrap()], more].concat();
    let ended = run_postroad(&arguments).await;
    let said = String::from_utf8_lossy(&ended.stdout);
    let complete = ended.status.success() && said.contains("15 of 15 messages ended as they should.");
    assert!(complete, "{}\n{said}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test]
async fn the_demo_on_the_embedded_directory() {
    every_message_ends_as_it_should(&[]).await;
}

#[tokio::test]
async fn the_demo_on_etcd() {
    every_message_ends_as_it_should(&["--etcd"]).await;
}
