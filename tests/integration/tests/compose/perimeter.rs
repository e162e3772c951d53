//! The Edge server of `deploy/compose/perimeter.yaml`, which `compose.sh up` has subscribed: a message in, and one out. What it reaches
//! and who reaches it is tried with all the other doors ([`crate::inside`]).

#![expect(clippy::disallowed_methods, reason = "messages of a test are of now")]

use std::net::SocketAddr;

use envelope::{Address, ReversePath};
use lab::client::submit;
use lab::{Submission, TestMessage};

use crate::stack::Stack;

fn message(from: &str, to: &str) -> TestMessage {
    let address = |text| Address::parse(text).unwrap();
    let now = std::time::SystemTime::now().into();
    TestMessage::new("by the perimeter", ReversePath::Address(address(from)), vec![address(to)], now)
}

pub(crate) async fn mail_passes_it(stack: &Stack) {
    let into = message("visitor@tailspin.example", "olga@contoso.example");
    let at: SocketAddr = format!("{}:2525", stack.within("104.10")).parse().unwrap();
    let submission = Submission::new(at, into.sender.clone(), into.recipients.clone(), into.content());
    submit(&submission).await.unwrap();
    let mailbox = "/lab/servers/OSLO1/state/mailboxes/DB-Oslo1/olga/Maildir";
    until_found(stack, &format!("grep -rl '{}' {mailbox}/new", into.message_id())).await;

    let nobody = message("visitor@tailspin.example", "nobody@contoso.example");
    let submission = Submission::new(at, nobody.sender.clone(), nobody.recipients.clone(), nobody.content());
    let refused = submit(&submission).await.unwrap_err().to_string();
    assert!(refused.contains("5.1.1"), "the Edge server was told who is there: {refused}");

    let out = message("olga@contoso.example", "desk@tailspin.example");
    let content = String::from_utf8(out.content()).unwrap().replace('\r', "");
    let outbox = format!("{mailbox}/.Outbox");
    let name = out.unique;
    let put = format!(
        "mkdir -p {outbox}/tmp {outbox}/new {outbox}/cur && cat >{outbox}/tmp/{name} <<'END'\n{content}\nEND\n\
         mv {outbox}/tmp/{name} {outbox}/new/{name}"
    );
    stack.tools(&put).await;
    let deliveries = "/lab/internet/deliveries/deliveries.jsonl";
    let by_edge = format!("grep '{}' {deliveries} | grep edge1.contoso.example", out.message_id());
    until_found(stack, &by_edge).await;
    stack.report("perimeter: a message in, one out, nobody refused");
}

/// Waits until a command in `tools` finds something.
async fn until_found(stack: &Stack, command: &str) {
    testkit::until(command, async || {
        let found = stack.try_docker(&["exec", "@tools", "sh", "-c", command]).await;
        found.status.success().then_some(())
    })
    .await;
}
