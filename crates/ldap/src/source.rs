//! Where another directory is and how it is spoken to: plain values, made from the settings by `runtime`.

use std::fmt;
use std::str::FromStr;

use net::tls::TrustedRoots;
use net::{Host, Resolver};
use zeroize::Zeroizing;

/// A directory that is asked.
#[derive(Clone)]
pub struct LdapSource {
    /// Asked one after the other until one answers; each has the same.
    pub servers: Vec<ServerAddress>,
    /// By which their certificates are judged.
    pub roots: TrustedRoots,
    /// By which their names are found.
    pub resolver: Resolver,
}

impl fmt::Debug for LdapSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LdapSource({:?})", self.servers)
    }
}

/// Who reads the directory.
#[derive(Clone)]
pub struct Identity {
    /// Its distinguished name; for Active Directory also `user@domain`.
    pub name: String,
    /// Never empty: see [`Identity::new`].
    password: Zeroizing<String>,
}

impl Identity {
    /// Nothing for an empty password: a bind with a name and none is no authentication, and succeeds (RFC 4513 §5.1.2).
    #[must_use]
    pub fn new(name: impl Into<String>, password: Zeroizing<String>) -> Option<Self> {
        (!password.is_empty()).then(|| Self { name: name.into(), password })
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, …)", self.name)
    }
}

/// One server: `ldaps://dc1.contoso.com`, or `ldap://dc1.contoso.com`, where TLS begins by StartTLS before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// By name or by address; its certificate is for exactly this.
    pub host: Host,
    /// 636, or 389 with StartTLS, unless it is said.
    pub port: u16,
    /// Whether TLS is begun by StartTLS.
    pub starttls: bool,
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no server such as \"ldaps://dc1.contoso.com\" or \"ldap://dc1.contoso.com:389\"");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (starttls, usual) = match scheme {
            "ldaps" => (false, 636),
            "ldap" => (true, 389),
            _ => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, usual),
        };
        Ok(Self { host: host.parse().map_err(|_| wrong())?, port, starttls })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.starttls { "ldap" } else { "ldaps" };
        match &self.host {
            Host::Address(address) if address.is_ipv4() => write!(f, "{scheme}://{address}:{}", self.port),
            host => write!(f, "{scheme}://{host}:{}", self.port),
        }
    }
}

/// Which attributes say what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Active Directory, with the attributes of Exchange where it was there.
    ActiveDirectory,
    /// `inetOrgPerson`, `groupOfNames`, `posixGroup`: OpenLDAP, 389 Directory Server and their like.
    InetOrgPerson,
}

impl FromStr for Schema {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "active-directory" => Ok(Self::ActiveDirectory),
            "inetorgperson" => Ok(Self::InetOrgPerson),
            _ => Err(format!("{text:?} is neither active-directory nor inetorgperson")),
        }
    }
}

impl Schema {
    /// Which entries are recipients, unless the settings say it.
    #[must_use]
    pub const fn filter(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "(&(mail=*)(|(objectClass=user)(objectClass=contact)(objectClass=group)))",
            Self::InetOrgPerson => {
                "(&(mail=*)(|(objectClass=inetOrgPerson)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)\
                 (objectClass=posixGroup)))"
            }
        }
    }

    /// What is read of each.
    #[must_use]
    pub const fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::ActiveDirectory => &[
                "objectClass",
                "objectGUID",
                "cn",
                "sAMAccountName",
                "mailNickname",
                "mail",
                "proxyAddresses",
                "targetAddress",
                "legacyExchangeDN",
                "homeMDB",
                "member",
            ],
            Self::InetOrgPerson => &[
                "objectClass",
                "entryUUID",
                "nsUniqueId",
                "cn",
                "uid",
                "mail",
                "mailAlternateAddress",
                "mailLocalAddress",
                "mailForwardingAddress",
                "mailRoutingAddress",
                "member",
                "uniqueMember",
                "memberUid",
                "rfc822MailMember",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_never_in_clear() {
        for (text, printed) in [
            ("ldaps://dc1.contoso.com", "ldaps://dc1.contoso.com:636"),
            ("ldap://dc1.contoso.com/", "ldap://dc1.contoso.com:389"),
            ("ldap://dc1.contoso.com:3389", "ldap://dc1.contoso.com:3389"),
            ("ldaps://192.0.2.1:1636", "ldaps://192.0.2.1:1636"),
            ("ldaps://[2001:db8::1]", "ldaps://[2001:db8::1]:636"),
            ("ldaps://[2001:db8::1]:1636", "ldaps://[2001:db8::1]:1636"),
        ] {
            let server: ServerAddress = text.parse().unwrap();
            assert_eq!(server.to_string(), printed);
            assert_eq!(server.starttls, text.starts_with("ldap:"));
        }
        for wrong in ["dc1.contoso.com", "http://dc1", "ldaps://", "ldaps://dc1:x", "ldapi:///run/slapd"] {
            assert!(wrong.parse::<ServerAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_identity_has_a_password_and_does_not_show_it() {
        assert!(Identity::new("cn=reader", Zeroizing::new(String::new())).is_none());
        let identity = Identity::new("cn=reader", Zeroizing::new("battery".into())).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(cn=reader, …)");
    }
}
