//! `[ldap.<source>]`: another directory that keeps recipients, and log-ons where it says so.
//!
//! It stands in the settings of a server and not in the organization: which of its servers is near, and where its password
//! lies, is different on each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use envelope::ObjectName;
use ldap::{LdapSource, Schema, ServerAddress};
use net::Resolver;
use net::dns::DnsProtocol;
use net::tls::TrustedRoots;
use serde::Deserialize;

use super::Settings;

/// Of the recipients that a source brought, those that one run may delete: percent, rounded up; 0 to 100, default 10. Ours: a
/// filter that was mistyped, or a directory that was emptied, is not taken at its word.
pub const DELETIONS_PERCENT_MAX_DEFAULT: u8 = 10;

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapSettings {
    /// Asked one after the other until one answers.
    pub servers: Vec<ServerAddress>,
    /// The authority of their certificates (PEM). Default: those of the system and `trusted-roots`.
    pub ca: Option<PathBuf>,
    /// Who reads; nobody reads without a name.
    pub bind_dn: Option<String>,
    /// File that holds the reader's password.
    pub password_file: Option<PathBuf>,
    /// The entry below which is searched.
    pub base: String,
    /// Which attributes say what.
    pub schema: Schema,
    /// Which entries are recipients. Default: by the schema.
    pub filter: Option<String>,
    /// Where mailboxes are made whose database the source does not name.
    pub database: Option<ObjectName>,
    /// Whether the source keeps the passwords of the mailboxes that came from it.
    pub logons: bool,
    /// See [`DELETIONS_PERCENT_MAX_DEFAULT`].
    pub deletions_percent_max: u8,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LdapFile {
    servers: Vec<String>,
    ca: Option<PathBuf>,
    bind_dn: Option<String>,
    password_file: Option<PathBuf>,
    base: String,
    schema: String,
    filter: Option<String>,
    database: Option<String>,
    #[serde(default)]
    logons: bool,
    deletions_percent_max: Option<u8>,
}

type Wrong = (&'static str, String);

pub(super) fn check(written: BTreeMap<String, LdapFile>) -> Result<BTreeMap<ObjectName, LdapSettings>, Wrong> {
    let one = |(name, file): (String, LdapFile)| {
        let name = ObjectName::parse(&name).map_err(|error| ("ldap", error.to_string()))?;
        Ok((name, file.check()?))
    };
    written.into_iter().map(one).collect()
}

impl LdapFile {
    fn check(self) -> Result<LdapSettings, Wrong> {
        let servers: Vec<ServerAddress> = self
            .servers
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, String>>()
            .map_err(|text| ("ldap.servers", text))?;
        if servers.is_empty() {
            return Err(("ldap.servers", "name at least one, such as \"ldaps://dc1.contoso.com\"".into()));
        }
        if self.bind_dn.is_some() != self.password_file.is_some() {
            return Err(("ldap.bind-dn", "bind-dn and password-file go together".into()));
        }
        let database = self.database.as_deref().map(ObjectName::parse).transpose();
        let deletions_percent_max = self.deletions_percent_max.unwrap_or(DELETIONS_PERCENT_MAX_DEFAULT);
        if deletions_percent_max > 100 {
            return Err(("ldap.deletions-percent-max", "it is a part of a hundred: 0 to 100".into()));
        }
        Ok(LdapSettings {
            servers,
            ca: self.ca,
            bind_dn: self.bind_dn,
            password_file: self.password_file,
            base: self.base,
            schema: self.schema.parse().map_err(|text| ("ldap.schema", text))?,
            filter: self.filter,
            database: database.map_err(|error| ("ldap.database", error.to_string()))?,
            logons: self.logons,
            deletions_percent_max,
        })
    }
}

impl LdapSettings {
    /// The source as it is spoken to; `settings` are those of which it is a part, `roots` those of the system and of
    /// `trusted-roots`.
    ///
    /// # Errors
    /// Which file, and why it cannot be used.
    pub fn source(&self, settings: &Settings, roots: &TrustedRoots) -> Result<LdapSource, String> {
        let roots = match &self.ca {
            None => roots.clone(),
            Some(path) => {
                let pem = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                TrustedRoots::none().and_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        let resolver = match settings.dns.as_slice() {
            [] => Resolver::system(),
            servers => Resolver::with_servers(servers, DnsProtocol::Any),
        };
        Ok(LdapSource { servers: self.servers.clone(), roots, resolver: resolver.map_err(|error| error.to_string())? })
    }
}
