//! Mail that never stops: strangers who send to every mailbox through every front end, and outboxes with mail for everywhere.
//!
//! A client that is refused, or hears nothing, sends the same message again at the next front end, as the internet does.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use envelope::{Address, ByteSize, ReversePath};
use lab::client::submit;
use lab::{Submission, TestMessage};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::ledger::Ledger;
use crate::stack::{SERVERS, Server, Stack};

/// Clients of the internet at a time.
const CLIENTS: usize = 4;
/// Between two messages of one client.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two rounds of the outboxes.
const OUTBOX_PAUSE: Duration = Duration::from_secs(2);
/// A client waits as long for any reply; then it goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(15);

const MAILBOXES: [&str; 4] = ["anna", "ben", "olga", "per"];
/// Folder, sender and recipient of what outboxes send in each round: by MX, by smart host, through a front end, across
/// sites both ways.
const OUTBOXES: [(&str, &str, &str); 5] = [
    ("BERLIN1/state/mailboxes/DB-Berlin1/anna", "anna", "sales@fabrikam.example"),
    ("BERLIN2/state/mailboxes/DB-Berlin2/ben", "ben", "orders@partner.example"),
    ("OSLO1/state/mailboxes/DB-Oslo1/olga", "olga", "clerk@legal.bank.example"),
    ("OSLO2/state/mailboxes/DB-Oslo2/per", "per", "anna@contoso.example"),
    ("BERLIN1/state/mailboxes/DB-Berlin1/anna", "anna", "per@contoso.example"),
];

/// The mail, and what was acknowledged of it.
pub(crate) struct Load {
    pub ledger: Arc<Ledger>,
    refused: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(stack: &Stack) -> Self {
        let (ledger, refused, ending) = (Arc::default(), Arc::default(), Arc::default());
        let mut load = Self { ledger, refused, ending, tasks: JoinSet::new() };
        for turn in 0..CLIENTS {
            let client = load.client(stack, turn);
            load.tasks.spawn(client.run());
        }
        let outboxes = load.client(stack, CLIENTS);
        load.tasks.spawn(outboxes.fill_outboxes());
        load
    }

    pub(crate) fn client(&self, stack: &Stack, turn: usize) -> Client {
        let (ledger, refused, ending) = (self.ledger.clone(), self.refused.clone(), self.ending.clone());
        Client { stack: stack.clone(), ledger, refused, ending, turn }
    }

    /// Attempts that ended without an acknowledgement.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many more messages were acknowledged.
    pub(crate) async fn acknowledge_more(&self, more: usize) {
        let wanted = self.ledger.count() + more;
        testkit::until(&format!("{more} more messages acknowledged"), async || {
            (self.ledger.count() >= wanted).then_some(())
        })
        .await;
    }

    pub(crate) async fn stop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Somebody who sends.
pub(crate) struct Client {
    stack: Stack,
    ledger: Arc<Ledger>,
    refused: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    /// Chooses the next front end and mailbox.
    turn: usize,
}

impl Client {
    async fn run(mut self) {
        let mut pause = interval(PAUSE);
        while !self.ending.load(Ordering::Relaxed) {
            pause.tick().await;
            let message = message("visitor@tailspin.example", &format!("{}@contoso.example", self.next(&MAILBOXES)));
            self.send(&message).await;
        }
    }

    /// Again and again, until somebody takes it.
    pub(crate) async fn send(&mut self, message: &TestMessage) {
        while !self.ending.load(Ordering::Relaxed) {
            let server = self.next(&SERVERS);
            if self.send_once(server, message).await.is_ok() {
                return;
            }
        }
    }

    /// At the front end of this server; why not, if not.
    pub(crate) async fn send_once(&self, server: Server, message: &TestMessage) -> Result<(), String> {
        let at = self.stack.address(server, "frontend-transport", 2525);
        let (sender, to) = (message.sender.clone(), message.recipients.clone());
        let mut submission = Submission::new(at, sender, to, message.content());
        submission.reply_timeout = PATIENCE;
        // Without a container there is nobody to say that the address is gone.
        let sent = tokio::time::timeout(PATIENCE, submit(&submission)).await;
        let sent = sent.map_err(|_| "no answer".to_owned()).and_then(|sent| sent.map_err(|error| error.to_string()));
        match sent {
            Ok(_) => self.ledger.acknowledge(message.message_id()),
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                self.ledger.sent_again(&message.message_id());
                return Err(error);
            }
        }
        Ok(())
    }

    /// A message of a size to a mailbox in Berlin.
    pub(crate) fn large(&self, size: ByteSize) -> TestMessage {
        let mut message = message("visitor@tailspin.example", "ben@contoso.example");
        message.body_size = size;
        message
    }

    fn next<T: Copy>(&mut self, among: &[T]) -> T {
        self.turn = self.turn.wrapping_mul(25).wrapping_add(13);
        among[(self.turn >> 4) % among.len()]
    }

    async fn fill_outboxes(self) {
        let mut pause = interval(OUTBOX_PAUSE);
        while !self.ending.load(Ordering::Relaxed) {
            pause.tick().await;
            // Mailboxes are those of a group.
            let mut script = String::from("umask 007\ncd /lab/servers\n");
            let mut ids = Vec::new();
            for (folder, from, to) in OUTBOXES {
                let message = message(&format!("{from}@contoso.example"), to);
                let (content, name) = (String::from_utf8(message.content()).unwrap(), message.unique);
                let outbox = format!("{folder}/Maildir/.Outbox");
                script += &format!("mkdir -p {outbox}/tmp {outbox}/new {outbox}/cur\n");
                script += &format!("cat >{outbox}/tmp/{name} <<'END'\n{content}\nEND\n");
                script += &format!("mv {outbox}/tmp/{name} {outbox}/new/{name}\n");
                ids.push(message.message_id());
            }
            self.stack.tools(&format!("set -e\n{script}")).await;
            ids.into_iter().for_each(|id| self.ledger.acknowledge(id));
        }
    }
}

fn message(from: &str, to: &str) -> TestMessage {
    let sender = ReversePath::Address(Address::parse(from).unwrap());
    TestMessage::new("compose", sender, vec![Address::parse(to).unwrap()], std::time::SystemTime::now().into())
}
