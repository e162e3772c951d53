//! Three sites and a hub, as `deploy/lab/three-sites.yaml` has them: where mail stops, divides, backs off and waits, read from
//! its traces and from the queues as an administrator sees them.
//!
//! ```text
//!   Berlin ── Hamburg (hub) ── Oslo ── Bergen
//! ```

use std::sync::Arc;
use std::time::Duration;

use admin_api::Administrator;
use admin_api::queues::{MessageEntry, MessagesRequest, PeerEntry, QueueEntry};
use envelope::Address;
use futures::StreamExt;
use lab::traces::Span;
use net::{KeyedCertificate, Service};
use rpc::Credentials;

use crate::support::{Lab, Wire, peer_address, run_postroad, test_message};

const LAB: &str = include_str!("../../../../deploy/lab/three-sites.yaml");
const SITE_RELAY: &str = "SmtpRelayToRemoteActiveDirectorySite";
const GROUP_RELAY: &str = "SmtpRelayToMailboxDeliveryGroup";

/// Whoever runs the lab, looking at one server.
struct Eyes<'a> {
    lab: &'a Lab,
    administrator: Administrator,
}

impl<'a> Eyes<'a> {
    fn of(lab: &'a Lab) -> Self {
        let identity = lab.server("BERLIN1").identity_path();
        let own = KeyedCertificate::load_from(&identity.join("administrator")).unwrap();
        let authority = std::fs::read_to_string(identity.join("ca.pem")).unwrap();
        Self { lab, administrator: Administrator::new(Arc::new(Credentials::new(own, authority))) }
    }

    async fn queues(&self, server: &str) -> Vec<QueueEntry> {
        self.administrator.queues(&peer_address(self.lab, server, Service::Transport)).await.unwrap()
    }

    async fn peers(&self, server: &str) -> Vec<PeerEntry> {
        self.administrator.peers(&peer_address(self.lab, server, Service::Transport)).await.unwrap()
    }

    async fn messages(&self, server: &str) -> Vec<MessageEntry> {
        let at = peer_address(self.lab, server, Service::Transport);
        let messages = self.administrator.messages(&at, MessagesRequest::default()).await.unwrap();
        messages.map(|message| message.unwrap()).collect().await
    }

    /// Waits until a queue of that name waits for a retry with one message, and gives both.
    async fn waits(&self, server: &str, queue: &str) -> (QueueEntry, MessageEntry) {
        testkit::until(&format!("{queue} in Retry on {server}"), async || {
            let found = self.queues(server).await.into_iter().find(|found| *found.name == *queue)?;
            let messages = self.messages(server).await;
            let message = messages.into_iter().find(|message| message.queue == found.number)?;
            (&*found.status == "Retry" && found.message_count == 1).then_some((found, message))
        })
        .await
    }

    async fn is_empty(&self, server: &str) {
        testkit::until(&format!("nothing to wait on {server}"), async || {
            let waiting: u64 = self.queues(server).await.iter().map(|queue| queue.message_count).sum();
            (waiting == 0).then_some(())
        })
        .await
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> &'a str {
    span.attribute(key).unwrap_or_default()
}

/// Spans by which a message left `server`, in order.
fn from<'a>(spans: &'a [Span], server: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.server == server).collect()
}

/// RT-27, RT-31, RT-32: two recipients behind the hub are one copy up to it and two from it.
async fn mail_stops_at_the_hub_and_divides_there(lab: &Lab) {
    let mut message = test_message("anna@contoso.example", "olga@contoso.example");
    message.recipients.push(Address::parse("bjorn@contoso.example").unwrap());
    assert!(Wire::connector(lab, "BERLIN1").send(&message).await);
    let id = message.message_id();
    lab.inbox("OSLO1", "DB-Oslo", "olga").wait_for(&id).await;
    lab.inbox("BERGEN1", "DB-Bergen", "bjorn").wait_for(&id).await;
    // To the hub; from it, to each site; into each mailbox.
    let spans = lab.wait_for_spans(&id, "transfer", 5).await;
    let [to_hub] = from(&spans, "BERLIN1").try_into().expect("one copy leaves Berlin");
    assert_eq!(attribute(to_hub, "postroad.delivery_type"), SITE_RELAY);
    assert_eq!((attribute(to_hub, "postroad.next_hop"), attribute(to_hub, "postroad.recipients")), ("Hamburg", "2"));
    assert_eq!(attribute(to_hub, "postroad.rule"), "RT-27");
    let hub = attribute(to_hub, "server.address");
    let mut from_hub: Vec<_> = from(&spans, hub).iter().map(|span| attribute(span, "postroad.next_hop")).collect();
    from_hub.sort_unstable();
    assert_eq!(from_hub, ["Site:Bergen;Version:15", "Site:Oslo;Version:15"]);
    let revision = attribute(to_hub, "postroad.revision").parse::<u64>().unwrap();
    assert!(revision > 0, "the decision says by which configuration it was made");
    let decided = format!("DeliveryType={SITE_RELAY};NextHop=Hamburg;Revision={revision};Rule=RT-27");
    tracked(lab, "BERLIN1", &["SMTP,RECEIVE", &id]).await;
    tracked(lab, "BERLIN1", &["SMTP,SEND", &decided, "olga@contoso.example;bjorn@contoso.example", &to_hub.trace_id])
        .await;
    tracked(lab, "OSLO1", &["STOREDRIVER,DELIVER", "olga@contoso.example", &to_hub.trace_id]).await;
    for site in ["Oslo", "Bergen"] {
        let decided = format!("NextHop=Site:{site};Version:15;Revision={revision};Rule=RT-34");
        tracked(lab, hub, &["ROUTING,TRANSFER", &decided, &to_hub.trace_id]).await;
        tracked(lab, hub, &["SMTP,SEND", &decided, "250 2.1.5 Recipient OK", &to_hub.trace_id]).await;
    }
}

/// Waits until one line of a server's message tracking log has all of these.
async fn tracked(lab: &Lab, server: &str, parts: &[&str]) {
    let folder = lab.server(server).folder.join("state/logs/MessageTracking");
    testkit::until(&format!("{parts:?} in {}", folder.display()), async || {
        let files = std::fs::read_dir(&folder).ok()?.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let text: String = files.collect();
        text.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
    })
    .await
}

/// RT-24: a hub server that refuses is passed over from then on. RT-39: without any, mail waits before the hub.
async fn mail_waits_before_a_hub_that_is_gone(lab: &mut Lab) {
    lab.kill("HAMBURG1", Service::Transport).await;
    let known = async |lab: &Lab| {
        let peers = Eyes::of(lab).peers("BERLIN1").await;
        peers.into_iter().find(|peer| peer.server.as_str() == "HAMBURG1" && peer.failed)
    };
    // Rotation comes to the dead server sooner or later; no mail waits for that.
    let failed = testkit::until("HAMBURG1 to be found dead", async || {
        let message = test_message("anna@contoso.example", "olga@contoso.example");
        assert!(Wire::connector(lab, "BERLIN1").send(&message).await);
        lab.inbox("OSLO1", "DB-Oslo", "olga").wait_for(&message.message_id()).await;
        known(lab).await
    })
    .await;
    assert!(failed.failures >= 1 && failed.last_error.is_some(), "{failed:?}");
    lab.kill("HAMBURG2", Service::Transport).await;
    let message = test_message("anna@contoso.example", "olga@contoso.example");
    assert!(Wire::connector(lab, "BERLIN1").send(&message).await);
    let (queue, waiting) = Eyes::of(lab).waits("BERLIN1", "Hamburg").await;
    assert_eq!(&*queue.delivery_type, SITE_RELAY);
    assert!(
        queue.next_retry.is_some()
            && queue.last_error.as_deref().is_some_and(|error| error.contains("cannot reach HAMBURG")),
        "{queue:?}"
    );
    let rules: Vec<_> = queue.targets.iter().map(|target| (&*target.server, &*target.rule)).collect();
    assert_eq!(rules, [("HAMBURG1", "RT-27"), ("HAMBURG2", "RT-27")]);
    assert_eq!(waiting.sender.to_string(), "anna@contoso.example");
    assert_eq!(waiting.recipients, [Address::parse("olga@contoso.example").unwrap()]);
    let decision = waiting.decision.expect("it was decided");
    assert_eq!((&*decision.next_hop_domain, &*decision.rule), ("Hamburg", "RT-27"));
    assert!(decision.revision.0 > 0 && waiting.size.as_u64() > 0);
    for server in ["HAMBURG2", "HAMBURG1"] {
        lab.start_again(server, Service::Transport).await;
    }
    lab.inbox("OSLO1", "DB-Oslo", "olga").wait_for(&message.message_id()).await;
}

/// RT-38, RT-40: with the last site cut off, mail backs off to the one before it and waits there; with that one cut off too, it
/// waits at the hub. Joined again, everything arrives.
async fn mail_backs_off_hop_by_hop_and_waits_at_the_point_of_failure(lab: &Lab) {
    let (eyes, queue) = (Eyes::of(lab), "Site:Bergen;Version:15");
    let cut = run_postroad(&["lab", "cut", "oslo", "Bergen", "--lab", lab.folder().to_str().unwrap()]).await;
    assert!(cut.status.success() && String::from_utf8_lossy(&cut.stdout).contains("Bergen–Oslo CUT"), "{cut:?}");
    let first = test_message("anna@contoso.example", "bjorn@contoso.example");
    assert!(Wire::connector(lab, "BERLIN1").send(&first).await);
    let (waiting, message) = eyes.waits("OSLO1", queue).await;
    assert_eq!((&*waiting.delivery_type, &*waiting.targets[0].server), (GROUP_RELAY, "BERGEN1"));
    assert_eq!(message.recipients, [Address::parse("bjorn@contoso.example").unwrap()]);
    for server in ["BERLIN1", "HAMBURG1", "HAMBURG2"] {
        eyes.is_empty(server).await;
    }
    let spans = lab.wait_for_spans(&first.message_id(), "transfer", 2).await;
    assert!(spans.iter().any(|span| attribute(span, "server.address") == "OSLO1"), "backed off: {spans:?}");

    lab.world.cut("Hamburg", "Oslo").await.unwrap();
    let second = test_message("anna@contoso.example", "bjorn@contoso.example");
    assert!(Wire::connector(lab, "BERLIN1").send(&second).await);
    let at_hub = testkit::until("mail to wait at the hub", async || {
        for server in ["HAMBURG1", "HAMBURG2"] {
            let queues = eyes.queues(server).await;
            if queues.iter().any(|found| *found.name == *queue && &*found.status == "Retry" && found.message_count == 1)
            {
                return Some(server);
            }
        }
        None
    })
    .await;
    eyes.is_empty("BERLIN1").await;
    the_command_shows_it(lab, at_hub).await;

    lab.world.heal("Hamburg", "Oslo").await.unwrap();
    let healed = run_postroad(&["lab", "heal", "Bergen", "Oslo", "--lab", lab.folder().to_str().unwrap()]).await;
    assert!(healed.status.success(), "{healed:?}");
    let mut inbox = lab.inbox("BERGEN1", "DB-Bergen", "bjorn");
    inbox.wait_for(&first.message_id()).await;
    inbox.wait_for(&second.message_id()).await;
    for server in ["BERLIN1", "HAMBURG1", "HAMBURG2", "OSLO1", "BERGEN1"] {
        eyes.is_empty(server).await;
    }
}

/// `postroad queue`, for people and for scripts.
async fn the_command_shows_it(lab: &Lab, at_hub: &str) {
    let folder = lab.folder().to_str().unwrap();
    let shown = run_postroad(&["queue", "--lab", folder, "--messages", "--all"]).await;
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{text}{}", String::from_utf8_lossy(&shown.stderr));
    for expected in [
        "SERVER",
        "Site:Bergen;Version:15",
        "Retry",
        "anna@contoso.example ▸ bjorn@contoso.example",
        "decided by revision",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    let narrowed =
        run_postroad(&["queue", "--lab", folder, "--recipient", "bjorn@", "--queue", "Site:Bergen;Version:15"]).await;
    let text = String::from_utf8(narrowed.stdout).unwrap();
    assert!(text.contains("subject ") && text.contains("Message-ID <") && text.contains("trace "), "{text}");
    let none = run_postroad(&["queue", "--lab", folder, "--sender", "nobody@contoso.example"]).await;
    let text = String::from_utf8(none.stdout).unwrap();
    assert!(!text.contains("bjorn") && text.contains(" shown"), "{text}");
    let tracked =
        run_postroad(&["track", "--lab", folder, "--recipient", "bjorn@contoso.example", "--event", "RECEIVE"]).await;
    let text = String::from_utf8(tracked.stdout).unwrap();
    // Found by one line, told whole: from the server that took it to the one on which it waits.
    assert!(text.contains("RECEIVE SMTP") && text.contains("SEND SMTP") && text.contains(at_hub), "{text}");
    let shown = run_postroad(&["queue", "--lab", folder, "--server", at_hub, "--messages", "--json"]).await;
    let lines: Vec<serde_json::Value> =
        String::from_utf8(shown.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = lines.iter().find(|line| line["kind"] == "message").unwrap();
    assert_eq!((&message["sender"], &message["server"]), (&"anna@contoso.example".into(), &at_hub.into()));
    assert!(message["decision"]["revision"].as_u64().is_some_and(|revision| revision > 0), "{message}");
    assert!(lines.iter().any(|line| line["kind"] == "peer" && line["failed"] == true), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_between_three_sites_and_a_hub() {
    let mut lab = Lab::start_with(LAB, |options| options.ready_timeout = Duration::from_secs(120)).await;
    mail_stops_at_the_hub_and_divides_there(&lab).await;
    mail_waits_before_a_hub_that_is_gone(&mut lab).await;
    mail_backs_off_hop_by_hop_and_waits_at_the_point_of_failure(&lab).await;
    lab.finish().await;
}
