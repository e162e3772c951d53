//! An API server that takes connections and says nothing: the controller says so, goes on asking, and ends when it is told to.
//!
//! The clock of these tests is tokio's, and goes on when nothing else can.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use controller::{Cluster, Controller, ControllerSettings, Seals};
use directory::{Administration, Author, EmbeddedSettings};
use envelope::Timestamp;
use organization::{Object, Secrets, WithoutSecrets};
use parking_lot::Mutex;
use telemetry::Health;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// By the clock of the test.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(3600);

struct NoSecrets;

impl Seals for NoSecrets {
    fn with(&self, _: &[Object], then: &mut dyn FnMut(&dyn Secrets)) -> Result<(), String> {
        then(&WithoutSecrets);
        Ok(())
    }
}

/// What was asked, and the Lease as it is stored; where none is kept, nothing is answered at all.
#[derive(Clone, Default)]
struct Silent {
    keeps_leases: bool,
    asked: Arc<Mutex<Vec<String>>>,
    lease: Arc<Mutex<Option<String>>>,
}

impl Silent {
    async fn start(self) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().attend(stream));
            }
        });
        address
    }

    /// One connection, for as long as it is there.
    async fn attend(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).await?;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            if first.is_empty() {
                return Ok(());
            }
            self.asked.lock().push(first.clone());
            if !self.keeps_leases || !first.contains("/leases") {
                std::future::pending::<()>().await;
            }
            if !body.is_empty() {
                *self.lease.lock() = Some(String::from_utf8(body).unwrap());
            }
            let absent = r#"{"kind":"Status","status":"Failure","message":"none","reason":"NotFound","code":404}"#;
            let (status, body) = match &*self.lease.lock() {
                Some(lease) => ("200 OK", lease.clone()),
                None => ("404 Not Found", absent.to_owned()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
            stream.flush().await?;
        }
    }

    fn questions(&self, about: &str) -> usize {
        self.asked.lock().iter().filter(|line| line.contains(about)).count()
    }
}

/// Runs a controller against it until `enough`; what it says of itself then.
async fn what_it_says(silent: &Silent, enough: impl Fn(&Silent, &Health) -> bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let address = silent.clone().start().await;
    let file = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: s, user: u}}}}]\n\
         clusters: [{{name: s, cluster: {{server: 'http://{address}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let cluster = Cluster::of_kubeconfig(&file, Some("postroad".to_owned())).await.unwrap();
    let settings = EmbeddedSettings::new(folder.path().join("directory.db"));
    let directory: Arc<dyn Administration> = directory::open_embedded(&settings, directory::FOREST_DEFAULT).unwrap();
    let settings = ControllerSettings {
        holder: "one".to_owned(),
        author: Author::new("one", "test"),
        clock: Arc::new(|| Timestamp::from_millis(1_700_000_000_000)),
    };
    let controller = Controller::new(cluster, directory, Arc::new(NoSecrets), settings, telemetry::Metrics::off());
    let (health, drain) = (controller.health(), CancellationToken::new());
    let running = tokio::spawn(controller.run(drain.clone()));
    let mut looks = tokio::time::interval(LOOK);
    let looking = async {
        loop {
            let ready = health.ready();
            if enough(silent, &ready) {
                return ready;
            }
            looks.tick().await;
        }
    };
    let ready = tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{:?}", silent.asked.lock()));
    drain.cancel();
    running.await.unwrap();
    match ready {
        Health::Bad(why) => why.to_string(),
        Health::Good => String::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_asked_again_and_named() {
    let silent = Silent::default();
    let why = what_it_says(&silent, |silent, _| silent.questions("/leases") >= 3).await;
    assert!(why.contains("no answer within"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_for_the_lease_alone_ends_no_round_and_is_named() {
    let silent = Silent { keeps_leases: true, ..Silent::default() };
    let why = what_it_says(&silent, |silent, ready| {
        silent.questions("PUT ") >= 2 && matches!(ready, Health::Bad(_)) && silent.questions("/sendconnectors") >= 2
    })
    .await;
    assert!(why.contains("no answer within"), "{why}");
}
