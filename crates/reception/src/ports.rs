//! Which of a service's ports for SMTP are open, for whoever asks whether it is ready.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Ports below this need a privilege. Source: Linux, `net.ipv4.ip_unprivileged_port_start`.
const UNPRIVILEGED: u16 = 1024;

/// What became of each address.
#[derive(Clone, Debug, Default)]
pub struct Ports(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// Why each of the others is not.
    failing: BTreeMap<SocketAddr, String>,
}

impl Ports {
    /// Why no mail can come in: ports are wanted, and none could be opened.
    #[must_use]
    pub fn closed(&self) -> Option<String> {
        let state = self.0.lock();
        let failing: Vec<&str> = state.failing.values().map(String::as_str).collect();
        (state.open == 0 && !failing.is_empty()).then(|| failing.join("; "))
    }

    pub(crate) fn set(&self, open: usize, failing: BTreeMap<SocketAddr, String>) {
        *self.0.lock() = State { open, failing };
    }
}

/// `cannot listen on 0.0.0.0:25: Permission denied …`, and what to do.
pub(crate) fn complaint(address: SocketAddr, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied if address.port() < UNPRIVILEGED => {
            ": ports below 1024 need a socket unit of systemd with this address, the capability CAP_NET_BIND_SERVICE \
             (AmbientCapabilities= in the unit), or the setting net.ipv4.ip_unprivileged_port_start"
        }
        io::ErrorKind::AddrInUse => ": another process has it; `ss -ltnp` names it",
        io::ErrorKind::AddrNotAvailable => ": no interface of this machine has this address",
        _ => "",
    };
    format!("cannot listen on {address}: {error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_open_is_told_with_what_to_do() {
        let (ports, address) = (Ports::default(), SocketAddr::from(([0, 0, 0, 0], 25)));
        assert_eq!(ports.closed(), None, "none is wanted");
        let why = complaint(address, &io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(why.contains("0.0.0.0:25") && why.contains("CAP_NET_BIND_SERVICE"), "{why}");
        ports.set(0, BTreeMap::from([(address, why.clone())]));
        assert_eq!(ports.closed(), Some(why.clone()));
        ports.set(1, BTreeMap::from([(address, why)]));
        assert_eq!(ports.closed(), None, "mail comes in by the other");
    }
}
