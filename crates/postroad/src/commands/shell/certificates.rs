//! Certificates for the shell: files of the server whose settings were named, or what the admin service of another server does
//! with its own. What is done here is written into the audit log of this server.

use admin::certificates as own;
use admin_api::{Api, CertificateOrder as Order, Deed, SmtpCertificate};
use anyhow::{anyhow, bail};
use cmdlets::Certificates;
use cmdlets::certificates::{CertificateEntry, CertificateOrder};
use envelope::{Domain, ServerName, Service};
use runtime::{Settings, shelf};

use super::super::place::{self, Place};
use super::super::queued::Transports;
use super::super::times;

/// The certificates of servers.
pub(super) struct LiveCertificates {
    place: Place,
    runtime: tokio::runtime::Handle,
}

/// Who has them.
enum Keeper {
    /// This command, over the files.
    Here(Box<Settings>),
    /// The admin service of the server.
    There(Api),
}

impl LiveCertificates {
    pub(super) fn new(place: Place, runtime: tokio::runtime::Handle) -> Self {
        Self { place, runtime }
    }

    async fn keeper(&self, server: &ServerName) -> anyhow::Result<Keeper> {
        if let Some(api) = self.place.api().await? {
            let services = api.check_health(None).await?;
            let known = services.iter().map(|one| one.server.to_string()).next();
            return match known {
                Some(known) if !known.eq_ignore_ascii_case(server.as_str()) => {
                    bail!("this is the admin service of {known}: certificates of {server} are its own, --api names it")
                }
                _ => Ok(Keeper::There(api)),
            };
        }
        let settings = self.place.settings()?;
        if settings.server == *server {
            return Ok(Keeper::Here(Box::new(settings)));
        }
        let at = Transports::open(&self.place).await?.find(server, Service::Admin).await?;
        Ok(Keeper::There(Api::connect(&at, &place::administrator(&settings.identity)?).await?))
    }

    /// Asks whoever has them.
    fn ask<T>(
        &self,
        server: &ServerName,
        question: impl AsyncFnOnce(Keeper) -> anyhow::Result<T>,
    ) -> Result<T, String> {
        let asking = async { question(self.keeper(server).await?).await };
        self.runtime.block_on(asking).map_err(|error| format!("{error:#}"))
    }
}

/// Does something to the files of this server, and writes that down.
fn here<T>(
    settings: &Settings,
    command: &str,
    object: &str,
    work: impl FnOnce() -> Result<T, String>,
    named: impl FnOnce(&T) -> String,
) -> anyhow::Result<T> {
    let trail = place::audit_trail(settings);
    let author = place::author(&format!("shell: {command}"));
    let done = work();
    let object = done.as_ref().map_or_else(|_| object.to_owned(), named);
    let deed =
        Deed { caller: &author.who, through: &author.through, client: "local", cmdlet: command, object: &object };
    trail.done(deed, done.as_ref().map(|_| ()).map_err(String::as_str));
    done.map_err(|why| anyhow!("{why}"))
}

fn through(command: &str) -> String {
    format!("postroad shell: {command}")
}

impl Certificates for LiveCertificates {
    fn of_server(&mut self, server: &ServerName, hosts: &[String]) -> Result<Vec<CertificateEntry>, String> {
        let hosts: Vec<Domain> = hosts
            .iter()
            .map(|host| Domain::parse(host).map_err(|error| format!("{host}: {error}")))
            .collect::<Result<_, _>>()?;
        let found = self.ask(server, async |keeper| match keeper {
            Keeper::Here(settings) => Ok(own::list(&settings, &hosts, times::now())),
            Keeper::There(api) => Ok(api.certificates(&hosts).await?),
        })?;
        Ok(found.into_iter().map(entry).collect())
    }

    fn make(
        &mut self,
        server: &ServerName,
        order: &CertificateOrder,
        command: &str,
    ) -> Result<(CertificateEntry, String), String> {
        let CertificateOrder { subject, domains, key_size, request, enabled } = order.clone();
        let order = Order { subject, domains, key_size, request, enabled };
        let (made, pem) = self.ask(server, async |keeper| match keeper {
            Keeper::Here(settings) => {
                let organization = Transports::open(&self.place).await?;
                let known = organization.organization().server(server);
                let fqdn =
                    known.map(|known| known.fqdn.clone()).ok_or_else(|| anyhow!("there is no server {server}"))?;
                let (subject, now) = (order.subject.clone(), times::now());
                let named = |(made, _): &(SmtpCertificate, String)| made.thumbprint.clone();
                here(&settings, command, &subject, || own::make(&settings, &fqdn, order, now), named)
            }
            Keeper::There(api) => Ok(api.make_certificate(&order, &through(command)).await?),
        })?;
        Ok((entry(made), pem))
    }

    fn import(&mut self, server: &ServerName, content: &[u8], command: &str) -> Result<CertificateEntry, String> {
        let kept = self.ask(server, async |keeper| match keeper {
            Keeper::Here(settings) => {
                here(&settings, command, "", || own::import(&settings, content), |kept| kept.thumbprint.clone())
            }
            Keeper::There(api) => Ok(api.import_certificate(content, &through(command)).await?),
        })?;
        Ok(entry(kept))
    }

    fn export(&mut self, server: &ServerName, thumbprint: &str) -> Result<String, String> {
        self.ask(server, async |keeper| match keeper {
            Keeper::Here(settings) => Ok(shelf::export(&settings, thumbprint)?),
            Keeper::There(api) => Ok(api.export_certificate(thumbprint).await?),
        })
    }

    fn enable(&mut self, server: &ServerName, thumbprint: &str, command: &str) -> Result<(), String> {
        self.ask(server, async |keeper| match keeper {
            Keeper::Here(settings) => {
                let enabling = || shelf::enable(&settings, thumbprint).map_err(|error| error.to_string());
                here(&settings, command, thumbprint, enabling, |()| thumbprint.to_owned())
            }
            Keeper::There(api) => Ok(api.enable_certificate(thumbprint, &through(command)).await?),
        })
    }

    fn remove(&mut self, server: &ServerName, thumbprint: &str, command: &str) -> Result<(), String> {
        self.ask(server, async |keeper| match keeper {
            Keeper::Here(settings) => {
                let removing = || shelf::remove(&settings, thumbprint).map_err(|error| error.to_string());
                here(&settings, command, thumbprint, removing, |()| thumbprint.to_owned())
            }
            Keeper::There(api) => Ok(api.remove_certificate(thumbprint, &through(command)).await?),
        })
    }
}

fn entry(one: SmtpCertificate) -> CertificateEntry {
    CertificateEntry {
        thumbprint: one.thumbprint,
        subject: one.subject,
        issuer: one.issuer,
        domains: one.domains,
        not_before: one.not_before,
        not_after: one.not_after,
        serial_number: one.serial_number,
        self_signed: one.self_signed,
        enabled: one.enabled,
        pending: one.pending,
    }
}
