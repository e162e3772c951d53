//! The library takes the keytab and the place of tickets from the environment of the process, which a program cannot change
//! for itself without `unsafe`: it is started with them, or starts itself again.

use std::ffi::OsString;
use std::path::Path;

/// Where the library looks for the keys of a client.
const KEYTAB: &str = "KRB5_CLIENT_KTNAME";
/// Where it keeps tickets.
const TICKETS: &str = "KRB5CCNAME";
/// In memory: they are of use to this process only, and no file of the system's folder for temporary ones is needed.
const IN_MEMORY: &str = "MEMORY:postroad";

/// What has to stand in the environment of a process that logs on by this keytab.
#[must_use]
pub fn environment(keytab: &Path) -> [(&'static str, OsString); 2] {
    let mut file = OsString::from("FILE:");
    file.push(keytab);
    [(KEYTAB, file), (TICKETS, IN_MEMORY.into())]
}

/// Whether it stands there.
#[must_use]
pub fn is_in_force(keytab: &Path) -> bool {
    environment(keytab).iter().all(|(name, value)| std::env::var_os(name).as_ref() == Some(value))
}
