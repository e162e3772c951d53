//! Mail of Delivery Agent connectors, and agents that take it.

use std::sync::Arc;

use admin_api::queues::{GatewayEntry, GatewayState};
use agents::{Agent, Attending};
use async_trait::async_trait;
use bytes::Bytes;
use envelope::{EnhancedStatus, Notify, Reply};
use parking_lot::Mutex;
use rpc::{AgentAnswer, AgentDelivery, Attendance};
use testkit::until;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::{Arrival, MESSAGE, ORGANIZATION, Running, Scene, notified};
use crate::view::administrator;

/// An agent that keeps what it is given, and answers by the beginning of an address; of some it says nothing, which is wrong.
struct Fax {
    taken: Mutex<Vec<(AgentDelivery, String)>>,
    /// A permit for each message that it may answer.
    patience: Semaphore,
    most_at_once: Mutex<(usize, usize)>,
}

impl Fax {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), patience: Semaphore::new(permits), most_at_once: Mutex::default() })
    }

    /// Serves until the guard is dropped.
    fn serve(self: &Arc<Self>, scene: &Scene, connections: u32) -> tokio_util::sync::DropGuard {
        let socket = scene.world.settings_with_socket("MAIL1").service(net::Service::Transport).socket.unwrap();
        let source = Attending { socket, protocol: "Fax".into(), name: "fax 1".into(), connections };
        let (agent, drain): (Arc<dyn Agent>, _) = (Arc::clone(self) as _, CancellationToken::new());
        let token = drain.clone();
        tokio::spawn(async move { agents::serve(&source, &agent, &token).await });
        drain.drop_guard()
    }

    async fn took(&self, count: usize) -> Vec<(AgentDelivery, String)> {
        until("messages for the agent", async || Some(self.taken.lock().clone()).filter(|taken| taken.len() >= count))
            .await
    }
}

#[async_trait]
impl Agent for Fax {
    async fn deliver(&self, delivery: &AgentDelivery, content: Bytes) -> Vec<AgentAnswer> {
        {
            let mut at_once = self.most_at_once.lock();
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        self.taken.lock().push((delivery.clone(), String::from_utf8(content.into()).unwrap()));
        self.patience.acquire().await.unwrap().forget();
        self.most_at_once.lock().0 -= 1;
        let reply = |code, status| Reply::new(code, status, "no answer");
        let answer = |(_, address): &(Box<str>, Box<str>)| match address.chars().next() {
            Some('4') => AgentAnswer::Later(reply(450, EnhancedStatus::new(4, 1, 1))),
            Some('5') => AgentAnswer::Failed(reply(550, EnhancedStatus::new(5, 1, 1))),
            _ => AgentAnswer::Delivered,
        };
        let answers = delivery.recipients.iter().filter(|(_, address)| !address.starts_with('9'));
        answers.map(answer).collect()
    }
}

async fn scene(properties: &str) -> (Scene, Running) {
    let connector = format!(
        "deliveryAgentConnectors: [{{name: Fax, addressSpaces: ['FAX:*;1', 'PAGER:*;1'], deliveryProtocol: FAX, \
         sourceTransportServers: [MAIL1]{properties}}}]\n"
    );
    let scene = Scene::new(&format!("{ORGANIZATION}{connector}")).await;
    let settings = scene.world.settings_with_socket("MAIL1");
    let transport = scene.start_with("MAIL1", move |node| node.settings = Arc::new(settings)).await;
    (scene, transport)
}

#[tokio::test]
async fn an_agent_takes_mail_and_says_what_became_of_each_recipient() {
    // EN-55, EN-60
    let (scene, transport) = scene("").await;
    let fax = Fax::new(10);
    let _serving = fax.serve(&scene, 1);
    let asks = Notify::On { success: true, failure: true, delay: false };
    let to = ["IMCEAFAX-1@contoso.com", "IMCEAFAX-5@contoso.com", "IMCEAFAX-4@contoso.com"];
    let head = scene.head_with("ann@contoso.com", &to, asks);
    let receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
    assert_eq!(receipt.message(), head.id);
    let (delivery, content) = fax.took(1).await.remove(0);
    assert_eq!((&*delivery.connector, &*delivery.sender), ("Fax", "ann@contoso.com"));
    let recipients: Vec<(&str, &str)> = delivery.recipients.iter().map(|(kind, to)| (&**kind, &**to)).collect();
    assert_eq!(recipients, [("FAX", "1"), ("FAX", "5"), ("FAX", "4")]);
    assert!(content.ends_with("\r\n\r\nBody\r\n") && !content.contains("X-MS-Exchange-Organization"), "{content}");
    assert_eq!(delivery.size, content.len() as u64);
    let failed = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(failed.contains("5.1.1") && failed.contains("no answer"), "{failed}");
    notified(&scene.mailboxes, "ann@contoso.com", "delivered").await;
    // The one that is to be tried again comes alone, under an id of its own: an agent that remembers the first would take it for
    // done, and one that names files by it would write over another's.
    assert_eq!(delivery.id, head.id);
    let taken = fax.took(3).await;
    let again: Vec<_> = taken[1..].iter().map(|(again, _)| (again.id, again.recipients.len())).collect();
    assert!(again[0].0 != delivery.id && again.iter().all(|one| *one == (again[0].0, 1)), "{again:?}");
    transport.drain().await;
}

/// What the one connector meets, as an administrator is told.
async fn gateway(scene: &Scene) -> GatewayState {
    let told = administrator(scene).gateways(&scene.transport("MAIL1").await).await.unwrap();
    let [GatewayEntry { state, .. }] = told.try_into().unwrap();
    state
}

#[tokio::test]
async fn mail_waits_for_its_agent_and_goes_when_it_comes() {
    // EN-61
    let (scene, transport) = scene("").await;
    scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    until("the queue says for whom it waits", async || {
        let errors = transport.operations.queues().into_iter().filter_map(|queue| queue.last_error);
        errors.into_iter().find(|error| error.contains("no delivery agent for protocol FAX"))
    })
    .await;
    assert_eq!(gateway(&scene).await, GatewayState::Agents { free: 0, at_work: 0 });
    let fax = Fax::new(0);
    let _serving = fax.serve(&scene, 2);
    fax.took(1).await;
    until("the other connection", async || {
        (gateway(&scene).await == GatewayState::Agents { free: 1, at_work: 1 }).then_some(())
    })
    .await;
    fax.patience.add_permits(1);
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn what_an_agent_had_in_hands_when_it_went_away_is_given_to_the_next() {
    let (scene, transport) = scene("").await;
    let dies = Fax::new(0);
    let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let within = dying.enter();
    let _serving = dies.serve(&scene, 1);
    drop(within);
    scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    dies.took(1).await;
    dying.shutdown_background();
    let lives = Fax::new(10);
    let _serving = lives.serve(&scene, 1);
    let (again, _) = lives.took(1).await.remove(0);
    assert_eq!(again.id, dies.took(1).await[0].0.id);
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn what_an_agent_says_twice_settles_nothing() {
    let (scene, transport) = scene("").await;
    let socket = scene.world.settings_with_socket("MAIL1").service(net::Service::Transport).socket.unwrap();
    let channel = until("Transport's socket", async || rpc::client::over(&socket).await.ok()).await;
    let mut twice = Attendance::begin(channel, "FAX", "twice").await.unwrap();
    scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    let (delivery, _) = twice.next(1 << 20).await.unwrap().unwrap();
    let later = AgentAnswer::Later(Reply::new(450, EnhancedStatus::new(4, 1, 1), "not now"));
    twice.answer(delivery.id, vec![later]).await.unwrap();
    twice.answer(delivery.id, vec![AgentAnswer::Delivered]).await.unwrap();
    // It is given again, under the same id, to one who hears of it before it answers.
    let ended = twice.next(1 << 20).await;
    assert!(matches!(ended, Ok(None) | Err(_)), "{ended:?}");
    let fax = Fax::new(10);
    let _serving = fax.serve(&scene, 1);
    let (again, _) = fax.took(1).await.remove(0);
    assert_eq!(again.id, delivery.id);
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_message_that_no_agent_answers_keeps_no_other_waiting() {
    let (scene, transport) = scene("").await;
    let fax = Fax::new(100);
    let _serving = fax.serve(&scene, 1);
    scene.submit("ann@contoso.com", &["IMCEAFAX-9@contoso.com"]).await;
    fax.took(1).await;
    scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    until("the other message", async || {
        let taken = fax.taken.lock();
        taken.iter().any(|(delivery, _)| &*delivery.recipients[0].1 == "1").then_some(())
    })
    .await;
    // It was tried twice, and waits for a time of its own, whenever the agent comes back.
    let of_the_first = fax.taken.lock().iter().filter(|(delivery, _)| &*delivery.recipients[0].1 == "9").count();
    assert!(of_the_first <= 3, "{of_the_first} times");
    transport.drain().await;
}

#[tokio::test]
async fn no_more_connections_than_the_connector_allows() {
    // EN-57, PL-72
    const MESSAGES: usize = 12;
    let (scene, transport) = scene(", maxConcurrentConnections: 2, maxMessagesPerConnection: 3").await;
    let fax = Fax::new(0);
    let _serving = fax.serve(&scene, 5);
    // Each address space has a queue of its own.
    for number in 0..MESSAGES {
        let to = if number % 2 == 0 { "IMCEAFAX-1@contoso.com" } else { "IMCEAPAGER-1@contoso.com" };
        scene.submit("ann@contoso.com", &[to]).await;
    }
    fax.took(1).await;
    fax.patience.add_permits(MESSAGES);
    fax.took(MESSAGES).await;
    transport.drain().await;
    let (_, most) = *fax.most_at_once.lock();
    assert!((1..=2).contains(&most), "{most} at once");
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn connectors_take_turns_at_an_agent_that_is_busy() {
    const MESSAGES: usize = 20;
    let connector = |name: &str, kind: &str| {
        format!(
            "  - {{name: {name}, addressSpaces: ['{kind}:*;1'], deliveryProtocol: FAX, sourceTransportServers: [MAIL1], \
             maxMessagesPerConnection: 1}}\n"
        )
    };
    let connectors = [connector("Fax", "FAX"), connector("Pager", "PAGER")].concat();
    let scene = Scene::new(&format!("{ORGANIZATION}deliveryAgentConnectors:\n{connectors}")).await;
    let settings = scene.world.settings_with_socket("MAIL1");
    let transport = scene.start_with("MAIL1", move |node| node.settings = Arc::new(settings)).await;
    let fax = Fax::new(0);
    let _serving = fax.serve(&scene, 1);
    for _ in 0..MESSAGES {
        scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    }
    fax.took(1).await;
    // The one connector has a message with the agent, and waits for it several times; the other one for the first time.
    scene.submit("ann@contoso.com", &["IMCEAPAGER-2@contoso.com"]).await;
    until("the other queue to wait for the agent", async || {
        let queues = transport.operations.queues();
        let is_pagers = |queue: &scheduler::QueueView| {
            queue.connections > 0 && queue.route.as_ref().is_some_and(|route| route.key.domain.contains("PAGER"))
        };
        queues.iter().any(is_pagers).then_some(())
    })
    .await;
    fax.patience.add_permits(1);
    fax.took(2).await;
    fax.patience.add_permits(1);
    let third = fax.took(3).await;
    assert!(third.iter().any(|(delivery, _)| &*delivery.connector == "Pager"), "{third:?}");
    fax.patience.add_permits(MESSAGES);
    transport.drain().await;
}

#[tokio::test]
async fn a_long_list_of_recipients_is_given_in_parts() {
    // EN-57: each part is a message of its connection, and there are no more connections at once than the connector allows.
    const RECIPIENTS: usize = 250;
    let (scene, transport) = scene(", maxConcurrentConnections: 2, maxMessagesPerConnection: 1").await;
    let fax = Fax::new(0);
    let _serving = fax.serve(&scene, 5);
    let to: Vec<String> = (0..RECIPIENTS).map(|number| format!("IMCEAFAX-1{number}@contoso.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let asks = Notify::On { success: true, failure: true, delay: false };
    let _ = scene.submit_as(&scene.head_with("ann@contoso.com", &to, asks), MESSAGE).await.unwrap();
    // Two parts are out at once.
    fax.took(2).await;
    fax.patience.add_permits(3);
    let taken = fax.took(3).await;
    let mut sizes: Vec<usize> = taken.iter().map(|(delivery, _)| delivery.recipients.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    let ids: std::collections::BTreeSet<_> = taken.iter().map(|(delivery, _)| delivery.id).collect();
    assert_eq!(ids.len(), 3, "an agent that remembers ids takes no part for another");
    let mut all: Vec<&str> = taken.iter().flat_map(|(one, _)| &one.recipients).map(|(_, to)| &**to).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), RECIPIENTS);
    // Each recipient is reported, once.
    let reported = until("reports of all", async || {
        let reports = scene.mailboxes.attempts_at("ann@contoso.com");
        let of = |arrival: &Arrival| arrival.content.matches("Action: delivered").count();
        Some(reports.iter().map(of).sum::<usize>()).filter(|count| *count >= RECIPIENTS)
    });
    assert_eq!(reported.await, RECIPIENTS);
    transport.drain().await;
    let (_, most) = *fax.most_at_once.lock();
    assert!((1..=2).contains(&most), "{most} at once");
    assert_eq!(scene.spool("MAIL1").await, []);
}

/// A program of another language, ended with the test.
struct Program(std::process::Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// `docs/examples/agent.py`; `None` where Python has no gRPC (Debian: python3-grpcio, python3-grpc-tools).
fn python_agent(socket: &std::path::Path, folder: &std::path::Path) -> Option<Program> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = || std::process::Command::new("/usr/bin/python3");
    let mut compiler = python();
    compiler.args(["-m", "grpc_tools.protoc", "-I"]).arg(root.join("proto"));
    for option in ["--python_out", "--grpc_python_out"] {
        compiler.arg(format!("{option}={}", folder.display()));
    }
    let compiled = compiler.arg(root.join("proto/postroad/agent/v1/agent.proto")).status();
    if !compiled.is_ok_and(|ended| ended.success()) {
        return None;
    }
    let mut agent = python();
    agent.arg(root.join("docs/examples/agent.py")).arg("--socket").arg(socket);
    agent.arg("--folder").arg(folder.join("spool")).env("PYTHONPATH", folder);
    Some(Program(agent.stdin(std::process::Stdio::null()).spawn().unwrap()))
}

#[tokio::test]
async fn an_agent_in_python_takes_mail_and_says_what_became_of_each_recipient() {
    let (scene, transport) = scene("").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("spool")).unwrap();
    let socket = scene.world.settings_with_socket("MAIL1").service(net::Service::Transport).socket.unwrap();
    let Some(_agent) = python_agent(&socket, folder.path()) else {
        return eprintln!("left out: Python has no gRPC here");
    };
    let asks = Notify::On { success: true, failure: true, delay: false };
    let to = ["IMCEAFAX-+2B49301234567@contoso.com", "IMCEAFAX-nobody@contoso.com"];
    let _ = scene.submit_as(&scene.head_with("ann@contoso.com", &to, asks), MESSAGE).await.unwrap();
    let failed = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(failed.contains("5.1.1") && failed.contains("this is no telephone number"), "{failed}");
    notified(&scene.mailboxes, "ann@contoso.com", "delivered").await;
    let files: Vec<_> = std::fs::read_dir(folder.path().join("spool")).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(files[0].path()).unwrap();
    assert!(text.starts_with("To: +49301234567\nFrom: ann@contoso.com\n\n") && text.contains("Body"), "{text}");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}
