//! What an administrator sees of the queues: where each message is, why, and by which decision.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::sync::Arc;
use std::time::SystemTime;

use admin_api::Administrator;
use admin_api::queues::{MessageEntry, MessagesRequest, QueueEntry};
use authority::RoleGroup;
use envelope::{ObjectName, Revision};
use futures::StreamExt;
use rpc::{Credentials, RecipientDelivery};
use testkit::dns::Record;
use testkit::until;

use crate::support::{MESSAGE, ORGANIZATION, Scene, reply};

pub(crate) fn administrator(scene: &Scene) -> Administrator {
    let authority = scene.world.authority();
    let own = authority
        .issue_administrator(
            &ObjectName::parse("anna").unwrap(),
            &[RoleGroup::ViewOnlyOrganizationManagement].into(),
            SystemTime::now().into(),
        )
        .unwrap();
    Administrator::new(Arc::new(Credentials::new(own, authority.certificate_pem().to_owned())))
}

async fn waiting(scene: &Scene, queue: &str, status: &str) -> (QueueEntry, MessageEntry) {
    waiting_on(scene, "MAIL1", queue, status).await
}

/// Waits until the queue of that name holds one message with that status, and gives both.
pub(crate) async fn waiting_on(scene: &Scene, server: &str, queue: &str, status: &str) -> (QueueEntry, MessageEntry) {
    let (administrator, at) = (administrator(scene), scene.transport(server).await);
    until(&format!("{status} in {queue}"), async || {
        let queues = administrator.queues(&at).await.unwrap();
        let found = queues.into_iter().find(|found| *found.name == *queue && found.message_count == 1)?;
        let request = MessagesRequest { queue: Some(found.number), ..MessagesRequest::default() };
        let mut messages = administrator.messages(&at, request).await.unwrap();
        let message = messages.next().await?.unwrap();
        (&*message.status == status).then_some((found, message))
    })
    .await
}

/// Waits until so many recipients have failed and their sender is told of it later.
pub(crate) async fn told_later(scene: &Scene, count: usize) {
    let (administrator, at) = (administrator(scene), scene.transport("MAIL1").await);
    until(&format!("{count} recipients of whom the sender is told later"), async || {
        let messages: Vec<_> = administrator.messages(&at, MessagesRequest::default()).await.unwrap().collect().await;
        let later = messages.into_iter().map(Result::unwrap).filter(|message| {
            message.last_error.as_ref().is_some_and(|error| error.contains("told of others a moment ago"))
        });
        (later.map(|message| message.recipients.len()).sum::<usize>() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_message_tells_why_it_waits_and_by_which_decision() {
    let slow = ORGANIZATION.replace("messageRetryInterval: '00:00:01'", "messageRetryInterval: '00:30:00'");
    let scene = Scene::new(&slow).await;
    scene.mailboxes.answer("ann@contoso.com", RecipientDelivery::Retry(reply(450, (4, 2, 2), "Mailbox full")));
    let running = scene.start("MAIL1").await;
    scene.submit("joe@contoso.com", &["ann@contoso.com", "bob@contoso.com"]).await;
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    let (queue, message) = waiting(&scene, "DB1", "Retry").await;
    assert_eq!((&*queue.delivery_type, queue.deferred_message_count), ("SmtpDeliveryToMailbox", 1));
    assert_eq!(message.sender.to_string(), "joe@contoso.com");
    let recipients: Vec<_> = message.recipients.iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["ann@contoso.com"], "what was delivered waits no longer");
    assert!(message.size.as_u64() > MESSAGE.len() as u64, "with our own trace line");
    assert!(message.last_error.is_some_and(|error| error.contains("Mailbox full")) && message.next_retry.is_some());
    assert_eq!(message.retry_count, 1);
    let decision = message.decision.unwrap();
    assert_eq!((decision.revision, &*decision.next_hop_domain), (running.node.revision(), "DB1"));
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_a_route_is_in_the_unreachable_queue() {
    // QU-10
    let scene = Scene::new(ORGANIZATION).await;
    let running = scene.start("MAIL1").await;
    scene.submit("joe@contoso.com", &["sales@fabrikam.com"]).await;
    let (queue, message) = waiting(&scene, "Unreachable", "Ready").await;
    assert_eq!((&*queue.delivery_type, &*queue.next_hop_domain), ("Unreachable", "Unreachable Domain"));
    let error = "A matching connector cannot be found to route the external recipient";
    assert_eq!(message.last_error.as_deref(), Some(error));
    let decision = message.decision.unwrap();
    assert!(decision.revision > Revision::default());
    assert_eq!(&*decision.rule, "QU-10");
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_ends_at_its_limit_and_names_each_message_once() {
    let scene = Scene::new(ORGANIZATION).await;
    let running = scene.start("MAIL1").await;
    // More than are looked up at once.
    for _ in 0..300 {
        scene.submit("joe@contoso.com", &["sales@fabrikam.com"]).await;
    }
    let (administrator, at) = (administrator(&scene), scene.transport("MAIL1").await);
    until("all to be without a route", async || {
        let queues = administrator.queues(&at).await.unwrap();
        queues.iter().any(|queue| &*queue.name == "Unreachable" && queue.message_count == 300).then_some(())
    })
    .await;
    for (limit, expected) in [(7, 7), (0, 300), (299, 299)] {
        let messages =
            administrator.messages(&at, MessagesRequest { limit, ..MessagesRequest::default() }).await.unwrap();
        let ids: std::collections::BTreeSet<_> = messages.map(|message| message.unwrap().id).collect().await;
        assert_eq!(ids.len(), expected, "limit {limit}");
    }
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_of_a_secured_domain_names_it() {
    // TA-46; QU-22
    let dns = testkit::dns::serve(&[
        ("fabrikam.com", Record::Mx(10, "mx.fabrikam.com")),
        ("other.com", Record::Mx(10, "mx.fabrikam.com")),
        ("mx.fabrikam.com", Record::A([127, 0, 0, 1].into())),
    ])
    .await;
    // Nobody listens there.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let organization = ORGANIZATION.replace("transport: {", &format!("transport: {{internalDNSServers: ['{dns}'], "));
    let lists = "transportConfig: {tlsSendDomainSecureList: [fabrikam.com], privateTargetRanges: ['127.0.0.1']}\n";
    for (secured, expected) in [
        ("domainSecureEnabled: true", Some("fabrikam.com")),
        ("domainSecureEnabled: false", None),
        ("domainSecureEnabled: true, frontendProxyEnabled: true", None),
        // What the connector wants of certificates is another matter.
        ("requireTLS: true, tlsAuthLevel: DomainValidation, tlsDomain: '*.fabrikam.com'", None),
    ] {
        let connector = format!(
            "sendConnectors: [{{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1], port: {gone}, {secured}}}]\n"
        );
        let scene = Scene::new(&format!("{organization}{lists}{connector}")).await;
        let running = scene.start("MAIL1").await;
        scene.submit("ann@contoso.com", &["x@fabrikam.com"]).await;
        scene.submit("ann@contoso.com", &["x@other.com"]).await;
        let (administrator, at) = (administrator(&scene), scene.transport("MAIL1").await);
        let queue = |domain: &'static str| {
            let (administrator, at) = (&administrator, &at);
            async move {
                until(domain, async || {
                    let queues = administrator.queues(at).await.unwrap();
                    queues.into_iter().find(|found| &*found.next_hop_domain == domain)
                })
                .await
            }
        };
        assert_eq!(queue("fabrikam.com").await.tls_domain.as_deref(), expected, "{secured}");
        assert_eq!(queue("other.com").await.tls_domain, None, "{secured}");
        running.drain().await;
    }
}
