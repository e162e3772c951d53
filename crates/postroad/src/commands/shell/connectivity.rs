//! Who connects to servers for `Test-SmtpConnectivity`: this machine, as a client would.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cmdlets::Connectivity;
use cmdlets::connectivity::Greeting;
use runtime::Settings;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use topology::receive_connector::defaults::{CLIENT_PORT, CLIENT_PROXY_PORT, FRONTEND_PORT, HUB_PORT};
use topology::{ReceiveConnector, Server, ServerRole, TransportRole};

use super::super::place::Reach;

/// For a connection, and for the greeting: a server that is there has answered long before.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a greeting (RFC 5321 §4.5.3.1.5).
const GREETING_OCTETS_MAX: u64 = 512;

/// This machine.
pub(super) struct FromHere {
    runtime: tokio::runtime::Handle,
    /// Of this server, which may listen elsewhere than its connectors say.
    settings: Option<Settings>,
}

impl FromHere {
    pub(super) fn of(reach: &Reach, runtime: tokio::runtime::Handle) -> Self {
        Self { runtime, settings: reach.settings().cloned() }
    }

    /// Where a binding is served: at the address that the settings of this server put in its place, else at its own.
    fn place(&self, server: &Server, connector: &ReceiveConnector, binding: SocketAddr) -> SocketAddr {
        let Some(settings) = self.settings.as_ref().filter(|settings| settings.server == server.name) else {
            return binding;
        };
        let (service, [servers, clients]) = match connector.transport_role {
            TransportRole::FrontendTransport => (net::Service::FrontendTransport, [FRONTEND_PORT, CLIENT_PORT]),
            TransportRole::HubTransport if server.role == ServerRole::Edge => {
                (net::Service::Transport, [FRONTEND_PORT, CLIENT_PROXY_PORT])
            }
            TransportRole::HubTransport => (net::Service::Transport, [HUB_PORT, CLIENT_PROXY_PORT]),
        };
        let own = settings.service(service);
        let instead = match binding.port() {
            port if port == servers => own.smtp.first(),
            port if port == clients => own.submission.first(),
            _ => None,
        };
        instead.copied().unwrap_or(binding)
    }
}

impl Connectivity for FromHere {
    fn greet(&mut self, server: &Server, connector: &ReceiveConnector, binding: SocketAddr) -> Greeting {
        let place = self.place(server, connector, binding);
        let is_here = self.settings.as_ref().is_some_and(|settings| settings.server == server.name);
        let fqdn = server.fqdn.ascii().to_owned();
        self.runtime.block_on(async {
            let at = match (place.ip().is_unspecified(), is_here) {
                (false, _) => Ok(place),
                (true, true) => Ok(SocketAddr::new(loopback(place.ip()), place.port())),
                (true, false) => found(&fqdn, place).await,
            };
            match at {
                Ok(at) => Greeting { endpoint: at.to_string(), outcome: greeting(at).await },
                Err(why) => Greeting { endpoint: format!("{fqdn}:{}", place.port()), outcome: Err(why) },
            }
        })
    }
}

fn loopback(any: IpAddr) -> IpAddr {
    if any.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]) }
}

/// The server's address of the same family.
async fn found(fqdn: &str, place: SocketAddr) -> Result<SocketAddr, String> {
    let all = tokio::net::lookup_host((fqdn, place.port())).await;
    let mut all = all.map_err(|error| format!("{fqdn} is not found in DNS: {error}"))?;
    let same = all.find(|address| address.is_ipv4() == place.is_ipv4());
    same.ok_or_else(|| format!("{fqdn} has no address of that family in DNS"))
}

/// The first line that the server says.
async fn greeting(at: SocketAddr) -> Result<String, String> {
    let mut stream = net::connect(at, None, PATIENCE).await.map_err(|error| error.cause.to_string())?;
    let mut line = String::new();
    let mut said = BufReader::new((&mut stream).take(GREETING_OCTETS_MAX));
    match tokio::time::timeout(PATIENCE, said.read_line(&mut line)).await {
        Ok(Ok(0)) => return Err("the connection was closed without a greeting".to_owned()),
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no greeting within {} s", PATIENCE.as_secs())),
    }
    // Whoever was greeted says good-bye; nobody waits for the answer.
    let _ = stream.write_all(b"QUIT\r\n").await;
    Ok(line.trim_end().to_owned())
}
