//! A real slapd as a process: for tests of what comes from another directory.
//!
//! It listens on loopback on free ports, `ldaps` and `ldap` with StartTLS, with a certificate of an authority of its own, keeps
//! its data in a temporary folder, and is killed when it is dropped. Its schema knows the attributes of Exchange in Active
//! Directory, so that entries of both sorts can be had. Files and passwords are of the test alone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::answering;
use crate::etcd::distinct_ports;
use crate::wait::stall;

/// What everything is below.
pub const SUFFIX: &str = "dc=contoso,dc=example";
/// Who may read everything but passwords.
pub const READER: &str = "cn=reader,dc=contoso,dc=example";
/// The reader's password.
pub const READER_PASSWORD: &str = "battery";
/// Entries that a search gives without pages, and a page at most.
pub const SIZE_LIMIT: usize = 600;

const ADMINISTRATOR: &str = "cn=admin,dc=contoso,dc=example";
const ADMINISTRATOR_PASSWORD: &str = "secret";
const SLAPD: &str = "/usr/sbin/slapd";
/// How often other ports are tried when somebody takes a free one first.
const PORT_ATTEMPTS: u32 = 5;
/// What slapd prints when it has read its settings.
const READY: &str = "slapd starting";
/// How often it is asked whether it listens.
const CONNECT_EVERY: Duration = Duration::from_millis(2);

const SCHEMA: &str = "\
attributetype ( 1.3.6.1.4.1.4203.666.77.1 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.77.2 NAME 'objectGUID' SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.77.3 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.77.4 NAME 'legacyExchangeDN' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.77.5 NAME 'homeMDB' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
attributetype ( 1.3.6.1.4.1.4203.666.77.6 NAME 'targetAddress' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.77.7 NAME 'mailNickname' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.77.8 NAME 'mailAlternateAddress' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.4203.666.77.20 NAME 'exchangeRecipient' SUP top ABSTRACT
  MAY ( proxyAddresses $ objectGUID $ sAMAccountName $ legacyExchangeDN $ homeMDB $ targetAddress $ mailNickname $ mail ) )
objectclass ( 1.3.6.1.4.1.4203.666.77.21 NAME 'user' SUP exchangeRecipient STRUCTURAL MUST cn MAY userPassword )
objectclass ( 1.3.6.1.4.1.4203.666.77.22 NAME 'contact' SUP exchangeRecipient STRUCTURAL MUST cn )
objectclass ( 1.3.6.1.4.1.4203.666.77.23 NAME 'group' SUP exchangeRecipient STRUCTURAL MUST cn MAY member )
";

/// A running, or stopped, slapd.
#[derive(Debug)]
pub struct LdapServer {
    child: Option<Child>,
    folder: TempDir,
    ports: (u16, u16),
}

impl LdapServer {
    /// Starts a server that holds its suffix, the reader and the entries of `ldif`, and waits until it answers.
    ///
    /// # Panics
    /// When there is no slapd on this machine, or it does not start.
    #[must_use]
    pub fn start(ldif: &str) -> Self {
        assert!(Path::new(SLAPD).exists(), "there is no {SLAPD}; install it: `make test-packages`");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self { child: None, folder, ports: (0, 0) };
        server.write_files();
        let base = format!(
            "dn: {SUFFIX}\nobjectClass: domain\ndc: contoso\n\ndn: {READER}\nobjectClass: organizationalRole\n\
             objectClass: simpleSecurityObject\ncn: reader\nuserPassword: {READER_PASSWORD}\n\n"
        );
        let path = server.path("start.ldif");
        std::fs::write(&path, base + ldif).expect("the folder can be written to");
        done(Command::new("/usr/sbin/slapadd").arg("-f").arg(server.path("slapd.conf")).arg("-l").arg(path));
        for _ in 0..PORT_ATTEMPTS {
            server.ports = distinct_ports(1)[0];
            if server.run() {
                return server;
            }
        }
        panic!("slapd does not start; its last words are above");
    }

    /// Where it speaks TLS from the first octet.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ports.0)
    }

    /// Where TLS begins by StartTLS.
    #[must_use]
    pub fn starttls_url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.ports.1)
    }

    /// The authority of its certificate, PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Makes the changes of `ldif`.
    ///
    /// # Panics
    /// When they are not made.
    pub fn change(&self, ldif: &str) {
        let mut command = Command::new("ldapmodify");
        command.env("LDAPTLS_CACERT", self.authority()).args(["-x", "-H", &self.url()]);
        command.args(["-D", ADMINISTRATOR, "-w", ADMINISTRATOR_PASSWORD]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("ldapmodify is there: `make test-packages`");
        let mut input = child.stdin.take().expect("standard input is piped");
        input.write_all(ldif.as_bytes()).expect("ldapmodify reads");
        drop(input);
        assert!(child.wait().expect("our own child can be waited for").success(), "{ldif}");
    }

    /// Kills the server, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// Starts a killed server again, on the same ports with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "slapd does not start again");
    }

    /// Starts it again so that it answers every bind with `unwillingToPerform`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_unwilling(&mut self) {
        let path = self.path("slapd.conf");
        let conf = std::fs::read_to_string(&path).expect("the settings can be read");
        std::fs::write(&path, conf + "restrict bind\n").expect("the folder can be written to");
        self.restart();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        let here = self.folder.path().display();
        let write =
            |name: &str, text: String| std::fs::write(self.path(name), text).expect("the folder can be written to");
        std::fs::create_dir(self.path("data")).expect("the folder can be written to");
        write("exchange.schema", SCHEMA.to_owned());
        let known = ["core", "cosine", "nis", "inetorgperson", "misc"];
        let schemas: String = known.iter().map(|name| format!("include /etc/ldap/schema/{name}.schema\n")).collect();
        write(
            "slapd.conf",
            format!(
                "{schemas}include {here}/exchange.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
                 TLSCertificateFile {here}/cert.pem\nTLSCertificateKeyFile {here}/key.pem\n\
                 database mdb\nsuffix \"{SUFFIX}\"\nrootdn \"{ADMINISTRATOR}\"\nrootpw {ADMINISTRATOR_PASSWORD}\n\
                 directory {here}/data\n\
                 limits dn.exact=\"{READER}\" size.soft={SIZE_LIMIT} size.hard={SIZE_LIMIT} size.prtotal=unlimited\n\
                 access to attrs=userPassword by anonymous auth by * none\n\
                 access to * by dn.exact=\"{READER}\" read by * none\n"
            ),
        );
        let openssl = |arguments: &str| {
            done(Command::new("openssl").args(arguments.split(' ')).current_dir(self.folder.path()));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=Authority -addext keyUsage=keyCertSign"
        ));
        openssl(&format!("req {key} -keyout key.pem -out request.pem -subj /CN=ldap"));
        write("names", "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n".to_owned());
        openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem");
    }

    /// Runs the process; false when it ends before it answers.
    fn run(&mut self) -> bool {
        let mut command = Command::new(SLAPD);
        command.arg("-f").arg(self.path("slapd.conf")).args(["-d", "stats"]);
        command.arg("-h").arg(format!("{} {}", self.url(), self.starttls_url()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.child = answering(command.spawn().expect("slapd can be started"), "slapd", READY);
        // It says so before it listens.
        self.child
            .as_mut()
            .is_some_and(|child| [self.ports.0, self.ports.1].into_iter().all(|port| listens(child, port)))
    }
}

impl Drop for LdapServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `child` takes connections on a port; false when it ends before.
fn listens(child: &mut Child, port: u16) -> bool {
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait().expect("our own child can be waited for").is_some() {
            return false;
        }
        stall(CONNECT_EVERY);
    }
    true
}

fn done(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make test-packages` installs it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
