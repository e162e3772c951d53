//! `postroad cert preview` in front of a host with real TLS: it is shown the certificate that is not there yet, and gets no mail.

#![expect(clippy::disallowed_methods, reason = "certificates of a test are of now")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use net::tls::{ClientCertificates, OwnCertificate, TrustedRoots};
use net::{CertificateAuthority, KeyedCertificate, Stream, TlsServer};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::Desk;

/// What a host has heard, and the certificates that it was shown.
#[derive(Default)]
struct Heard {
    commands: Vec<String>,
    shown: Vec<String>,
}

/// A host that wants STARTTLS and asks who calls.
async fn host(certificate: &KeyedCertificate) -> (SocketAddr, Arc<Mutex<Heard>>) {
    let tls = TlsServer::new(certificate, ClientCertificates::Requested(TrustedRoots::none())).unwrap();
    let listener = net::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (address, heard) = (listener.local(), Arc::<Mutex<Heard>>::default());
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok(mut stream) = listener.accept().await {
            stream.write_all(b"220 mx.fabrikam.com\r\n").await.unwrap();
            if !talk(&mut stream, &told).await {
                continue;
            }
            let (mut stream, about) = tls.accept(stream).await.unwrap();
            let shown = about.certificate.map(|certificate| certificate.fingerprint.to_string());
            told.lock().unwrap().shown.extend(shown);
            talk(&mut stream, &told).await;
        }
    });
    (address, heard)
}

/// Answers everything; whether it ended with STARTTLS.
async fn talk(stream: &mut Stream, heard: &Mutex<Heard>) -> bool {
    loop {
        let mut line = String::new();
        if BufReader::new(&mut *stream).read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        heard.lock().unwrap().commands.push(line.trim().to_owned());
        let answer = match line.trim() {
            line if line.starts_with("EHLO") => "250-mx.fabrikam.com\r\n250 STARTTLS\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 fine\r\n",
        };
        let starts = line.trim() == "STARTTLS";
        stream.write_all(if starts { "220 go\r\n" } else { answer }.as_bytes()).await.unwrap();
        if starts {
            return true;
        }
    }
}

fn organization(hop: SocketAddr) -> String {
    let connector = |name: &str, rest: &str| {
        format!(
            "  - {{name: {name}, addressSpaces: ['{name}.example'], sourceTransportServers: [MAIL1], port: {}, \
             smartHosts: [127.0.0.1]{rest}}}\n",
            hop.port()
        )
    };
    format!(
        "sites: [{{name: A}}]\nservers: [{{name: MAIL1, fqdn: mail1.contoso.com, site: A}}]\n\
         acceptedDomains: [{{name: C, domainName: contoso.com, default: true}}]\nsendConnectors:\n{}{}{}\
         receiveConnectors:\n  - {{name: In, server: MAIL1, transportRole: HubTransport, bindings: ['127.0.0.1:25'], \
         authMechanism: [Tls], fqdn: mail.contoso.com}}\n",
        connector("Partner", ", fqdn: mail.contoso.com, requireTLS: true"),
        connector("Other", ""),
        connector("Clear", ", fqdn: mail.contoso.com, ignoreSTARTTLS: true")
    )
}

/// A server of an organization with these ways out.
fn server(hop: SocketAddr) -> Desk {
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done("cert issue --ca keys --server MAIL1 --fqdn mail1.contoso.com --path identity");
    desk.write(
        "server.toml",
        "server = 'MAIL1'\nforest = 'contoso.example'\nstate = 'state'\n[directory]\nkind = 'embedded'\n\
         path = 'state/directory.db'\n[identity]\npath = 'identity'\n",
    );
    std::fs::create_dir(desk.path("state")).unwrap();
    desk.write("contoso.yaml", &organization(hop));
    desk.done("apply contoso.yaml --settings server.toml --yes");
    desk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_show_a_new_certificate_is_told_and_the_next_hop_is_shown_it() {
    // TA-7, TA-30, TA-31, TA-32
    let now = SystemTime::now().into();
    let authority = CertificateAuthority::create(&"world.example".parse().unwrap(), now).unwrap();
    let of_host = authority.issue_for_smtp(&"mx".parse().unwrap(), &"mx.fabrikam.com".parse().unwrap(), now).unwrap();
    let (hop, heard) = host(&of_host).await;
    let desk = server(hop);
    let later = (SystemTime::now() + Duration::from_secs(1800)).into();
    let new = authority.issue_for_smtp(&"mail".parse().unwrap(), &"mail.contoso.com".parse().unwrap(), later).unwrap();
    new.save_to(&desk.path("new")).unwrap();
    let fingerprint = OwnCertificate::of(new.clone()).unwrap().fingerprint.to_string();

    let said = desk.done("cert preview new --settings server.toml --json");
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |subject: &str| {
        let found: Vec<&str> =
            lines.iter().filter(|line| line["subject"] == subject).filter_map(|line| line["text"].as_str()).collect();
        found.join("\n")
    };
    assert!(text("certificate").contains("for mail.contoso.com"), "{said}");
    assert!(text("Partner").starts_with("would show the new certificate; now it shows CN=MAIL1"), "{said}");
    assert!(text("In").starts_with("would show the new certificate"), "{said}");
    assert!(text("Other").starts_with("not changed") && text("Clear").contains("ignoreSTARTTLS"), "{said}");
    assert!(text("TLS").contains("it asked for the certificate of this server"), "{said}");
    let shown = heard.lock().unwrap().shown.clone();
    assert!(shown.len() == 1 && shown[0] == fingerprint, "by the connector that would change, and no other: {shown:?}");
    let commands = std::mem::take(&mut heard.lock().unwrap().commands);
    assert!(commands.iter().any(|line| line == "RSET") && !commands.iter().any(|line| line == "DATA"), "{commands:?}");
    assert!(!desk.path("identity/smtp/new").exists(), "nothing was put into place");

    // In the place of the server's own it counts for whatever fits nothing, too.
    let said = desk.done("cert preview new --instead --settings server.toml --json");
    let changed = said.lines().filter(|line| line.contains("would show the new certificate"));
    let changed: Vec<String> = changed
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["subject"].as_str().unwrap().to_owned())
        .collect();
    for name in ["In", "Default MAIL1", "Client Proxy MAIL1", "Partner", "Other"] {
        assert!(changed.iter().any(|one| one == name), "{name}: {said}");
    }
    let shown = heard.lock().unwrap().shown.clone();
    assert!(shown.len() == 3 && shown.iter().all(|one| *one == fingerprint), "both ways out: {shown:?}");
    // And without a connection.
    desk.done("cert preview new --offline --settings server.toml");
    assert_eq!(heard.lock().unwrap().shown.len(), 3);
    // The shell shows what is there.
    let shown = |words: &[&str]| desk.run_words(["shell", "--settings", "server.toml", "-c"].iter().chain(words));
    let listed = shown(&["(Get-ExchangeCertificate).CertificateDomains"]);
    assert_eq!(listed.out.trim(), "mail1.contoso.com", "{}", listed.err);
    new.save_to(&desk.path("identity/smtp/mail")).unwrap();
    let listed = shown(&["(Get-ExchangeCertificate -DomainName mail.contoso.com).Thumbprint"]);
    assert_eq!(listed.out.trim(), OwnCertificate::of(new.clone()).unwrap().thumbprint(), "{}", listed.err);
    let checked = desk.run("check --settings server.toml");
    assert!(checked.out.contains("smtp/mail") && checked.out.contains("valid until"), "{}", checked.out);
    std::fs::remove_dir_all(desk.path("identity/smtp/mail")).unwrap();
    // What nobody would show, and what is no certificate.
    let old = authority.issue_for_smtp(&"mail".parse().unwrap(), &"mail.contoso.com".parse().unwrap(), later).unwrap();
    let ended = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let past = authority.issue_for_smtp(&"mail".parse().unwrap(), &"mail.contoso.com".parse().unwrap(), ended.into());
    past.unwrap().save_to(&desk.path("past")).unwrap();
    let ended = desk.run("cert preview past --settings server.toml");
    assert!(ended.status == 1 && ended.out.contains("nobody shows this"), "{}", ended.out);
    KeyedCertificate { cert_pem: old.cert_pem, key_pem: new.key_pem }.save_to(&desk.path("mixed")).unwrap();
    assert!(desk.refused("cert preview mixed --settings server.toml").contains("does not belong"));
}
