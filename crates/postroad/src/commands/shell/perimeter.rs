//! Edge servers for the shell: the file of a subscription is made with what this server's identity says, and synchronizations are those
//! of an admin service in the site of the Edge server.

use std::path::Path;
use std::time::Duration;

use admin_api::Api;
use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cmdlets::Perimeter;
use cmdlets::edge::{Compared, Comparison, NewFile, ReadFile, Synchronized};
use envelope::{Domain, ServerName, Service};
use net::KeyedCertificate;
use net::certificate::{ADMINISTRATOR_FOLDER, each_pem, parse_administrator};
use perimeter::SubscriptionFile;
use perimeter::file::{Written, new_salt};
use runtime::Settings;
use topology::{EdgeSubscription, Server};

use super::super::output;
use super::super::place::{self, Place};
use super::super::queued::Transports;
use super::super::times;

/// The perimeter of the organization of a place.
pub(super) struct LivePerimeter {
    place: Place,
    runtime: tokio::runtime::Handle,
}

impl LivePerimeter {
    pub(super) fn new(place: Place, runtime: tokio::runtime::Handle) -> Self {
        Self { place, runtime }
    }

    /// The forest of whoever works here, and its authorities.
    fn identity(&self) -> anyhow::Result<(Domain, Vec<String>)> {
        let (folder, forest) = match self.place.settings() {
            Ok(settings) => (settings.identity, Some(settings.forest)),
            Err(error) => (self.place.identity().map(Path::to_owned).ok_or(error)?, None),
        };
        let forest = match forest {
            Some(forest) => forest,
            None => {
                let own = KeyedCertificate::load_from(&folder.join(ADMINISTRATOR_FOLDER))?;
                parse_administrator(&own.to_der()?)?.forest
            }
        };
        let path = folder.join("ca.pem");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let authorities = each_pem(&text);
        if authorities.is_empty() {
            bail!("{} holds no certificate", path.display());
        }
        Ok((forest, authorities))
    }

    /// An admin service that synchronizes `edge`: the one that was named, or that of a server of the site.
    async fn admin(&self, edge: &ServerName) -> anyhow::Result<Api> {
        if let Some(api) = self.place.api().await? {
            return Ok(api);
        }
        let settings = self.place.settings()?;
        let transports = Transports::open(&self.place).await?;
        let organization = transports.organization();
        let site = organization.server(edge).map(|edge| edge.site.clone());
        let site = site.ok_or_else(|| anyhow!("the organization has no Edge server {edge}"))?;
        let (backend, _) = place::open(&settings).await?;
        let presences = directory::Presences::presences(&*backend).await?;
        let of_site = presences.iter().filter(|presence| {
            let server = organization.server(&presence.server);
            presence.service == Service::Admin && server.is_some_and(|server| server.site == site)
        });
        let credentials = place::administrator(&settings.identity)?;
        let mut last = None;
        for presence in of_site {
            let at = transports.find(&presence.server, Service::Admin).await?;
            match Api::connect(&at, &credentials).await {
                Ok(api) => return Ok(api),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => bail!(
                "no admin service runs in site {site}: it synchronizes Edge servers; start one on a Mailbox server there (`postroad admin`)"
            ),
        }
    }
}

fn file_of(
    own: &Server,
    settings: &Settings,
    identity: (Domain, Vec<String>),
    seconds: u64,
) -> anyhow::Result<SubscriptionFile> {
    let (forest, authorities) = identity;
    let port = |service: Service| settings.organization_address(service).port();
    Ok(SubscriptionFile::new(Written {
        server: own.name.clone(),
        fqdn: own.fqdn.clone(),
        forest,
        authorities,
        transport_port: port(Service::Transport),
        sync_port: port(Service::Admin),
        effective: times::now(),
        duration: Duration::from_secs(seconds),
    })?)
}

fn told<T>(result: anyhow::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{error:#}"))
}

impl Perimeter for LivePerimeter {
    fn write(&mut self, own: &Server, seconds: u64) -> Result<NewFile, String> {
        told((|| {
            let settings = self.place.settings().context("the file names the ports of this server")?;
            let file = file_of(own, &settings, self.identity()?, seconds)?;
            let edge = EdgeSubscription {
                forest: Some(file.written.forest.clone()),
                authorities: file.written.authorities.clone(),
                transport_port: Some(file.written.transport_port),
                sync_port: Some(file.written.sync_port),
                pending_key: Some(file.public_key()?),
                pending_until: Some(file.until().as_millis() / 1000),
                ..own.edge.clone()
            };
            Ok(NewFile { text: file.to_xml()?, edge })
        })())
    }

    fn read(&mut self, octets: &[u8]) -> Result<ReadFile, String> {
        told((|| {
            let file = SubscriptionFile::parse(octets)?;
            file.in_time(times::now(), |at| output::time(std::time::SystemTime::from(at)))?;
            let (organization, authorities) = self.identity()?;
            if organization == file.written.forest {
                bail!(
                    "{} is the forest of this organization: the Edge server needs one of its own",
                    file.written.forest
                );
            }
            // Said here, and not when it is first to be reached.
            net::check_authorities(&file.written.authorities.concat())
                .with_context(|| format!("the authorities of {} cannot be used", file.written.server))?;
            let voucher = BASE64.encode(file.voucher(&organization, &authorities)?);
            let edge = EdgeSubscription {
                forest: Some(file.written.forest.clone()),
                authorities: file.written.authorities.clone(),
                transport_port: Some(file.written.transport_port),
                sync_port: Some(file.written.sync_port),
                voucher: Some(voucher),
                organization_authorities: authorities,
                recipient_salt: Some(new_salt()?),
                ..EdgeSubscription::default()
            };
            Ok(ReadFile { server: file.written.server, fqdn: file.written.fqdn, edge })
        })())
    }

    fn start(&mut self, edge: &ServerName, full: bool) -> Result<Synchronized, String> {
        told(self.runtime.block_on(async {
            let done = self.admin(edge).await?.start_edge_synchronization(edge, full).await?;
            let admin_api::Synchronized { configuration, recipients, buckets, recipients_read: read, all_read } = done;
            Ok(Synchronized { configuration, recipients, pieces: buckets, read, all_read })
        }))
    }

    fn test(&mut self, edge: &ServerName, what: Comparison<'_>) -> Result<Compared, String> {
        let what = match what {
            Comparison::Address(address) => admin_api::Comparison::Address(address),
            Comparison::Configuration => admin_api::Comparison::Configuration,
            Comparison::All => admin_api::Comparison::All,
            Comparison::Full => admin_api::Comparison::Full,
        };
        told(self.runtime.block_on(async {
            let found = self.admin(edge).await?.test_edge_synchronization(edge, what).await?;
            let admin_api::Compared { configuration, buckets_differ, buckets, verified } = found;
            Ok(Compared { configuration, pieces: (buckets_differ, buckets), verified })
        }))
    }
}
