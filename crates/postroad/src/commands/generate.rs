//! `postroad generate`: an organization of a wanted size as a file for `postroad apply`, to see what an installation, a design or
//! this program makes of it. Written as it is made: a million recipients need no more memory than ten.
//!
//! The same arguments give the same file, octet for octet, on every machine. Not here: what is realistic about a particular
//! organization; sizes come from the arguments, and shapes from what large organizations have in common.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};

const EXAMPLES: &str = "\
Examples:
  # An organization for a laptop: three sites, six servers, and an internet to send to.
  postroad generate --sites 3 --servers 6 --connectors 10 --recipients 500 --lab > laptop.yaml
  postroad lab up laptop.yaml
  # The size that docs/size.md measures.
  postroad generate --sites 60 --servers 300 --connectors 2000 --recipients 1000000 --output large.yaml
  postroad apply large.yaml --dry-run";

/// Servers of one site, at most: as a lab has addresses for.
const SERVERS_PER_SITE_MAX: u32 = 250;
/// Sites around one hub site.
const SITES_PER_HUB: u32 = 10;
/// Hosts of partners in the internet of a lab.
const PARTNER_HOSTS: u32 = 10;
/// One of so many recipients is a contact, and another one a group.
const ONE_OF: u32 = 20;
/// Members of a group, at most.
const MEMBERS_MAX: u32 = 10;
/// Servers of a lab whose services are processes of their own; with more there is one process for each server.
const LAB_SERVICES_APART_MAX: u32 = 12;
/// And up to so many: with more there is one for each site.
const LAB_SERVERS_APART_MAX: u32 = 24;
/// Thresholds of back pressure that suit a disk which is mostly full of other things, as labs have it.
pub(crate) const DISK_OF_A_LAB: &str = "{lowToMedium: 99, mediumToHigh: 100, highToMedium: 100, mediumToLow: 98}";
/// Port of the hosts of a lab's internet.
const LAB_SMTP_PORT: u16 = 2500;

const GIVEN: [&str; 16] = [
    "anna", "ben", "carla", "david", "elif", "finn", "grace", "hugo", "ines", "jonas", "kaito", "luz", "mira", "nils",
    "olga", "per",
];
const FAMILY: [&str; 16] = [
    "adler", "berg", "costa", "diaz", "ek", "fischer", "garcia", "hansen", "ito", "jansen", "kaya", "lang", "meyer",
    "novak", "okoro", "patel",
];

/// Arguments of `postroad generate`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArguments {
    /// Sites: one in ten is a hub site, and hub sites are joined to each other.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sites: u32,
    /// Mailbox servers, each with a database, spread over the sites.
    #[arg(long, value_name = "NUMBER", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    servers: u32,
    /// Send connectors: one to the internet for each hub site, the others to partners.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connectors: u32,
    /// Recipients: mailboxes, one in twenty a contact, one in twenty a group.
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    recipients: u32,
    /// Another number gives another organization of the same size.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Domain of the organization.
    #[arg(long, value_name = "DOMAIN", default_value = "corp.example")]
    domain: String,
    /// Make it a lab file: with an internet, on ports that need no privileges.
    #[arg(long)]
    lab: bool,
    /// Where to write it; without, to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &GenerateArguments) -> anyhow::Result<ExitCode> {
    let most = arguments.sites.saturating_mul(SERVERS_PER_SITE_MAX);
    ensure!(
        arguments.servers <= most,
        "{} sites have at most {most} servers; give more --sites or fewer --servers",
        arguments.sites
    );
    envelope::Domain::parse(&arguments.domain).context("--domain is no domain name")?;
    let written = match &arguments.output {
        Some(path) => {
            let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            written(arguments, file).with_context(|| format!("cannot write {}", path.display()))
        }
        None => match written(arguments, std::io::stdout().lock()) {
            // A reader that has enough is no failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write to standard output"),
        },
    };
    written?;
    if let Some(path) = &arguments.output {
        super::output::print(&format!("{}\n", told(arguments, path)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(arguments: &GenerateArguments, path: &Path) -> String {
    let GenerateArguments { sites, servers, connectors, recipients, .. } = arguments;
    format!(
        "{}: {sites} sites, {servers} servers, {connectors} connectors, {recipients} recipients; `postroad apply {0}` makes it \
         the organization",
        path.display()
    )
}

fn written(arguments: &GenerateArguments, to: impl Write) -> std::io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 16, to);
    Generator { arguments, chance: Chance(arguments.seed) }.write(&mut to)?;
    to.flush()
}

/// Numbers that look like chance and are the same everywhere (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let within = (mixed ^ (mixed >> 31)) % u64::from(most.max(1));
        u32::try_from(within).expect("it is below a number of 32 bits")
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = self.below(u32::try_from(words.len()).expect("a list of words is short"));
        words[usize::try_from(at).expect("it is below a length")]
    }
}

struct Generator<'a> {
    arguments: &'a GenerateArguments,
    chance: Chance,
}

impl Generator<'_> {
    fn write(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        let GenerateArguments { sites, servers, connectors, recipients, seed, domain, lab, .. } = self.arguments;
        writeln!(
            to,
            "# Made by postroad generate --sites {sites} --servers {servers} --connectors {connectors} --recipients {recipients} \
             --seed {seed}\n"
        )?;
        if *lab {
            writeln!(to, "transportConfig: {{privateTargetRanges: [127.0.0.0/8]}}\n")?;
        }
        self.places(to)?;
        writeln!(to, "\nacceptedDomains:\n  - {{name: main, domain: {domain}, default: true}}")?;
        writeln!(to, "  - {{name: below, domain: \"*.{domain}\"}}")?;
        self.connectors(to)?;
        if *lab {
            internet(to, *servers)?;
        }
        self.recipients(to)
    }

    /// Sites around hub sites, hub sites in a ring, and one in five sites with a second way.
    fn places(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        let (sites, servers, domain) = (self.arguments.sites, self.arguments.servers, &self.arguments.domain);
        writeln!(to, "sites:")?;
        for site in 0..sites {
            let hub = if is_hub(site) && sites > SITES_PER_HUB { ", hubSiteEnabled: true" } else { "" };
            writeln!(to, "  - {{name: {}{hub}}}", site_name(site))?;
        }
        if sites > 1 {
            writeln!(to, "\nsiteLinks:")?;
        }
        for site in 1..sites {
            let near = if is_hub(site) { site - SITES_PER_HUB } else { site - site % SITES_PER_HUB };
            self.link(to, site, near)?;
            let other = self.chance.below(sites);
            if site % 5 == 4 && other != site && other != near {
                self.link(to, site, other)?;
            }
        }
        let last_hub = (sites - 1) - (sites - 1) % SITES_PER_HUB;
        if last_hub > SITES_PER_HUB {
            self.link(to, 0, last_hub)?;
        }
        writeln!(to, "\nservers:")?;
        if self.arguments.lab {
            writeln!(
                to,
                "  # Of a laptop's disk, mostly full of other things, a lab takes mail until it is nearly full (docs/back-pressure.md)."
            )?;
        }
        for server in 0..servers {
            let name = server_name(server, sites);
            let fqdn = name.to_ascii_lowercase();
            let transport = match (self.arguments.lab, server) {
                (false, _) => String::new(),
                (true, 0) => format!(", transport: &laptop {{backPressure: {{databaseUsedSpace: {DISK_OF_A_LAB}}}}}"),
                (true, _) => ", transport: *laptop".to_owned(),
            };
            writeln!(
                to,
                "  - {{name: {name}, fqdn: {fqdn}.{domain}, site: {}{transport}}}",
                site_name(server % sites)
            )?;
        }
        writeln!(to, "\ndatabases:")?;
        for server in 0..servers {
            writeln!(to, "  - {{name: {}, server: {}}}", database_name(server), server_name(server, sites))?;
        }
        Ok(())
    }

    fn link(&mut self, to: &mut impl Write, site: u32, near: u32) -> std::io::Result<()> {
        let (one, other, cost) = (site_name(site), site_name(near), 10 * (1 + self.chance.below(10)));
        writeln!(to, "  - {{name: {one}-{other}, sites: [{one}, {other}], cost: {cost}}}")
    }

    fn connectors(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        let GenerateArguments { sites, servers, connectors, lab, .. } = *self.arguments;
        let port = if lab { format!(", port: {LAB_SMTP_PORT}") } else { String::new() };
        writeln!(to, "\nsendConnectors:")?;
        let hubs = sites.div_ceil(SITES_PER_HUB);
        for connector in 0..connectors {
            if connector < hubs {
                let (source, cost) =
                    (server_name(connector * SITES_PER_HUB % servers, sites), 1 + self.chance.below(10));
                writeln!(
                    to,
                    "  - {{name: Internet {connector:03}, addressSpaces: [\"*;{cost}\"], sourceTransportServers: [{source}]{port}}}"
                )?;
                continue;
            }
            let (one, other) = (self.chance.below(servers), self.chance.below(servers));
            let sources = if one == other {
                server_name(one, sites)
            } else {
                format!("{}, {}", server_name(one, sites), server_name(other, sites))
            };
            let more = match self.chance.below(8) {
                0 => ", requireTLS: true",
                1 => ", frontendProxyEnabled: true",
                2 => ", maxMessageSize: 10MB",
                _ => "",
            };
            writeln!(
                to,
                "  - {{name: Partner {connector:05}, addressSpaces: [p{connector:05}.example], sourceTransportServers: [{sources}], \
                 smartHosts: [{}]{port}{more}}}",
                partner_host(connector % PARTNER_HOSTS)
            )?;
        }
        Ok(())
    }

    fn recipients(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        let (recipients, servers, domain) =
            (self.arguments.recipients, self.arguments.servers, self.arguments.domain.as_str());
        if recipients == 0 {
            return Ok(());
        }
        writeln!(to, "\nrecipients:")?;
        writeln!(
            to,
            "  - {{name: postmaster, address: postmaster@{domain}, database: {}}}",
            database_name(self.chance.below(servers))
        )?;
        for recipient in 1..recipients {
            match recipient % ONE_OF {
                1 => writeln!(
                    to,
                    "  - {{name: contact{recipient:07}, address: contact{recipient:07}@{domain}, externalAddress: \
                     someone{recipient:07}@p{:05}.example}}",
                    self.chance.below(self.arguments.connectors)
                )?,
                2 => self.group(to, recipient)?,
                _ => {
                    let (given, family) = (self.chance.of(&GIVEN), self.chance.of(&FAMILY));
                    let database = database_name(self.chance.below(servers));
                    write!(to, "  - {{name: user{recipient:07}, address: user{recipient:07}@{domain}, ")?;
                    writeln!(to, "proxyAddresses: [{given}.{family}.{recipient:07}@{domain}], database: {database}}}")?;
                }
            }
        }
        Ok(())
    }

    /// A group of mailboxes that come before it, but for the first.
    fn group(&mut self, to: &mut impl Write, recipient: u32) -> std::io::Result<()> {
        let domain = &self.arguments.domain;
        let mut members = vec![format!("postmaster@{domain}")];
        for _ in 0..self.chance.below(MEMBERS_MAX) {
            let member = self.chance.below(recipient);
            if member % ONE_OF > 2 {
                members.push(format!("user{member:07}@{domain}"));
            }
        }
        members.sort();
        members.dedup();
        let members = members.join(", ");
        writeln!(
            to,
            "  - {{name: group{recipient:07}, address: group{recipient:07}@{domain}, members: [{members}], \
             requireSenderAuthenticationEnabled: false}}"
        )
    }
}

/// Where mail of a lab goes by MX, and the smart hosts of partners.
fn internet(to: &mut impl Write, servers: u32) -> std::io::Result<()> {
    let together = if servers <= LAB_SERVICES_APART_MAX {
        ""
    } else if servers <= LAB_SERVERS_APART_MAX {
        "  processes: server\n"
    } else {
        "  processes: site\n"
    };
    writeln!(to, "\nlab:\n  smtpPort: {LAB_SMTP_PORT}\n{together}\ninternet:\n  domains:")?;
    writeln!(to, "    - {{name: fabrikam.example, mx: [{{host: mx.fabrikam.example}}]}}\n  hosts:")?;
    writeln!(to, "    - {{name: mx.fabrikam.example}}")?;
    for host in 0..PARTNER_HOSTS {
        writeln!(to, "    - {{name: {}}}", partner_host(host))?;
    }
    Ok(())
}

fn is_hub(site: u32) -> bool {
    site.is_multiple_of(SITES_PER_HUB)
}

fn site_name(site: u32) -> String {
    format!("S{site:03}")
}

fn server_name(server: u32, sites: u32) -> String {
    format!("S{:03}-MBX{}", server % sites, server / sites + 1)
}

fn database_name(server: u32) -> String {
    format!("DB{server:04}")
}

fn partner_host(host: u32) -> String {
    format!("relay{host}.partners.example")
}

#[cfg(test)]
mod tests {
    use lab::plan::Processes;

    use super::*;

    fn text(sites: u32, servers: u32, recipients: u32, seed: u64, lab: bool) -> String {
        let domain = "corp.example".to_owned();
        let arguments =
            GenerateArguments { sites, servers, connectors: 40, recipients, seed, domain, lab, output: None };
        let mut octets = Vec::new();
        written(&arguments, &mut octets).unwrap();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn every_size_is_a_good_organization_and_the_same_every_time() {
        for (sites, servers, recipients) in [(1, 1, 0), (1, 3, 1), (2, 1, 50), (11, 20, 400), (25, 60, 2_000)] {
            let one = text(sites, servers, recipients, 7, false);
            let contents = organization::load(&one, envelope::Revision(1)).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert!(contents.warnings.0.is_empty(), "{}", contents.warnings);
            let organization = contents.organization;
            let count = |number: u32| usize::try_from(number).unwrap();
            assert_eq!(
                (organization.sites().len(), organization.servers().len(), contents.recipients.len()),
                (count(sites), count(servers), count(recipients))
            );
            assert_eq!(organization.draft().send_connectors.len(), 40);
            assert!(one == text(sites, servers, recipients, 7, false));
            assert!(recipients < 2 || one != text(sites, servers, recipients, 8, false));
        }
    }

    #[test]
    fn the_more_servers_a_lab_has_the_more_of_them_are_one_process() {
        let shape = |servers| lab::LabFile::parse(&text(3, servers, 1, 1, true)).unwrap().settings.processes;
        let shapes = [Processes::Service, Processes::Server, Processes::Site, Processes::Site];
        assert_eq!([12, 24, 25, 300].map(shape), shapes, "a file of any size can be read");
    }

    #[test]
    fn a_lab_file_has_what_its_connectors_go_to() {
        let file = lab::LabFile::parse(&text(3, 6, 100, 1, true)).unwrap();
        let hosts: Vec<_> = file.internet.hosts.iter().map(|host| host.name.to_string()).collect();
        for connector in &file.organization.organization.draft().send_connectors {
            for host in &connector.smart_hosts {
                assert!(hosts.contains(&host.to_string()), "{host}");
            }
        }
    }
}
