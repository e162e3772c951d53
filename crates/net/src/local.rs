//! A Unix socket for users of this machine: the operating system says who is at the other end.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::listener::ACCEPT_PAUSE;

/// Everybody may connect whom the folders above it let through: what he may is ruled by who he is.
const MODE: u32 = 0o666;

/// A socket in the file system. The file is removed with it.
#[derive(Debug)]
pub struct LocalListener {
    socket: UnixListener,
    path: PathBuf,
}

impl LocalListener {
    /// Listens at `path`. A file that a process left behind when it died is replaced; that of one that runs is not.
    ///
    /// # Errors
    /// As the system says; `AddrInUse` when somebody listens there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection. Waits through shortages. Cancel-safe.
    pub async fn accept(&self) -> UnixStream {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    tracing::warn!(listener = %self.path.display(), %error, "cannot accept connections for the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // Whoever finds it still there replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Connects to a socket in the file system.
///
/// # Errors
/// As the system says.
pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// The name of a user of this machine; his number, where he has none.
#[must_use]
pub fn user_name(uid: u32) -> String {
    match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// The number of a user of this machine, by his name or by that number. Asks the machine's list of users, which may take its time.
#[must_use]
pub fn user_number(name: &str) -> Option<u32> {
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Some(user.uid.as_raw()),
        _ => name.parse().ok(),
    }
}

/// As whom this process runs.
#[must_use]
pub fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}
