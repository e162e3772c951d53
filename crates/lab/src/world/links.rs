//! Site links that can be cut. Every connection that a service makes to one of another site goes through the lab, which lets
//! it pass as long as some chain of uncut links joins the two sites, as an IP network would.
//!
//! ```text
//!   Transport BERLIN1 ──▶ listener for (Berlin → OSLO1 transport) ──▶ Transport OSLO1
//!                          │ joined(Berlin, Oslo)? else reset
//!   <directory>/links-wanted.json ──▶ (looked at) ──▶ links-applied.json      `postroad lab cut`, `heal`
//! ```
//!
//! No privileges, firewall rules or network namespaces: the processes are told by their settings (`[peers]`) where the others
//! are found. Only the implicit connector between sites is cut: the directory and the internet stay reachable from everywhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use envelope::{ServerName, SiteName};
use net::Service;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use topology::Organization;

use super::layout::ServerLayout;

/// Services that those of other sites call.
const CALLED: [Service; 2] = [Service::Transport, Service::MailboxDelivery];
/// What shall be cut, and what is.
const WANTED: &str = "links-wanted.json";
const APPLIED: &str = "links-applied.json";
/// Pause between two looks at what is wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Time for a running lab to do as it is told.
const APPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a link cannot be cut or healed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Those sites have no link of their own.
    #[error("no site link joins {one} and {other}; links of this lab: {known}")]
    Unknown {
        /// As named.
        one: String,
        /// As named.
        other: String,
        /// Those that there are.
        known: String,
    },
    /// The lab does not answer.
    #[error("the lab in {} does not answer: is it still running?", .0.display())]
    Silent(PathBuf),
    /// A file of the lab.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Two sites, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair(String, String);

impl Pair {
    fn new(one: &str, other: &str) -> Self {
        if one <= other { Self(one.to_owned(), other.to_owned()) } else { Self(other.to_owned(), one.to_owned()) }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}–{}", self.0, self.1)
    }
}

/// Pairs of sites that site links join, and those of them that are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Links {
    /// Every pair with a link.
    pub pairs: BTreeSet<Pair>,
    /// Those that let nothing pass.
    pub cut: BTreeSet<Pair>,
}

impl Links {
    /// Those of an organization: a link joins each two of its sites (RT-03). Nothing is cut.
    #[must_use]
    pub fn of(organization: &Organization) -> Self {
        let mut pairs = BTreeSet::new();
        for link in organization.site_links() {
            let sites: Vec<_> = link.sites.iter().map(|site| known_as(organization, site)).collect();
            for (at, one) in sites.iter().enumerate() {
                pairs.extend(sites[at + 1..].iter().map(|other| Pair::new(one, other)));
            }
        }
        Self { pairs, cut: BTreeSet::new() }
    }

    /// Reads those of the lab that runs in `directory`; `None` for one whose links are cut elsewhere, as in containers.
    ///
    /// # Errors
    /// [`LinkError::File`].
    pub fn read(directory: &Path) -> Result<Option<Self>, LinkError> {
        match read(&directory.join(APPLIED)) {
            Err(LinkError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Cuts what joins two sites, or joins them again. Names are compared without regard to case.
    ///
    /// # Errors
    /// [`LinkError::Unknown`].
    pub fn set(&mut self, one: &str, other: &str, cut: bool) -> Result<(), LinkError> {
        let same = |pair: &&Pair| {
            let named = |site: &str, name: &str| site.eq_ignore_ascii_case(name);
            named(&pair.0, one) && named(&pair.1, other) || named(&pair.0, other) && named(&pair.1, one)
        };
        let Some(pair) = self.pairs.iter().find(same).cloned() else {
            let known = self.pairs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(LinkError::Unknown { one: one.to_owned(), other: other.to_owned(), known });
        };
        if cut {
            self.cut.insert(pair)
        } else {
            self.cut.remove(&pair)
        };
        Ok(())
    }

    /// Asks the lab that runs in `directory` to make its links so, and waits until they are.
    ///
    /// # Errors
    /// [`LinkError::Silent`], or a file cannot be written.
    pub async fn ask(&self, directory: &Path) -> Result<(), LinkError> {
        write(&directory.join(WANTED), self)?;
        let deadline = tokio::time::Instant::now() + APPLY_TIMEOUT;
        while Self::read(directory)?.as_ref() != Some(self) {
            if tokio::time::Instant::now() >= deadline {
                return Err(LinkError::Silent(directory.to_owned()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Whether some chain of uncut links joins two sites.
    #[must_use]
    pub fn joined(&self, from: &str, to: &str) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([from]), VecDeque::from([from]));
        while let Some(site) = next.pop_front() {
            if site == to {
                return true;
            }
            for Pair(one, other) in self.pairs.difference(&self.cut) {
                let neighbour = if one == site {
                    other
                } else if other == site {
                    one
                } else {
                    continue;
                };
                if seen.insert(neighbour) {
                    next.push_back(neighbour);
                }
            }
        }
        false
    }
}

/// A link may write the name of a site in another case than the site itself.
fn known_as(organization: &Organization, site: &SiteName) -> String {
    let known = organization.sites().iter().find(|known| known.name == *site);
    known.map_or(site, |known| &known.name).to_string()
}

fn read(path: &Path) -> Result<Links, LinkError> {
    let text = std::fs::read(path).and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
    text.map_err(|cause| LinkError::File { path: path.to_owned(), cause })
}

/// As a whole: a reader sees the old or the new one.
fn write(path: &Path, links: &Links) -> Result<(), LinkError> {
    let draft = path.with_extension("new");
    let text = serde_json::to_vec_pretty(links).expect("names are plain data");
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|cause| LinkError::File { path: path.to_owned(), cause })
}

/// Where the services of one site find a service of another: `[peers]` of their settings.
pub(super) type Detours = BTreeMap<ServerName, BTreeMap<Service, SocketAddr>>;

/// The connections between sites.
pub(super) struct Exchange {
    links: watch::Sender<Arc<Links>>,
    directory: PathBuf,
    detours: BTreeMap<SiteName, Detours>,
    _tasks: JoinSet<()>,
}

impl Exchange {
    /// Listens for every service from every other site, at the lab's own address. Nothing is cut.
    pub(super) async fn start(
        organization: &Organization,
        servers: &[ServerLayout],
        address: Ipv4Addr,
        directory: &Path,
    ) -> Result<Self, LinkError> {
        let (links, watched) = watch::channel(Arc::new(Links::of(organization)));
        write(&directory.join(APPLIED), &links.borrow())?;
        let _old = std::fs::remove_file(directory.join(WANTED));
        let (mut tasks, mut detours) = (JoinSet::new(), BTreeMap::<SiteName, Detours>::new());
        for from in organization.sites() {
            for server in servers {
                let Some(to) = organization.server(&server.name).map(|server| server.site.clone()) else { continue };
                if to == from.name {
                    continue;
                }
                for (service, addresses) in server.services.iter().filter(|(service, _)| CALLED.contains(service)) {
                    let failed = |cause| LinkError::File { path: directory.to_owned(), cause };
                    let listener = TcpListener::bind((address, 0)).await.map_err(failed)?;
                    let at = listener.local_addr().map_err(failed)?;
                    let detour = detours.entry(from.name.clone()).or_default().entry(server.name.clone());
                    detour.or_default().insert(*service, at);
                    let ends = (from.name.to_string(), known_as(organization, &to));
                    tasks.spawn(carry(listener, addresses.organization, ends, watched.clone()));
                }
            }
        }
        tasks.spawn(obey(directory.to_owned(), links.clone()));
        Ok(Self { links, directory: directory.to_owned(), detours, _tasks: tasks })
    }

    /// What the services of a site are to be told.
    pub(super) fn detours(&self, site: &SiteName) -> Detours {
        self.detours.get(site).cloned().unwrap_or_default()
    }

    /// Cuts what joins two sites, or joins them again.
    pub(super) async fn set(&self, one: &SiteName, other: &SiteName, cut: bool) -> Result<(), LinkError> {
        let mut links = Links::clone(&self.links.borrow());
        links.set(one.as_str(), other.as_str(), cut)?;
        links.ask(&self.directory).await
    }
}

/// Does what others write into the file, for as long as the lab runs.
async fn obey(directory: PathBuf, links: watch::Sender<Arc<Links>>) {
    loop {
        if let Ok(wanted) = read(&directory.join(WANTED))
            && wanted.pairs == links.borrow().pairs
            && wanted != **links.borrow()
        {
            links.send_replace(Arc::new(wanted.clone()));
            if let Err(error) = write(&directory.join(APPLIED), &wanted) {
                tracing::warn!(%error, "cannot say which links are cut");
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Carries connections from one site to a service of another.
async fn carry(listener: TcpListener, to: SocketAddr, ends: (String, String), links: watch::Receiver<Arc<Links>>) {
    let ends = Arc::new(ends);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((from, _)) = accepted else { continue };
                connections.spawn(connection(from, to, Arc::clone(&ends), links.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut from: TcpStream,
    to: SocketAddr,
    ends: Arc<(String, String)>,
    mut links: watch::Receiver<Arc<Links>>,
) {
    let carried = async {
        let mut to = TcpStream::connect(to).await?;
        let _slow_is_fine = (from.set_nodelay(true), to.set_nodelay(true));
        tokio::io::copy_bidirectional(&mut from, &mut to).await
    };
    let cut = links.wait_for(|links| !links.joined(&ends.0, &ends.1));
    let broken = tokio::select! {
        biased;
        _ = cut => true,
        carried = carried => carried.is_err(),
    };
    if broken {
        // Without this the peer would see an orderly end.
        let _reset = from.set_zero_linger();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(pairs: &[(&str, &str)]) -> Links {
        let pairs = pairs.iter().map(|(one, other)| Pair::new(one, other)).collect();
        Links { pairs, cut: BTreeSet::new() }
    }

    #[test]
    fn sites_are_joined_by_any_chain_of_uncut_links() {
        let mut links = links(&[("Berlin", "Hamburg"), ("Hamburg", "Oslo"), ("Oslo", "Bergen")]);
        assert!(links.joined("Berlin", "Bergen") && links.joined("Bergen", "Berlin"));
        links.set("bergen", "OSLO", true).unwrap();
        assert!(links.joined("Berlin", "Oslo") && !links.joined("Berlin", "Bergen") && !links.joined("Oslo", "Bergen"));
        links.set("Hamburg", "Oslo", true).unwrap();
        assert!(links.joined("Berlin", "Hamburg") && !links.joined("Berlin", "Oslo"));
        links.set("Oslo", "Bergen", false).unwrap();
        assert!(links.joined("Oslo", "Bergen") && !links.joined("Hamburg", "Bergen"));
        assert!(links.joined("Berlin", "Berlin"));
    }

    #[test]
    fn what_is_no_link_is_told_with_those_that_are() {
        let mut links = links(&[("Berlin", "Hamburg"), ("Hamburg", "Oslo")]);
        let error = links.set("Berlin", "Oslo", true).unwrap_err().to_string();
        assert_eq!(error, "no site link joins Berlin and Oslo; links of this lab: Berlin–Hamburg, Hamburg–Oslo");
    }
}
