//! Mail servers of others as next hops: Postfix and Exim of Debian, as they come and with the TLS of another age, by a session of
//! Transport's own and through a front end; and `openssl s_client` as an old server that sends to us.
//!
//! Exim cannot be installed beside Postfix: `deploy/unpack.sh` puts its packages into `target/peers/exim`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use envelope::Domain;
use sending::{Delivered, Errand, deliver};
use smtp::{Failure, OutboundSession, TlsOutcome};
use testkit::{Client, until};

use crate::both_ways::Ways;
use crate::odd_hosts::{Content, Mail, in_words};
use crate::support::{self, STRANGERS, Scene};

/// The account under which Debian runs Exim; it is not there, since Exim is not installed.
const EXIM_USER: &str = "Debian-exim:x:64999:64999::/var/spool/exim4:/bin/false";

/// A server of others that runs.
pub(crate) struct Peer {
    pub address: SocketAddr,
    process: Child,
    folder: tempfile::TempDir,
}

impl Peer {
    /// What a Postfix wrote about its work.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("maillog")).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SIGTERM: Postfix's master takes its children along.
        let stopped = Command::new("kill").arg(self.process.id().to_string()).status();
        if stopped.is_ok_and(|status| status.success()) {
            let _gone = self.process.wait();
        }
    }
}

/// Kinds of keys, each with a certificate of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Rsa,
    Ec,
}

/// Which server, with which key and which settings of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    server: Server,
    key: Key,
    more: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Server {
    Postfix,
    Exim,
}

pub(crate) const fn postfix(key: Key, more: &'static str) -> Setting {
    Setting { server: Server::Postfix, key, more }
}

const fn exim(more: &'static str) -> Setting {
    Setting { server: Server::Exim, key: Key::Rsa, more }
}

/// Name of the case, the server; how the session is secured where TLS is wanted (`clear`: not), and where it is required: the same,
/// or how mail waits.
type Case = (&'static str, Setting, &'static str, &'static str);

const HANDSHAKE: &str = "waits: TLS handshake: ";

const CASES: [Case; 10] = [
    ("Postfix as it comes", postfix(Key::Rsa, ""), "TLSv1.3", "TLSv1.3"),
    ("Postfix without TLS", postfix(Key::Rsa, "smtpd_tls_security_level = none"), "clear", "waits: STARTTLS: "),
    // Windows Server 2012: RSA key exchange, CBC.
    (
        "RSA key exchange, CBC",
        postfix(
            Key::Rsa,
            "smtpd_tls_protocols = TLSv1.2\nsmtpd_tls_ciphers = medium\ntls_medium_cipherlist = AES128-SHA:AES256-SHA",
        ),
        "clear",
        HANDSHAKE,
    ),
    // Windows Server 2012 R2 with an RSA certificate: what is left of ECDHE is CBC.
    (
        "ECDHE with an RSA key, CBC",
        postfix(
            Key::Rsa,
            "smtpd_tls_protocols = TLSv1.2\nsmtpd_tls_ciphers = medium\ntls_medium_cipherlist = ECDHE-RSA-AES128-SHA256",
        ),
        "clear",
        HANDSHAKE,
    ),
    // The same with an ECDSA certificate.
    (
        "ECDHE with an ECDSA key, GCM",
        postfix(
            Key::Ec,
            "smtpd_tls_protocols = TLSv1.2\nsmtpd_tls_ciphers = medium\ntls_medium_cipherlist = ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        "TLSv1.2",
        "TLSv1.2",
    ),
    (
        "TLS 1.0",
        postfix(
            Key::Rsa,
            "smtpd_tls_protocols = TLSv1\nsmtpd_tls_ciphers = medium\ntls_medium_cipherlist = ALL:@SECLEVEL=0",
        ),
        "clear",
        HANDSHAKE,
    ),
    ("Exim as it comes", exim(""), "TLSv1.3", "TLSv1.3"),
    ("Exim without TLS", exim("tls_advertise_hosts ="), "clear", "waits: STARTTLS: "),
    (
        "GnuTLS, RSA key exchange, CBC",
        exim("tls_require_ciphers = NONE:+VERS-TLS1.2:+RSA:+AES-128-CBC:+SHA1:+COMP-NULL:+SIGN-ALL:+CTYPE-X509"),
        "clear",
        HANDSHAKE,
    ),
    (
        "GnuTLS, TLS 1.2 with ECDHE and GCM",
        exim("tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.2"),
        "TLSv1.2",
        "TLSv1.2",
    ),
];

/// What other servers take in one way or another: extensions, many recipients.
const MAIL: [Mail; 7] =
    [Mail::Plain, Mail::Flagged, Mail::EightBit, Mail::LargeEightBit, Mail::Signed, Mail::ULabel, Mail::Seventeen];

/// Runs a program of the machine to its end.
pub(crate) fn ran(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{command:?}: {error}; tests need postfix and openssl of Debian"));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A self-signed certificate, and its key before it in the same file: `rustls` never sees it made.
fn certificate(folder: &Path, key: Key) -> PathBuf {
    let (own, all) = (folder.join("key.pem"), folder.join("all.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-subj", "/CN=peer.test", "-days", "2"]);
    match key {
        Key::Rsa => openssl.args(["-newkey", "rsa:2048"]),
        Key::Ec => openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]),
    };
    let said = ran(openssl.arg("-keyout").arg(&own).arg("-out").arg(&all));
    let text = [std::fs::read_to_string(&own), std::fs::read_to_string(&all)].map(|read| read.expect(&said));
    std::fs::write(&all, text.concat()).unwrap();
    all
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Setting {
    pub(crate) async fn start(self) -> Peer {
        let folder = tempfile::Builder::new().permissions(support::readable()).tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let pem = certificate(folder.path(), self.key);
        let mut command = match self.server {
            Server::Postfix => prepare_postfix(folder.path(), address, &pem, self.more),
            Server::Exim => prepare_exim(folder.path(), address, &pem, self.more),
        };
        let log = std::fs::File::create(folder.path().join("said")).unwrap();
        let process = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let peer = Peer { address, process, folder };
        until(&format!("{self:?} to answer"), async || {
            net::connect(address, None, net::stream::CONNECT_TIMEOUT).await.ok().map(drop)
        })
        .await;
        peer
    }
}

fn prepare_postfix(folder: &Path, address: SocketAddr, pem: &Path, more: &str) -> Command {
    let (etc, place) = (folder.join("etc"), folder.display());
    for name in ["etc", "queue", "data"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    ran(Command::new("chown").arg("postfix").arg(folder.join("data")));
    let settings = format!(
        "compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
         setgid_group = postdrop\ninet_protocols = ipv4\nmyhostname = postfix.test\nmydestination =\n\
         mynetworks = 127.0.0.0/8\nalias_maps =\nlocal_recipient_maps =\ndefault_transport = discard\n\
         relay_transport = discard\nsmtpd_recipient_limit = 5\nsmtpd_peername_lookup = no\nsmtpd_tls_chain_files = {}\n\
         smtpd_tls_security_level = may\nmaillog_file = {place}/maillog\nmaillog_file_prefixes = {place}\n{more}\n",
        pem.display()
    );
    std::fs::write(etc.join("main.cf"), settings).unwrap();
    let services = [
        format!("{address} inet n - n - - smtpd"),
        "cleanup unix n - n - 0 cleanup".to_owned(),
        "qmgr unix n - n 300 1 qmgr".to_owned(),
        "rewrite unix - - n - - trivial-rewrite".to_owned(),
        "bounce unix - - n - 0 bounce".to_owned(),
        "defer unix - - n - 0 bounce".to_owned(),
        "discard unix - - n - - discard".to_owned(),
        "tlsmgr unix - - n 1000? 1 tlsmgr".to_owned(),
        "anvil unix - - n - 1 anvil".to_owned(),
        "postlog unix-dgram n - n - 1 postlogd".to_owned(),
    ];
    std::fs::write(etc.join("master.cf"), services.join("\n") + "\n").unwrap();
    ran(Command::new("postfix").arg("-c").arg(&etc).arg("check"));
    let mut master = Command::new("/usr/lib/postfix/sbin/master");
    master.arg("-c").arg(&etc).arg("-d");
    master
}

/// In a mount namespace of its own, in which `/etc` has its configuration and its account.
fn prepare_exim(folder: &Path, address: SocketAddr, pem: &Path, more: &str) -> Command {
    let tree = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/exim/tree"));
    assert!(tree.exists(), "{}: tests need Exim of Debian, which `make test-packages` unpacks", tree.display());
    let (etc, place) = (folder.join("etc"), folder.display());
    for name in ["etc/exim4", "work", "spool"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    ran(Command::new("chown").arg("64999:64999").arg(folder.join("spool")).arg(pem));
    let settings = format!(
        "primary_hostname = exim.test\nlocal_interfaces = {}\ndaemon_smtp_ports = {}\nspool_directory = {place}/spool\n\
         log_file_path = {place}/spool/%slog\npid_file_path = {place}/spool/pid\ntls_certificate = {}\n\
         acl_smtp_rcpt = accept\nacl_smtp_data = accept\nhost_lookup =\nrfc1413_query_timeout = 0s\nqueue_only = true\n\
         recipients_max = 5\nsmtputf8_advertise_hosts =\nchunking_advertise_hosts = *\nkeep_environment =\n{more}\n\
         begin acl\naccept:\n  accept\n",
        address.ip(),
        address.port(),
        pem.display()
    );
    let settings =
        if more.contains("tls_advertise_hosts") { settings } else { format!("tls_advertise_hosts = *\n{settings}") };
    std::fs::write(etc.join("exim4/exim4.conf"), settings).unwrap();
    for (table, line) in [("passwd", EXIM_USER), ("group", "Debian-exim:x:64999:")] {
        let text = std::fs::read_to_string(Path::new("/etc").join(table)).unwrap();
        std::fs::write(etc.join(table), format!("{text}{line}\n")).unwrap();
    }
    let script = "set -e; mount -t overlay overlay -o lowerdir=/etc,upperdir=\"$1/etc\",workdir=\"$1/work\" /etc; \
                  exec env LD_LIBRARY_PATH=\"$2/usr/lib/x86_64-linux-gnu\" \"$2/usr/sbin/exim4\" -bdf";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(folder).arg(tree);
    unshare
}

/// Opens a session by the connector of `ways`, or through its front end.
async fn open(ways: &Ways, proxied: bool) -> Result<(Box<dyn OutboundSession>, Option<TlsOutcome>), Box<Failure>> {
    if proxied {
        return match ways.front_ends.open(&ways.at, &ways.request()).await {
            Ok(session) => Ok((Box::new(session), None)),
            Err(rpc::OpenError::Session(failure)) => Err(failure),
            Err(error) => panic!("{error}"),
        };
    }
    let tables = ways.node.tables();
    let connector = &tables.organization().send_connectors()[0];
    let domain = Domain::parse("fabrikam.com").unwrap();
    let domain = connector.dns_routing_enabled.then_some(&domain);
    let session = ways.direct.open(Errand { connector, domain, turn: 0 }).await?;
    let tls = session.tls().clone();
    Ok((Box::new(session), Some(tls)))
}

/// What becomes of a message: how the session is secured, or why it waits.
pub(crate) async fn send(ways: &Ways, mail: Mail, proxied: bool) -> Result<Option<&'static str>, String> {
    let (mut session, tls) = open(ways, proxied).await.map_err(|failure| in_words(&failure))?;
    let Delivered { recipients, reusable, .. } = deliver(session.as_mut(), &mail.envelope(), &mut Content(mail)).await;
    for result in recipients {
        let taken = result.map_err(|failure| in_words(&failure))?;
        // Both say the id under which they have it.
        assert!(taken.reply.text.contains("queued as") || taken.reply.text.contains("id="), "{}", taken.reply);
    }
    if reusable {
        session.close().await;
    }
    Ok(tls.map(|tls| match tls {
        TlsOutcome::Clear | TlsOutcome::FellBack(_) => "clear",
        TlsOutcome::Encrypted(about) => about.version,
    }))
}

#[tokio::test]
async fn other_servers_take_mail_as_they_come_and_with_the_tls_of_another_age() {
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    let mut wrong = Vec::new();
    for (name, setting, wanted, required) in CASES {
        let peer = setting.start().await;
        for (tls, expected) in [("", wanted), (", requireTLS: true", required)] {
            let connector = format!("port: {}, smartHosts: [127.0.0.1]{tls}", peer.address.port());
            ways.configure(&scene, "", &connector).await;
            for proxied in [false, true] {
                let became = send(&ways, Mail::Plain, proxied).await;
                let fits = match &became {
                    Ok(secured) => secured.is_none_or(|secured| secured == expected) && !expected.starts_with("waits"),
                    Err(why) => expected.starts_with("waits") && why.starts_with(expected),
                };
                if !fits {
                    wrong.push(format!("{name}{tls}, proxied {proxied}: {became:?}, not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn other_servers_take_every_form_of_mail() {
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    for setting in
        [postfix(Key::Rsa, ""), postfix(Key::Rsa, "smtpd_discard_ehlo_keywords = chunking, 8bitmime, dsn"), exim("")]
    {
        let peer = setting.start().await;
        let connector = format!("port: {}, smartHosts: [127.0.0.1]", peer.address.port());
        ways.configure(&scene, "", &connector).await;
        for mail in MAIL {
            for proxied in [false, true] {
                let became = send(&ways, mail, proxied).await;
                // Signed eight bits stay as they are.
                let comes_back = matches!(mail, Mail::Signed) && setting.more.contains("8bitmime");
                match became {
                    Err(why) if comes_back => assert!(why.starts_with("bounces: MAIL: 550 5.6.3 "), "{why}"),
                    became => {
                        assert!(became.is_ok() && !comes_back, "{setting:?}, {mail:?}, proxied {proxied}: {became:?}")
                    }
                }
            }
        }
        // Postfix has SMTPUTF8, this Exim has not.
        let became = send(&ways, Mail::Utf8Recipient, false).await;
        match setting.server {
            Server::Postfix => assert!(became.is_ok(), "{became:?}"),
            Server::Exim => {
                assert!(became.as_ref().is_err_and(|why| why.starts_with("bounces: MAIL: 550 5.6.7 ")), "{became:?}")
            }
        }
    }
}

#[tokio::test]
async fn an_old_server_that_sends_to_us_has_forward_secrecy_and_gcm_or_no_tls() {
    // TA-13
    let scene = Scene::new(&[("MAIL1", support::Conduct::Take)]).await;
    let address = scene.address(STRANGERS);
    for (arguments, expected) in [
        ("-tls1_3", "TLSv1.3"),
        ("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "Cipher is ECDHE-RSA-AES128-GCM-SHA256"),
        ("-tls1_2 -cipher ECDHE-RSA-AES128-SHA256:@SECLEVEL=0", "handshake failure"),
        ("-tls1_2 -cipher AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0", "handshake failure"),
        // TA-35: the certificate that is shown has an RSA key.
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "handshake failure"),
        ("-tls1_1 -cipher ALL:@SECLEVEL=0", "SSL alert number"),
    ] {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-starttls", "smtp", "-connect", &address.to_string()]).args(arguments.split(' '));
        let said = tokio::task::spawn_blocking(move || ran(&mut client)).await.unwrap();
        assert!(said.contains(expected), "{arguments}: {said}");
    }
    // In clear it is served as before.
    let mut client = Client::connect(address).await;
    let reply = client.send("visitor@fabrikam.example", &["ann@contoso.com"], "Subject: x\r\n\r\nBody").await;
    assert!(reply.starts_with("250 2.6.0 "), "{reply}");
}
