//! Running the program in a folder of its own, and the organization that the tests speak of.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Two sites, and something for every kind of answer. `DB2` is in Oslo; large mail finds no connector for the partner.
pub(crate) const ORGANIZATION: &str = "\
sites: [{name: Berlin}, {name: Oslo}]
siteLinks:
  - {name: Line, sites: [Berlin, Oslo], cost: 10}
servers:
  - {name: EDGE1, fqdn: edge1.contoso.example, site: Berlin, role: Edge}
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
  - {name: OSLO1, fqdn: oslo1.contoso.example, site: Oslo}
databases:
  - {name: DB1, server: BERLIN1}
  - {name: DB2, server: OSLO1}
acceptedDomains:
  - {name: Contoso, domainName: contoso.example, default: true}
sendConnectors:
  - {name: Internet, addressSpaces: ['*;10'], sourceTransportServers: [BERLIN1]}
  - name: Partner
    addressSpaces: [partner.example]
    sourceTransportServers: [OSLO1]
    maxMessageSize: 4MB
    smartHosts: [relay.partner.example]
    smartHostAuthMechanism: BasicAuth
    authenticationCredential: {user: contoso, password: correct-horse}
recipients:
  - {name: anna, address: anna@contoso.example, proxyAddresses: [a.berg@contoso.example, postmaster@contoso.example], database: DB1, password: battery}
  - {name: olga, address: olga@contoso.example, database: DB2}
  - {name: carol, address: carol@contoso.example, externalAddress: carol@fabrikam.example}
  - {name: team, address: team@contoso.example, members: [olga@contoso.example, carol@contoso.example]}
";

/// A folder in which the program runs.
pub(crate) struct Desk {
    folder: TempDir,
}

/// How a run ended.
pub(crate) struct Run {
    pub succeeded: bool,
    /// The exit status.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    /// With the organization file.
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write("contoso.yaml", ORGANIZATION);
        desk
    }

    /// With settings of BERLIN1, its identity, and an embedded directory that holds nothing yet.
    pub(crate) fn with_directory() -> Self {
        let desk = Self::new();
        desk.done("cert init --forest contoso.example --path keys");
        desk.done("cert issue --ca keys --server BERLIN1 --fqdn berlin1.contoso.example --path identity");
        let settings = "server = 'BERLIN1'\nforest = 'contoso.example'\nstate = 'state'\n\
                        [directory]\nkind = 'embedded'\npath = 'directory.db'\n[identity]\npath = 'identity'\n";
        desk.write("server.toml", settings);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs `postroad` with the words of `line`. There is no terminal and nothing to read.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_words(line.split_whitespace())
    }

    pub(crate) fn run_words(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        let output = command(self.folder.path()).args(words).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap();
        Run { succeeded: output.status.success(), status, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs what must succeed, and gives what it printed.
    pub(crate) fn done(&self, line: &str) -> String {
        let run = self.run(line);
        assert!(run.succeeded, "$ postroad {line}\n{}{}", run.out, run.err);
        run.out
    }

    /// Runs what must fail, and gives what it complained.
    pub(crate) fn refused(&self, line: &str) -> String {
        let run = self.run(line);
        assert!(!run.succeeded, "$ postroad {line}\n{}{}", run.out, run.err);
        run.err
    }
}

/// The program, in `folder`, without what the caller's environment would tell it.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroad"));
    command.current_dir(folder).env_remove("POSTROAD_SETTINGS");
    command
}

/// An address for a process that has to be told one. Its host is nobody else's: a port of 127.0.0.1 that is let go belongs to whoever asks
/// for any, before that process does.
pub(crate) fn own_address() -> SocketAddr {
    let [a, b, c, ..] = RandomState::new().build_hasher().finish().to_be_bytes();
    let host = Ipv4Addr::new(127, 64 + a % 128, b, 1 + c % 254);
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}
