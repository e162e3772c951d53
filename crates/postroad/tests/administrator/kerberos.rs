//! Settings that name a keytab: the program starts itself again with it, and logs on to a smart host by it, as a command and as
//! a service that has given up all other files.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use testkit::dns::{self, Record};
use testkit::kerberos::Realm;
use testkit::{Client, until};

use crate::support::{Desk, command};

/// A process that ends with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A host that asks everybody to log on, lets nobody in, and repeats what it was told.
fn suspicious() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (told, heard)) = (listener.local_addr().unwrap(), channel());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            for line in ["220 smarthost.test", "250-smarthost.test\r\n250 AUTH GSSAPI", "334 ", "535 5.7.8 no"] {
                // Whoever has gone is not interested any more.
                if write!(socket, "{line}\r\n").is_err() {
                    break;
                }
                let Some(Ok(said)) = lines.next() else { break };
                if told.send(said).is_err() {
                    return;
                }
            }
        }
    });
    (address, heard)
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Whether a ticket arrives: a token of GSSAPI begins with an element of DER that holds the mechanism.
async fn ticket(heard: &Receiver<String>) {
    until("a ticket", async || heard.try_iter().find(|line| line.starts_with("YI"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keytab_of_the_settings_is_the_one_that_is_used() {
    let name = "kerberos::the_keytab_of_the_settings_is_the_one_that_is_used";
    let Some(realm) = Realm::around(name, Duration::from_hours(1)) else { return };
    let keytab = realm.client("postroad/mail1.contoso.com");
    let _of_host = realm.keytab("smtp/smarthost.test");
    let ((host, heard), entrance, organization) = (suspicious(), free_address(), free_address());
    let dns = dns::serve(&[("smarthost.test", Record::A([127, 0, 0, 1].into()))]).await;
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done("cert issue --ca keys --server MAIL1 --fqdn mail1.contoso.com --path identity");
    desk.write(
        "server.toml",
        &format!(
            "server = 'MAIL1'\nforest = 'contoso.example'\nstate = 'state'\ndns = ['{dns}']\n[directory]\nkind = 'embedded'\n\
             path = 'state/directory.db'\n[identity]\npath = 'identity'\n[kerberos]\nkeytab = '{}'\n\
             [services.transport]\norganization = '{organization}'\n",
            keytab.display()
        ),
    );
    desk.write(
        "kerberos.yaml",
        &format!(
            "sites: [{{name: A}}]\nservers: [{{name: MAIL1, fqdn: mail1.contoso.com, site: A}}]\n\
             acceptedDomains: [{{name: C, domainName: contoso.com, default: true}}]\n\
             sendConnectors:\n  - {{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1], port: {}, \
             smartHosts: [smarthost.test], smartHostAuthMechanism: ExchangeServer}}\n\
             receiveConnectors:\n  - {{name: In, server: MAIL1, transportRole: HubTransport, bindings: ['{entrance}'], \
             authMechanism: [Tls, ExternalAuthoritative], permissionGroups: [ExchangeServers]}}\n\
             \x20 - {{name: Default MAIL1, server: MAIL1, enabled: false}}\n\
             \x20 - {{name: Client Proxy MAIL1, server: MAIL1, enabled: false}}\n",
            host.port()
        ),
    );
    std::fs::create_dir(desk.path("state")).unwrap();
    desk.done("apply kerberos.yaml --settings server.toml --yes");
    let with_realm = |arguments: &[&str]| -> Command {
        let mut command = command(desk.path("").as_path());
        command.args(arguments).args(["--settings", "server.toml"]).stdin(Stdio::null());
        // What the settings say is what counts.
        command.env_remove("KRB5_CLIENT_KTNAME").env_remove("KRB5CCNAME");
        command
    };
    let output = with_realm(&["probe", "Out", "--recipient", "bob@fabrikam.test"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("535 5.7.8 no") && said.contains("kerberos.keytab"), "{said}");
    ticket(&heard).await;
    let output = with_realm(&["check"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&keytab.display().to_string()), "{said}");

    let _transport = Service(with_realm(&["transport"]).spawn().unwrap());
    until("Transport to listen", async || {
        net::connect(entrance, None, net::stream::CONNECT_TIMEOUT).await.ok().map(drop)
    })
    .await;
    let mut client = Client::connect(entrance).await;
    for line in ["MAIL FROM:<ann@contoso.com>", "RCPT TO:<bob@fabrikam.test>", "DATA"] {
        let said = client.say(line).await;
        assert!(said.starts_with('2') || said.starts_with("354"), "{line}: {said}");
    }
    let said = client.say("Subject: hi\r\n\r\nhi\r\n.").await;
    assert!(said.starts_with("250 2.6.0"), "{said}");
    ticket(&heard).await;
}
