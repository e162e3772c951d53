//! The simulated internet seen from outside: through the product's resolver and TLS, and the lab's client.

use envelope::{Address, EnhancedStatus, ReversePath, Severity};
use net::dns::DnsProtocol;
use net::tls::TrustedRoots;
use net::{MxAnswer, Resolver, Verification};
use smtp_session::{Credentials, Secret};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::client::{ClientError, Encryption, Phase, Submission, Submitted, submit};
use crate::deliveries::Delivery;

const SOON: Duration = Duration::from_secs(60);

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A running internet with its directory and the authority of its hosts.
struct Lab {
    internet: Internet,
    authority: Arc<CertificateAuthority>,
    _directory: TempDir,
}

impl Lab {
    async fn start(yaml: &str) -> Self {
        let description = serde_saphyr::from_str(yaml).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let now = crate::clock::now();
        let authority = Arc::new(CertificateAuthority::create(&domain("internet.example"), now).unwrap());
        let mut options = InternetOptions::new(directory.path());
        options.names.insert(domain("mail.contoso.example"), vec![IpAddr::from([127, 77, 9, 9])]);
        let internet = Internet::start(&description, &options, Arc::clone(&authority)).await.unwrap();
        Self { internet, authority, _directory: directory }
    }

    /// One host named `mx.fabrikam.example` with a behavior given in YAML.
    async fn with_behavior(behavior: &str) -> Self {
        Self::start(&format!("hosts: [{{name: mx.fabrikam.example, behavior: {behavior}}}]")).await
    }

    fn submission(&self) -> Submission {
        let server = self.internet.host_address(&domain("mx.fabrikam.example")).unwrap();
        let sender = ReversePath::Address(address("ann@contoso.example"));
        let content = b"Message-ID: <1@contoso.example>\r\n\r\n.dot\r\n".to_vec();
        Submission::new(server, sender, vec![address("bob@fabrikam.example")], content)
    }

    async fn submit(&self) -> Result<Submitted, ClientError> {
        submit(&self.submission()).await
    }

    fn start_tls(&self, verification: Verification) -> Encryption {
        let roots = TrustedRoots::none().and_pem(self.authority.certificate_pem()).unwrap();
        Encryption::StartTls { name: domain("mx.fabrikam.example"), verification, roots }
    }

    fn delivered(&self) -> Vec<Delivery> {
        self.internet.deliveries().all().unwrap().to_vec()
    }
}

fn refusal(result: Result<Submitted, ClientError>) -> (Phase, String) {
    match result.unwrap_err() {
        ClientError::Refused { phase, reply } => (phase, reply.to_string()),
        ClientError::NoRecipient(all) => (Phase::Rcpt, all[0].1.to_string()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn dns_answers_what_the_description_says() {
    let lab = Lab::start(
        "
         domains:
           - {name: fabrikam.example, mx: [{host: mx2.fabrikam.example, preference: 20}, {host: mx.fabrikam.example}]}
           - {name: nomail.example, nullMx: true}
           - {name: broken.example, failure: serverFailure}
           - {name: plain.example}
         hosts: [{name: mx.fabrikam.example}, {name: plain.example}]",
    )
    .await;
    for protocol in [DnsProtocol::UdpOnly, DnsProtocol::TcpOnly] {
        let resolver = Resolver::with_servers(&[lab.internet.dns_address()], protocol).unwrap();
        let MxAnswer::Exchangers(exchangers) = resolver.mx(&domain("fabrikam.example")).await.unwrap() else {
            panic!()
        };
        let hosts: Vec<_> = exchangers.iter().map(|mx| (mx.preference, mx.host.as_str())).collect();
        assert_eq!(hosts, [(10, "mx.fabrikam.example"), (20, "mx2.fabrikam.example")]);
        assert_eq!(resolver.mx(&domain("nomail.example")).await.unwrap(), MxAnswer::NullMx); // RFC 7505
        assert_eq!(resolver.mx(&domain("plain.example")).await.unwrap(), MxAnswer::NoMx);
        for (name, status) in [("broken.example", "4.4.3"), ("gone.example", "5.1.2")] {
            let expected: EnhancedStatus = status.parse().unwrap();
            let error = resolver.mx(&domain(name)).await.unwrap_err();
            assert_eq!(error.status().severity(), expected.severity(), "{error}");
        }
        for (name, expected) in [("mx.fabrikam.example", [127, 77, 1, 1]), ("mail.contoso.example", [127, 77, 9, 9])] {
            assert_eq!(resolver.addresses(&domain(name)).await.unwrap(), [IpAddr::from(expected)]);
        }
        assert!(resolver.addresses(&domain("mx2.fabrikam.example")).await.is_err());
    }
    lab.internet.stop().await;
}

#[tokio::test]
async fn what_a_host_accepts_can_be_waited_for_and_read() {
    let lab = Lab::with_behavior("{}").await;
    let mut deliveries = lab.internet.deliveries();
    let submitted = lab.submit().await.unwrap();
    let delivery =
        deliveries.wait_for(|delivery| delivery.is_to(&address("Bob@fabrikam.example")), SOON).await.unwrap();
    assert!(submitted.accepted.text.contains(&delivery.id));
    assert_eq!(
        (&*delivery.host, &*delivery.sender, &delivery.tls),
        ("mx.fabrikam.example", "ann@contoso.example", &None)
    );
    assert_eq!(delivery.message_id.as_deref(), Some("<1@contoso.example>"));
    assert_eq!(deliveries.content(&delivery).unwrap(), lab.submission().content);
}

#[tokio::test]
async fn certificates_are_as_good_or_bad_as_described() {
    let host = || Verification::Host(domain("mx.fabrikam.example").into());
    for (tls, expected) in [
        ("trusted", None),
        ("selfSigned", Some("no trusted authority")),
        ("expired", Some("has expired")),
        ("wrongName", Some("is for wrong.name.example")),
    ] {
        let lab = Lab::with_behavior(&format!("{{tls: {tls}}}")).await;
        let verified = submit(&Submission { encryption: lab.start_tls(host()), ..lab.submission() }).await;
        match expected {
            None => assert!(verified.is_ok(), "{tls}: {verified:?}"),
            Some(words) => assert!(verified.unwrap_err().to_string().contains(words), "{tls}"),
        }
        // Opportunistic TLS does not look.
        submit(&Submission { encryption: lab.start_tls(Verification::None), ..lab.submission() }).await.unwrap();
        assert!(lab.delivered().last().unwrap().tls.as_deref().unwrap().starts_with("TLSv1.3 "));
    }
    let lab = Lab::with_behavior("{tls: none}").await;
    let refused = submit(&Submission { encryption: lab.start_tls(Verification::None), ..lab.submission() }).await;
    assert_eq!(refusal(refused).0, Phase::StartTls);
    let submitted = lab.submit().await.unwrap();
    assert!(!submitted.replies.iter().any(|(_, reply)| reply.text.contains("STARTTLS")));
}

#[tokio::test]
async fn a_smart_host_takes_mail_only_after_auth_under_tls() {
    let lab = Lab::with_behavior("{login: {user: contoso, password: secret}}").await;
    let login = |password: &str| {
        Some(Credentials { user: "contoso".into(), secret: Secret::new(password.as_bytes().to_vec()) })
    };
    let encryption = lab.start_tls(Verification::None);
    let with =
        |login, encryption: &Encryption| Submission { login, encryption: encryption.clone(), ..lab.submission() };

    assert_eq!(
        refusal(submit(&with(None, &encryption)).await),
        (Phase::Mail, "530 5.7.0 Authentication required".into())
    );
    assert_eq!(refusal(submit(&with(login("secret"), &Encryption::None)).await).0, Phase::Auth);
    let wrong = refusal(submit(&with(login("wrong"), &encryption)).await);
    assert_eq!(wrong, (Phase::Auth, "535 5.7.8 Wrong user or password".into()));
    submit(&with(login("secret"), &encryption)).await.unwrap();
    let users: Vec<_> = lab.delivered().into_iter().map(|delivery| delivery.user).collect();
    assert_eq!(users, [Some("contoso".to_owned())]);
}

#[tokio::test]
async fn replies_of_failure_come_at_the_step_described() {
    for (at, phase) in [
        ("connect", Phase::Banner),
        ("ehlo", Phase::Ehlo),
        ("mail", Phase::Mail),
        ("rcpt", Phase::Rcpt),
        ("data", Phase::Data),
        ("endOfData", Phase::EndOfData),
    ] {
        for reply in ["452 4.3.1 Not now", "554 5.7.1 Never"] {
            let lab = Lab::with_behavior(&format!("{{tls: none, faults: [{{at: {at}, reply: {reply}}}]}}")).await;
            assert_eq!(refusal(lab.submit().await), (phase, reply.to_owned()), "{at}");
            assert_eq!(lab.delivered(), []);
        }
    }
}

#[tokio::test]
async fn greylisting_counts_for_each_sender_and_recipient() {
    let lab = Lab::with_behavior("{faults: [{at: rcpt, reply: 450 4.7.1 Greylisted, times: 2}]}").await;
    let mut submission = lab.submission();
    for _ in 0..2 {
        assert_eq!(refusal(submit(&submission).await), (Phase::Rcpt, "450 4.7.1 Greylisted".into()));
    }
    submission.recipients.push(address("carol@fabrikam.example"));
    let mixed = submit(&submission).await.unwrap();
    let codes: Vec<_> = mixed.recipients.iter().map(|(_, reply)| reply.code).collect();
    assert_eq!(codes, [250, 450]);
    let recipients: Vec<_> = lab.delivered()[0].recipients.iter().map(|to| to.address.clone()).collect();
    assert_eq!(recipients, ["bob@fabrikam.example"]);
}

#[tokio::test]
async fn one_recipient_may_be_unknown() {
    let fault = "{at: rcpt, recipient: bob@fabrikam.example, reply: 550 5.1.1 No such user}";
    let lab = Lab::with_behavior(&format!("{{faults: [{fault}]}}")).await;
    assert_eq!(refusal(lab.submit().await), (Phase::Rcpt, "550 5.1.1 No such user".into()));
    submit(&Submission { recipients: vec![address("carol@fabrikam.example")], ..lab.submission() }).await.unwrap();
}

#[tokio::test]
async fn a_disconnect_after_the_dot_loses_the_message_or_only_the_reply() {
    for (at, kept) in [("endOfData", 0), ("accepted", 1)] {
        let lab = Lab::with_behavior(&format!("{{faults: [{{at: {at}, disconnect: true, times: 1}}]}}")).await;
        let error = lab.submit().await.unwrap_err();
        assert!(matches!(error, ClientError::NoReply { phase: Phase::EndOfData, .. }), "{error}");
        assert_eq!((error.severity(), lab.delivered().len()), (Severity::Transient, kept));
        lab.submit().await.unwrap();
        assert_eq!(lab.delivered().len(), kept + 1, "the second attempt makes a duplicate of what was kept");
    }
}

#[tokio::test]
async fn a_dead_host_refuses_connections_until_it_lives() {
    let lab = Lab::with_behavior("{dead: true}").await;
    assert!(matches!(lab.submit().await, Err(ClientError::Connect(_))));
    lab.internet.set_behavior(&domain("mx.fabrikam.example"), Behavior::default()).await.unwrap();
    while lab.submit().await.is_err() {
        tokio::task::yield_now().await;
    }
    let dead = Behavior { dead: true, ..Behavior::default() };
    lab.internet.set_behavior(&domain("mx.fabrikam.example"), dead).await.unwrap();
    while lab.submit().await.is_ok() {
        tokio::task::yield_now().await;
    }
    let unknown = lab.internet.set_behavior(&domain("no.example"), Behavior::default()).await;
    assert!(matches!(unknown, Err(InternetError::UnknownHost(_))));
}

#[tokio::test]
async fn a_slow_host_takes_its_time() {
    let lab = Lab::with_behavior("{faults: [{at: mail, delayMillis: 50}]}").await;
    let started = tokio::time::Instant::now();
    lab.submit().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(50));
}

/// Sends `input` at once to a host with `behavior` and gives everything it says until it closes.
async fn talk(behavior: &str, input: &[u8]) -> (String, Vec<Delivery>) {
    let lab = Lab::with_behavior(behavior).await;
    let server = lab.internet.host_address(&domain("mx.fabrikam.example")).unwrap();
    let mut stream = net::connect(server, None, SOON).await.unwrap();
    stream.write_all(input).await.unwrap();
    let mut output = Vec::new();
    stream.read_to_end(&mut output).await.unwrap();
    (String::from_utf8(output).unwrap(), lab.delivered())
}

fn codes(output: &str) -> Vec<&str> {
    output.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect()
}

#[tokio::test]
async fn pipelined_commands_and_chunks_are_taken_with_their_parameters() {
    let input = b"EHLO client.example\r\nMAIL FROM:<> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=x\r\n\
        RCPT TO:<bob@fabrikam.example> NOTIFY=NEVER\r\nBDAT 4\r\na: bBDAT 2 LAST\r\n\r\nNOOP\r\nQUIT\r\n";
    let (output, deliveries) = talk("{}", input).await;
    assert_eq!(codes(&output), ["220", "250", "250", "250", "250", "250", "250", "221"], "{output}");
    let delivery = &deliveries[0];
    assert_eq!((&*delivery.sender, &*delivery.sender_parameters), ("", "SIZE=5 BODY=8BITMIME RET=HDRS ENVID=x"));
    assert_eq!((&*delivery.recipients[0].parameters, delivery.size), ("NOTIFY=NEVER", 6));
}

#[tokio::test]
async fn extensions_left_out_are_neither_offered_nor_taken() {
    let input = b"EHLO client.example\r\nMAIL FROM:<a@b.example> RET=FULL\r\nQUIT\r\n";
    let (output, _) = talk("{without: [DSN, CHUNKING, PIPELINING, ENHANCEDSTATUSCODES]}", input).await;
    assert_eq!(codes(&output), ["220", "250", "555", "221"], "{output}");
    for keyword in ["DSN", "CHUNKING", "PIPELINING", "ENHANCEDSTATUSCODES", "5.5.4"] {
        assert!(!output.contains(keyword), "{keyword} in {output}");
    }
}

#[tokio::test]
async fn smuggled_line_endings_are_refused() {
    // RFC 5321 §2.3.8: only CRLF . CRLF ends the content.
    let input = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@fabrikam.example>\r\nDATA\r\n\
        a: b\n.\r\nMAIL FROM:<c@d.example>\r\n.\r\nQUIT\r\n";
    let (output, deliveries) = talk("{}", input).await;
    assert_eq!(codes(&output), ["220", "250", "250", "250", "354", "550", "221"], "{output}");
    assert_eq!(deliveries, []);
}

#[test]
fn a_wrong_description_is_an_error_with_a_position() {
    for (yaml, line, words) in [
        ("hosts:\n  - {name: a.example}\n  - {name: a.example}\n", 2, "a.example is described twice"),
        ("hosts:\n  - {name: a..example}\n", 2, "empty label"),
        ("domains:\n  - {name: a.example, nullMx: true, failure: refused}\n", 2, "only one of mx, nullMx and failure"),
        ("domains:\n  - name: a.example\n    mxs: []\n", 3, "unknown field"),
        (
            "hosts:\n  - name: a.example\n    behavior: {faults: [{at: rcpt, reply: 250 OK}]}\n",
            3,
            "not a reply of failure",
        ),
        (
            "hosts:\n  - name: a.example\n    behavior: {faults: [{at: mail}]}\n",
            3,
            "a delayMillis, a reply or a disconnect",
        ),
        (
            "hosts:\n  - name: a.example\n    behavior: {faults: [{at: rcpt, reply: 450 5.1.1 x}]}\n",
            3,
            "not a reply of failure",
        ),
        ("hosts:\n  - name: a.example\n    behavior: {faults: [{at: mail, delayMillis: 3600001}]}\n", 3, "at most"),
    ] {
        let error = serde_saphyr::from_str::<Description>(yaml).unwrap_err();
        let at = error.location().map(|location| location.line());
        let text = error.without_snippet().to_string();
        assert!(text.contains(words), "{text}");
        assert_eq!(at, Some(line), "{text}");
    }
}
