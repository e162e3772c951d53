//! A real realm of MIT Kerberos: a KDC as a process on loopback, principals, keytabs.
//!
//! Its library is told of the realm by the environment of a process, which a test cannot change for itself: it starts itself
//! again as a process that has it ([`Realm::around`]).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::stall;

/// Its name.
pub const REALM: &str = "CONTOSO.TEST";
/// How long the KDC may take to listen: 200 looks.
const LOOKS_MAX: u32 = 200;
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Names the folder of the realm, in the process that has it around.
const INNER: &str = "POSTROAD_TEST_REALM";

/// A running, or stopped, realm. Gone when it is dropped.
#[derive(Debug)]
pub struct Realm {
    folder: PathBuf,
    kdc: Option<Child>,
}

impl Realm {
    /// The realm, in a process that has it around: that of the test `name`, which is started again for it, and of whose end
    /// the first one knows. There it is nothing, and the test is over.
    ///
    /// Its tickets live for `lifetime`.
    ///
    /// # Panics
    /// When the test fails there, or there is no KDC on this machine.
    #[must_use]
    pub fn around(name: &str, lifetime: Duration) -> Option<Self> {
        let Some(folder) = std::env::var_os(INNER) else {
            again(name);
            return None;
        };
        assert!(Path::new("/usr/sbin/krb5kdc").exists(), "there is no krb5kdc; install it: `make test-packages`");
        let mut realm = Self { folder: folder.into(), kdc: None };
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        realm.write_files(port, lifetime.as_secs());
        realm.done(Command::new("/usr/sbin/kdb5_util").args(["create", "-s", "-P", "master", "-r", REALM]));
        realm.resume();
        Some(realm)
    }

    fn write_files(&self, port: u16, lifetime: u64) {
        let place = self.folder.display();
        let client = format!(
            "[libdefaults]\n  default_realm = {REALM}\n  dns_lookup_kdc = false\n  dns_lookup_realm = false\n  rdns = false\n  \
             dns_canonicalize_hostname = false\n  clockskew = 1\n  ticket_lifetime = {lifetime}s\n\
             [realms]\n  {REALM} = {{\n    kdc = 127.0.0.1:{port}\n  }}\n\
             [domain_realm]\n  .test = {REALM}\n"
        );
        let server = format!(
            "[kdcdefaults]\n  kdc_listen = 127.0.0.1:{port}\n  kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n  {REALM} = {{\n    database_name = {place}/principal\n    key_stash_file = {place}/stash\n    \
             acl_file = {place}/acl\n    max_life = {lifetime}s\n  }}\n[logging]\n  kdc = FILE:{place}/kdc.log\n"
        );
        std::fs::write(self.configuration(), client).expect("the folder can be written to");
        std::fs::write(self.folder.join("kdc.conf"), server).expect("the folder can be written to");
    }

    /// Adds a principal with a random key, and gives the file that holds it.
    ///
    /// # Panics
    /// When the realm does not take it.
    #[must_use]
    pub fn keytab(&self, principal: &str) -> PathBuf {
        let path = self.folder.join(format!("{}.keytab", principal.replace('/', "_")));
        for query in [format!("addprinc -randkey {principal}"), format!("ktadd -k {} {principal}", path.display())] {
            self.done(Command::new("/usr/sbin/kadmin.local").args(["-r", REALM, "-q", &query]));
        }
        path
    }

    /// The keytab by which this process logs on, with a new principal of this name.
    ///
    /// # Panics
    /// As [`Self::keytab`].
    #[must_use]
    pub fn client(&self, principal: &str) -> PathBuf {
        let path = client_keytab(&self.folder);
        std::fs::rename(self.keytab(principal), &path).expect("a file can be renamed in its folder");
        path
    }

    /// Its `krb5.conf`.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        configuration(&self.folder)
    }

    /// What the KDC wrote about requests.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("kdc.log")).unwrap_or_default()
    }

    /// Nobody answers any more.
    ///
    /// # Panics
    /// When our own child cannot be ended.
    pub fn stop(&mut self) {
        if let Some(mut kdc) = self.kdc.take() {
            kdc.kill().expect("our own child can be killed");
            kdc.wait().expect("our own child can be waited for");
        }
    }

    /// Starts the KDC (again), and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub fn resume(&mut self) {
        let mut command = Command::new("/usr/sbin/krb5kdc");
        command.args(["-n", "-r", REALM]);
        self.told(&mut command);
        let begun = self.log().matches("commencing operation").count();
        self.kdc = Some(command.stdin(Stdio::null()).spawn().expect("krb5kdc can be started"));
        for _ in 0..LOOKS_MAX {
            if self.log().matches("commencing operation").count() > begun {
                return;
            }
            stall(LOOK_EVERY);
        }
        panic!("krb5kdc does not start: {}", self.log());
    }

    fn told(&self, command: &mut Command) {
        command.env("KRB5_CONFIG", self.configuration()).env("KRB5_KDC_PROFILE", self.folder.join("kdc.conf"));
    }

    fn done(&self, command: &mut Command) {
        self.told(command);
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; `make test-packages` installs it"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Servers with users of their own read the configuration of the realm.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("krb5.conf")
}

fn client_keytab(folder: &Path) -> PathBuf {
    folder.join("client.keytab")
}

fn again(name: &str) {
    let folder = tempfile::Builder::new().permissions(readable()).tempdir().expect("a temporary folder can be made");
    let program = std::env::current_exe().expect("a test runs from a file");
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture"]).env(INNER, folder.path());
    command.env("KRB5_CONFIG", configuration(folder.path()));
    command.env("KRB5_CLIENT_KTNAME", format!("FILE:{}", client_keytab(folder.path()).display()));
    command.env("KRB5CCNAME", "MEMORY:postroad");
    let ended = command.stdin(Stdio::null()).status().expect("a test can be started again");
    assert!(ended.success(), "{name}, with a realm: {ended}; its words are above");
}
