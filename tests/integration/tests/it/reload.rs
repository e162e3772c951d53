//! SIGHUP: settings and certificates are read anew while sessions go on; what needs a restart is said, and a mistake changes
//! nothing.

#![expect(clippy::disallowed_methods, reason = "certificates of a test are of now")]

use std::time::{Duration, SystemTime};

use envelope::{Domain, Timestamp};
use lab::Submission;
use lab::client::{Encryption, submit};
use net::tls::TrustedRoots;
use net::{CertificateAuthority, KeyedCertificate, NodeIdentity, Service, Stream, TlsClient, Verification};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{Lab, ONE_SERVER, test_message};

const PATIENCE: Duration = Duration::from_secs(30);
const HOST: &str = "berlin1.contoso.example";

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn hang_up(lab: &Lab) {
    for service in [Service::FrontendTransport, Service::Transport, Service::MailboxDelivery] {
        let pid = i32::try_from(lab.pid("BERLIN1", service)).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    }
}

/// A session of SMTP, line by line.
struct Session(BufReader<Stream>);

impl Session {
    async fn line(&mut self) -> String {
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await.unwrap().unwrap();
        line
    }

    /// Says something, and hears a reply that begins so.
    async fn say(&mut self, text: &str, expected: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        let mut line = self.line().await;
        while line.as_bytes().get(3) == Some(&b'-') {
            line = self.line().await;
        }
        assert!(line.starts_with(expected), "{text:?}: {line}");
    }

    /// As far as the middle of a message, under TLS or not.
    async fn begun(lab: &Lab, encrypted: bool) -> Self {
        let stream = net::connect(lab.server("BERLIN1").smtp().unwrap(), None, PATIENCE).await.unwrap();
        let mut session = Self(BufReader::new(stream));
        assert!(session.line().await.starts_with("220 "));
        session.say("EHLO client.example\r\n", "250").await;
        if encrypted {
            session.say("STARTTLS\r\n", "220").await;
            let client = TlsClient::new(TrustedRoots::none());
            let (stream, _) =
                client.connect(session.0.into_inner(), &HOST.parse().unwrap(), &Verification::None).await.unwrap();
            session = Self(BufReader::new(stream));
            session.say("EHLO client.example\r\n", "250").await;
        }
        session.say("MAIL FROM:<visitor@tailspin.example>\r\n", "250").await;
        session.say("RCPT TO:<anna@contoso.example>\r\n", "250").await;
        session.say("DATA\r\n", "354").await;
        session
    }
}

/// Whether a client that trusts this authority alone gets its mail in under TLS.
async fn is_shown(lab: &Lab, authority: &CertificateAuthority) -> bool {
    let message = test_message("visitor@tailspin.example", "anna@contoso.example");
    let at = lab.server("BERLIN1").smtp().unwrap();
    let mut submission = Submission::new(at, message.sender.clone(), message.recipients.clone(), message.content());
    let roots = TrustedRoots::none().and_pem(authority.certificate_pem()).unwrap();
    let name: Domain = HOST.parse().unwrap();
    submission.encryption = Encryption::StartTls { verification: Verification::Domain(name.clone()), name, roots };
    submit(&submission).await.is_ok()
}

fn log(lab: &Lab, service: Service) -> String {
    std::fs::read_to_string(lab.server("BERLIN1").log_path(service)).unwrap()
}

async fn wait_for_log(lab: &Lab, service: Service, words: &[&str]) {
    testkit::until(&format!("{words:?} in the log of {service}"), async || {
        log(lab, service).lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_settings_are_read_anew_and_no_session_is_dropped() {
    let lab = Lab::start(ONE_SERVER).await;
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    let (mut clear, mut encrypted) = (Session::begun(&lab, false).await, Session::begun(&lab, true).await);

    // Another certificate for SMTP, of an authority that nobody knew; and others of the organization's for the services.
    let server = lab.server("BERLIN1");
    let world = CertificateAuthority::create(&"world.example".parse().unwrap(), now()).unwrap();
    assert!(!is_shown(&lab, &world).await);
    let identity = server.identity_path();
    world.issue_for_smtp(&server.name, &server.fqdn, now()).unwrap().save_to(&identity.join("smtp")).unwrap();
    let organization = KeyedCertificate::load_from(&lab.folder().join("ca")).unwrap();
    let organization = CertificateAuthority::load(organization).unwrap();
    let services = server.services.keys().copied().collect();
    let node = NodeIdentity { server: server.name.clone(), fqdn: server.fqdn.clone(), services };
    organization.save_identity_to(&node, &identity, now()).unwrap();
    hang_up(&lab);
    testkit::until("the new certificate is shown", async || is_shown(&lab, &world).await.then_some(())).await;
    for service in [Service::FrontendTransport, Service::Transport, Service::MailboxDelivery] {
        wait_for_log(&lab, service, &["certificates were renewed"]).await;
    }

    // What had begun goes on, from the client to the mailbox.
    for (session, id) in [(&mut clear, "<clear@client.example>"), (&mut encrypted, "<encrypted@client.example>")] {
        session.say(&format!("Message-ID: {id}\r\nSubject: begun before\r\n\r\nhello\r\n.\r\n"), "250").await;
        session.say("NOOP\r\n", "250").await;
        inbox.wait_for(id).await;
    }

    // Settings: what is changed is said by its name, with what to do; a mistake is said, and the old ones go on.
    let path = server.settings_path();
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("advertise = '127.0.0.1'\n{before}")).unwrap();
    hang_up(&lab);
    for service in [Service::FrontendTransport, Service::Transport] {
        wait_for_log(&lab, service, &["advertise", "restart this service to apply them"]).await;
    }
    std::fs::write(&path, format!("advertize = '127.0.0.1'\n{before}")).unwrap();
    hang_up(&lab);
    wait_for_log(&lab, Service::FrontendTransport, &["advertize", "the old ones go on"]).await;
    clear.say("NOOP\r\n", "250").await;
    encrypted.say("NOOP\r\n", "250").await;
    assert!(is_shown(&lab, &world).await, "and new ones are served");
    lab.finish().await;
}
