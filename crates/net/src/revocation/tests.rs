//! Handshakes with certificates whose authority publishes lists, or answers by OpenSSL's responder; responses stapled by OpenSSL.

#![expect(clippy::disallowed_methods, reason = "certificates and lists of a test are of now")]

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CustomExtension, DnType, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::certificate::{KeyedCertificate, PrivateKeyPem};
use crate::dns::{DnsProtocol, Resolver};
use crate::host::Host;
use crate::stream::{CONNECT_TIMEOUT, connect};
use crate::tls::{ClientCertificates, TlsClient, TlsServer, TrustedRoots, Verification};

const HOUR: Duration = Duration::from_hours(1);
/// `id-pe-authorityInfoAccess`.
const ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn authority(name: &str) -> Issuer {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

fn leaf(issuer: &Issuer, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> KeyedCertificate {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["mx.fabrikam.test".to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    change(&mut params);
    let certificate = params.signed_by(&key, issuer).unwrap();
    KeyedCertificate { cert_pem: certificate.pem(), key_pem: PrivateKeyPem::new(key.serialize_pem()) }
}

fn at(place: &str) -> Vec<CrlDistributionPoint> {
    vec![CrlDistributionPoint { uris: vec![place.to_owned()] }]
}

/// A list with these certificates, made at a time before or after now.
fn list(issuer: &Issuer, revoked: &[u64], made: SystemTime, of: Option<&str>) -> Vec<u8> {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: made.into(),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: made.into(),
        next_update: (made + HOUR).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: of.map(|place| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![place.to_owned()] },
            scope: None,
        }),
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

/// A server of files that counts who asks.
#[derive(Clone)]
struct Publisher {
    address: SocketAddr,
    files: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Publisher {
    async fn serve() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let publisher = Self { address, files: Arc::default(), asked: Arc::default() };
        let here = publisher.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = vec![0; 2048];
                let read = socket.read(&mut request).await.unwrap();
                let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let file = here.files.lock().unwrap().get(&path).cloned();
                here.asked.lock().unwrap().push(path);
                let state = if file.is_some() { "200 OK" } else { "404 Not Found" };
                let body = file.unwrap_or_default();
                let head = format!("HTTP/1.1 {state}\r\nContent-Length: {}\r\n\r\n", body.len());
                // The client may have enough of it.
                let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        publisher
    }

    fn place(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn publish(&self, path: &str, file: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), file);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn revocations() -> (Revocations, Resolver) {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    (Revocations::default(), Resolver::with_servers(&[nobody], DnsProtocol::Any).unwrap())
}

/// Who believes these authorities and asks whom they revoked.
fn client(issuers: &[&Issuer], known: &(Revocations, Resolver)) -> TlsClient {
    let pem: String = issuers.iter().map(|issuer| issuer.pem()).collect();
    TlsClient::new(TrustedRoots::none().and_pem(&pem).unwrap()).with_revocation(known.0.asking(known.1.clone()))
}

async fn shake(client: &TlsClient, shown: &KeyedCertificate, verification: &Verification) -> Result<(), String> {
    let server = TlsServer::new(shown, ClientCertificates::Ignored).unwrap();
    let listener = crate::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let stream = connect(listener.local(), None, CONNECT_TIMEOUT).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    let host: Host = "mx.fabrikam.test".parse().unwrap();
    let (connected, _) = tokio::join!(client.connect(stream, &host, verification), server.accept(accepted));
    connected.map(drop).map_err(|error| error.to_string())
}

fn fails(result: &Result<(), String>, why: &str) {
    assert!(result.as_ref().is_err_and(|said| said.contains(why)), "{why}: {result:?}");
}

#[tokio::test]
async fn lists_are_asked_once_and_what_cannot_be_told_is_not_believed() {
    // TA-8, TA-12
    let (publisher, issuer, now) = (Publisher::serve().await, authority("Fabrikam"), SystemTime::now());
    let chain = Verification::Chain;
    let place = publisher.place("/list");
    publisher.publish("/list", list(&issuer, &[7, 300], now, None));
    let known = revocations();
    let client = client(&[&issuer], &known);
    for serial in [8, 9] {
        let shown = leaf(&issuer, serial, |params| params.crl_distribution_points = at(&place));
        assert_eq!(shake(&client, &shown, &chain).await, Ok(()));
    }
    for serial in [7, 300] {
        let shown = leaf(&issuer, serial, |params| params.crl_distribution_points = at(&place));
        fails(&shake(&client, &shown, &chain).await, "the certificate has been revoked");
        // Encryption alone proves nothing, and asks nobody.
        assert_eq!(shake(&client, &shown, &Verification::None).await, Ok(()));
    }
    assert_eq!(publisher.asked(), 1, "once for four connections");
    // Nobody could revoke this one.
    assert_eq!(shake(&client, &leaf(&issuer, 7, |_| ()), &chain).await, Ok(()));
    let other = authority("Other");
    for (path, file, why) in [
        ("/none", None, "HTTP 404"),
        ("/garbage", Some(b"garbage".to_vec()), "cannot be read"),
        ("/other", Some(list(&other, &[], now, None)), "is of another authority"),
        ("/forged", Some(list(&authority("Fabrikam"), &[], now, None)), "is not signed by the authority"),
        ("/old", Some(list(&issuer, &[], now - 2 * HOUR, None)), "is out of date"),
        ("/early", Some(list(&issuer, &[], now + HOUR, None)), "is not valid yet"),
        ("/elsewhere", Some(list(&issuer, &[], now, Some("http://crl.test/a"))), "is for other certificates"),
    ] {
        let shown = leaf(&issuer, 8, |params| params.crl_distribution_points = at(&publisher.place(path)));
        file.into_iter().for_each(|file| publisher.publish(path, file));
        fails(&shake(&client, &shown, &chain).await, "whether the certificate has been revoked cannot be told: ");
        fails(&shake(&client, &shown, &chain).await, why);
    }
    // What failed is not asked for again at once; a list that is not for the certificate is one that is there.
    assert_eq!(publisher.asked(), 8);
    let mine = publisher.place("/mine");
    publisher.publish("/mine", list(&issuer, &[7], now, Some(&mine)));
    let shown = leaf(&issuer, 8, |params| params.crl_distribution_points = at(&mine));
    assert_eq!(shake(&client, &shown, &chain).await, Ok(()));
    // Nobody answers.
    let nowhere = "http://127.0.0.1:1/list";
    let shown = leaf(&issuer, 8, |params| params.crl_distribution_points = at(nowhere));
    fails(&shake(&client, &shown, &chain).await, nowhere);
}

#[tokio::test]
async fn authorities_between_are_asked_about_too() {
    // TA-8: the chain.
    let (publisher, root, now) = (Publisher::serve().await, authority("Root"), SystemTime::now());
    let mut params = authority_params("Between");
    params.serial_number = Some(SerialNumber::from(77));
    params.crl_distribution_points = at(&publisher.place("/root"));
    let between = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &*root).unwrap();
    let mut shown = leaf(&between, 8, |params| params.crl_distribution_points = at(&publisher.place("/between")));
    shown.cert_pem += &between.pem();
    publisher.publish("/between", list(&between, &[], now, None));
    publisher.publish("/root", list(&root, &[], now, None));
    assert_eq!(shake(&client(&[&root], &revocations()), &shown, &Verification::Chain).await, Ok(()));
    publisher.publish("/root", list(&root, &[77], now, None));
    let result = shake(&client(&[&root], &revocations()), &shown, &Verification::Chain).await;
    fails(&result, "the certificate has been revoked");
}

/// An authority of OpenSSL's, which knows what it issued.
struct Index {
    folder: tempfile::TempDir,
}

impl Index {
    fn new(issuer: &Issuer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        std::fs::write(folder.path().join("ca.key"), issuer.key().serialize_pem()).unwrap();
        std::fs::write(
            folder.path().join("index"),
            "V\t401231235959Z\t\t08\tunknown\t/CN=a\n\
             R\t401231235959Z\t260101000000Z\t07\tunknown\t/CN=b\n",
        )
        .unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn ocsp(&self) -> Command {
        let mut command = Command::new("openssl");
        command.args(["ocsp", "-index", &self.path("index"), "-CA", &self.path("ca.pem")]);
        command.args(["-rsigner", &self.path("ca.pem"), "-rkey", &self.path("ca.key"), "-nmin", "60"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn responder(&self, port: u16) -> Running {
        let mut command = self.ocsp();
        Running::saying(command.args(["-port", &port.to_string()]), "waiting for OCSP")
    }

    /// What it says about a certificate.
    fn response(&self, serial: u64) -> String {
        let (request, response) = (self.path("request"), self.path(&format!("response{serial}")));
        let asked = Command::new("openssl")
            .args(["ocsp", "-issuer", &self.path("ca.pem"), "-serial", &serial.to_string(), "-reqout", &request])
            .output();
        assert!(asked.unwrap().status.success(), "tests need openssl: `make test-packages`");
        let answered = self.ocsp().args(["-reqin", &request, "-respout", &response]).status();
        assert!(answered.unwrap().success());
        response
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Once it has said that it listens: a connection on which nothing is said would stop the responder.
    fn saying(command: &mut Command, words: &str) -> Self {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn();
        let running = Self(child.expect("tests need openssl: `make test-packages`"));
        // What the command holds of the pipe would keep it open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (mut said, mut buffer) = (Vec::new(), [0; 512]);
        while !String::from_utf8_lossy(&said).contains(words) {
            let read = reader.read(&mut buffer).unwrap();
            assert!(read > 0, "{command:?}: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&buffer[..read]);
        }
        // The pipe must not fill up.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn access(place: &str) -> CustomExtension {
    let access = der::element(
        der::SEQUENCE,
        &[&der::element(
            der::SEQUENCE,
            &[&der::element(der::OBJECT, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1]]), &der::element(0x86, &[place.as_bytes()])],
        )],
    );
    CustomExtension::from_oid_content(ACCESS, access)
}

#[tokio::test]
async fn responders_are_asked_once_for_each_certificate() {
    // TA-8, RFC 6960
    let issuer = authority("Fabrikam");
    let (index, port) = (Index::new(&issuer), free_port());
    let responder = index.responder(port);
    let known = revocations();
    let client = client(&[&issuer], &known);
    let place = format!("http://127.0.0.1:{port}/");
    let shown = |serial| leaf(&issuer, serial, |params| params.custom_extensions = vec![access(&place)]);
    let (good, revoked) = (shown(8), shown(7));
    assert_eq!(shake(&client, &good, &Verification::Chain).await, Ok(()));
    fails(&shake(&client, &revoked, &Verification::Chain).await, "the certificate has been revoked");
    fails(&shake(&client, &shown(9), &Verification::Chain).await, "says nothing of the certificate that holds now");
    drop(responder);
    assert_eq!(shake(&client, &good, &Verification::Chain).await, Ok(()), "it was said for an hour");
    let again = self::client(&[&issuer], &revocations());
    fails(&shake(&again, &good, &Verification::Chain).await, "cannot be told");
}

/// `openssl s_server`, which staples a file to its handshakes.
fn stapling(folder: &Path, shown: &KeyedCertificate, response: &str) -> (Running, u16) {
    let port = free_port();
    let file = folder.join("shown.pem");
    std::fs::write(&file, format!("{}{}", shown.cert_pem, shown.key_pem.expose())).unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-cert"]).arg(&file).arg("-key");
    command.arg(&file).args(["-status_file", response]);
    (Running::saying(command.stdin(Stdio::piped()), "ACCEPT"), port)
}

#[tokio::test]
async fn what_is_stapled_is_believed_if_the_authority_signed_it() {
    // TA-8, RFC 6066 §8
    let (issuer, stranger) = (authority("Fabrikam"), authority("Fabrikam"));
    let (index, strange) = (Index::new(&issuer), Index::new(&stranger));
    // Nobody but the staple can tell.
    let shown = |serial| leaf(&issuer, serial, |params| params.crl_distribution_points = at("http://127.0.0.1:1/"));
    for (serial, response, result) in [
        (8, index.response(8), ""),
        (7, index.response(7), "the certificate has been revoked"),
        (8, strange.response(8), "cannot be told"),
        // About another certificate.
        (7, index.response(8), "cannot be told"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_server, port) = stapling(folder.path(), &shown(serial), &response);
        let stream = connect(([127, 0, 0, 1], port).into(), None, CONNECT_TIMEOUT).await.unwrap();
        let host: Host = "mx.fabrikam.test".parse().unwrap();
        let client = client(&[&issuer], &revocations());
        let connected = client.connect(stream, &host, &Verification::Chain).await;
        let said = connected.map(drop).map_err(|error| error.to_string());
        if result.is_empty() { assert_eq!(said, Ok(())) } else { fails(&said, result) }
    }
}
