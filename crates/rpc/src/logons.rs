//! Failed logons: the services that take logons tell one another what failed, so that whoever guesses has one budget at all of
//! them. Here are digests, numbers and who may tell; what is counted, and for how long, is `reception`'s to know.

use std::net::IpAddr;
use std::sync::Arc;

use authority::Act;
use bytes::Bytes;
use envelope::Service;
use net::PeerIdentity;
use tonic::{Request, Response, Status};

use crate::address::PeerAddress;
use crate::client::{CONNECT_TIMEOUT, Channels, in_words};
use crate::convert::WireError;
use crate::security::{Credentials, authorize};
use crate::wire::logons::v1 as wire;
use wire::failed_logons_client::FailedLogonsClient;

/// Accounts, and networks, that are told of at a time.
pub const TOLD_MAX: usize = 1000;
/// Failures of one of them that are told of at a time.
pub const FAILURES_MAX: u32 = 1000;
/// Largest request accepted: what may be told of, with room for fields that come later.
pub(crate) const REQUEST_OCTETS_MAX: usize = 128 * 1024;

/// An account as it is told of: the beginning of a digest.
pub type AccountDigest = [u8; 16];

/// What failed since it was told last, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedLogons {
    /// By account.
    pub accounts: Vec<(AccountDigest, u32)>,
    /// By network, as its first address.
    pub networks: Vec<(IpAddr, u32)>,
}

/// Somebody tells more often than he has any reason to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldTooOften;

/// Counts what it is told.
pub trait FailedLogonsHandler: Send + Sync + 'static {
    /// A service of another server, or another service of this one, tells.
    ///
    /// # Errors
    /// [`ToldTooOften`]: nothing of it is counted.
    fn told(&self, peer: &PeerIdentity, news: FailedLogons) -> Result<(), ToldTooOften>;
}

/// `postroad.logons.v1.FailedLogons` over a handler.
pub(crate) struct FailedLogonsService {
    pub(crate) handler: Arc<dyn FailedLogonsHandler>,
}

#[tonic::async_trait]
impl wire::failed_logons_server::FailedLogons for FailedLogonsService {
    async fn tell(&self, request: Request<wire::TellRequest>) -> Result<Response<wire::TellReply>, Status> {
        let peer = authorize(&request, Act::TellFailedLogons)?.peer;
        let news = from_wire(&request.into_inner()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let told = self.handler.told(&peer, news);
        told.map_err(|ToldTooOften| Status::resource_exhausted("told of failed logons too often"))?;
        Ok(Response::new(wire::TellReply {}))
    }
}

/// Connections to the other services that take logons.
pub struct Colleagues(Channels);

impl Colleagues {
    /// No connections yet; they will be made with these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self(Channels::new(credentials))
    }

    /// Tells `service` of a server. Whoever is not there is not told again.
    ///
    /// # Errors
    /// Why it was not told.
    pub async fn tell(&self, at: &PeerAddress, service: Service, news: &FailedLogons) -> Result<(), String> {
        let mut client = FailedLogonsClient::new(self.0.to(at, service)?);
        let telling = tokio::time::timeout(CONNECT_TIMEOUT, client.tell(to_wire(news))).await;
        let told = telling.map_err(|_| "no answer in time".to_owned())?;
        told.map(drop).map_err(|status| in_words(&status))
    }
}

fn to_wire(news: &FailedLogons) -> wire::TellRequest {
    let account = |(digest, failures): &(AccountDigest, u32)| wire::Account {
        digest: Bytes::copy_from_slice(digest),
        failures: *failures,
    };
    let network = |(address, failures): &(IpAddr, u32)| {
        let address = match address {
            IpAddr::V4(v4) => Bytes::copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => Bytes::copy_from_slice(&v6.octets()),
        };
        wire::Network { address, failures: *failures }
    };
    wire::TellRequest {
        accounts: news.accounts.iter().map(account).collect(),
        networks: news.networks.iter().map(network).collect(),
    }
}

fn from_wire(request: &wire::TellRequest) -> Result<FailedLogons, WireError> {
    if request.accounts.len() > TOLD_MAX || request.networks.len() > TOLD_MAX {
        return Err(WireError::Invalid("number of failed logons"));
    }
    let failures = |failures: u32| {
        let possible = (1..=FAILURES_MAX).contains(&failures);
        possible.then_some(failures).ok_or(WireError::Invalid("number of failures"))
    };
    let account = |account: &wire::Account| {
        let digest = account.digest.as_ref().try_into().map_err(|_| WireError::Invalid("digest of an account"))?;
        Ok((digest, failures(account.failures)?))
    };
    let network = |network: &wire::Network| {
        let octets = network.address.as_ref();
        let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
        Ok((address.map_err(|_| WireError::Invalid("network"))?, failures(network.failures)?))
    };
    Ok(FailedLogons {
        accounts: request.accounts.iter().map(account).collect::<Result<_, WireError>>()?,
        networks: request.networks.iter().map(network).collect::<Result<_, WireError>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_survives_the_wire_and_what_is_beyond_its_bounds_does_not() {
        let news = FailedLogons {
            accounts: vec![([7; 16], 1), ([8; 16], FAILURES_MAX)],
            networks: vec![("192.0.2.0".parse().unwrap(), 3), ("2001:db8::".parse().unwrap(), 1)],
        };
        let wire = to_wire(&news);
        assert_eq!(from_wire(&wire).unwrap(), news);
        let wrong = |change: fn(&mut wire::TellRequest)| {
            let mut changed = wire.clone();
            change(&mut changed);
            from_wire(&changed).is_err()
        };
        assert!(wrong(|news| news.accounts[0].digest = Bytes::from_static(b"hunter2")));
        assert!(wrong(|news| news.networks[0].address = Bytes::from_static(b"192.0.2.0")));
        assert!(wrong(|news| news.accounts[0].failures = 0) && wrong(|news| news.networks[0].failures = 0));
        assert!(wrong(|news| news.accounts[0].failures = FAILURES_MAX + 1));
        assert!(wrong(|news| news.accounts = vec![news.accounts[0].clone(); TOLD_MAX + 1]));
        assert!(wrong(|news| news.networks = vec![news.networks[0].clone(); TOLD_MAX + 1]));
        let most = FailedLogons {
            accounts: vec![([255; 16], FAILURES_MAX); TOLD_MAX],
            networks: vec![("2001:db8:ffff:ffff::".parse().unwrap(), FAILURES_MAX); TOLD_MAX],
        };
        assert!(prost::Message::encoded_len(&to_wire(&most)) <= REQUEST_OCTETS_MAX / 2);
        assert_eq!(from_wire(&to_wire(&most)).unwrap(), most);
    }
}
