//! Opening the directory that the settings name, and the configuration to begin with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use directory::{Backend, Configuration, EmbeddedSettings, EtcdSettings, EtcdTls, LastGood};
use envelope::ServerName;
use net::KeyedCertificate;
use net::certificate::{ADMINISTRATOR_FOLDER, ETCD_FOLDER};
use routing::{BuildError, RoutingTables};
use topology::Organization;
use zeroize::Zeroizing;

use crate::error::{NodeError, file_error};
use crate::expiry::AUTHORITY_FILE;
use crate::settings::{DirectorySettings, Settings};

/// Time between two questions to a directory that does not answer yet, at start.
const DIRECTORY_RETRY: Duration = Duration::from_secs(1);
/// Why a server takes no mail that the configuration has no more.
pub(crate) const LEFT: &str = "this server is not in the organization any more: it takes no mail, and sends what it holds as far as \
    it can, by the configuration before";

/// How a directory is asked by whoever has the certificates in this folder of the identity: who is known as the same shares it.
pub(crate) fn directory_known_as(settings: &Settings, folder: &str) -> String {
    let shown = match &settings.directory {
        DirectorySettings::Embedded { .. } => None,
        DirectorySettings::Etcd { identity, .. } => {
            let own = settings.identity.join(folder).join(ETCD_FOLDER);
            identity.clone().or_else(|| own.exists().then_some(own))
        }
    };
    format!("{} in {:?} as {shown:?}", settings.forest, settings.directory)
}

/// Opens the backend that the settings name, without a last good configuration: for commands that must see what is there
/// now.
///
/// # Errors
/// [`NodeError`].
pub fn open_backend(settings: &Settings) -> Result<Arc<dyn Backend>, NodeError> {
    open_backend_as(settings, ADMINISTRATOR_FOLDER)
}

/// The same as whoever has the certificates in this folder of the identity.
pub(crate) fn open_backend_as(settings: &Settings, folder: &str) -> Result<Arc<dyn Backend>, NodeError> {
    match &settings.directory {
        DirectorySettings::Embedded { path } => {
            let opened = directory::open_embedded(&EmbeddedSettings::new(path.clone()), settings.forest.as_str());
            opened.map_err(|error| NodeError::Directory(error.to_string()))
        }
        DirectorySettings::Etcd { endpoints, ca, identity, user, password_file } => {
            let mut etcd = EtcdSettings::new(endpoints.clone());
            let ca = ca.clone().or_else(|| {
                endpoints
                    .iter()
                    .any(|one| one.starts_with("https:"))
                    .then(|| authority_beside(&settings.identity, folder))
            });
            if let Some(ca) = ca {
                let own = settings.identity.join(folder).join(ETCD_FOLDER);
                let own = identity.clone().or_else(|| own.exists().then_some(own));
                etcd.tls = Some(etcd_tls(&ca, own.as_deref())?);
                etcd.renewal = Some(Arc::new(move || etcd_tls(&ca, own.as_deref()).ok()));
            }
            if let (Some(user), Some(path)) = (user, password_file) {
                let password = read(path, "It must hold the password of the etcd user")?;
                etcd.user = Some((user.clone(), Zeroizing::new(password.trim_end().to_owned())));
            }
            Ok(directory::connect_etcd(etcd, settings.forest.as_str()))
        }
    }
}

fn etcd_tls(ca: &Path, identity: Option<&Path>) -> Result<EtcdTls, NodeError> {
    let ca = read(ca, "It must hold the authority that certified etcd, in PEM")?.into_bytes();
    let identity = identity.map(|path| {
        let own = KeyedCertificate::load_from(path);
        let own = own.map_err(|error| file_error(path, &error, "It must hold cert.pem and key.pem for etcd"))?;
        Ok((own.cert_pem.into_bytes(), Zeroizing::new(own.key_pem.expose().as_bytes().to_vec())))
    });
    Ok(EtcdTls { ca, identity: identity.transpose()?, domain_name: None })
}

pub(crate) fn read(path: &Path, advice: &'static str) -> Result<String, NodeError> {
    std::fs::read_to_string(path).map_err(|error| file_error(path, &error, advice))
}

/// The tables to begin with; `true` with those of the last configuration that had this server, when it has none any more.
pub(crate) async fn first_tables(
    directory: &dyn Configuration,
    remembered: &LastGood,
    server: &ServerName,
) -> Result<(RoutingTables, bool), NodeError> {
    let unknown = |error: BuildError| NodeError::Server(error.to_string());
    let organization = first_snapshot(directory).await;
    match (RoutingTables::build(organization, server), remembered.left(server)) {
        (Ok(tables), _) => Ok((tables, false)),
        (Err(_), Some(before)) => {
            tracing::warn!("{LEFT}");
            Ok((RoutingTables::build(before, server).map_err(unknown)?, true))
        }
        (Err(error), None) => Err(unknown(error)),
    }
}

/// The configuration to begin with. A directory that does not answer yet is asked until it does.
async fn first_snapshot(directory: &dyn Configuration) -> Arc<Organization> {
    let mut told = false;
    loop {
        match directory.snapshot().await {
            Ok(organization) => return organization,
            Err(error) if !told => {
                tracing::warn!(%error, "no configuration yet; asking until there is one");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(DIRECTORY_RETRY).await;
    }
}

/// The organization's authorities: as they were given to whoever has the certificates in `folder`, or to the server.
pub(crate) fn authority_beside(identity: &Path, folder: &str) -> PathBuf {
    let own = identity.join(folder).join(AUTHORITY_FILE);
    if own.exists() { own } else { identity.join(AUTHORITY_FILE) }
}
