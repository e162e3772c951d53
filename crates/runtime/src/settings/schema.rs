//! Every key of the settings file as data: what it takes, its default and what it is for. The page `docs/settings.md` and the
//! complaints about keys that there are not are made from it; tests hold it to what is read.

use std::fmt::Write as _;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// With its tables; `<…>` stands for a name.
    pub path: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What holds when it is absent; `required` when it must not be.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// The version that has it first.
    pub since: &'static str,
    /// A value, as TOML.
    pub example: &'static str,
}

const fn key(
    path: &'static str,
    takes: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key { path, takes, default, meaning, since: "0.1.0", example }
}

const REQUIRED: &str = "required";
const NONE: &str = "none";
const ADDRESS: &str = "`address:port`";
const ADDRESSES: &str = "`address:port`, or a list";

/// All of them, in the order of the page.
pub const KEYS: &[Key] = &[
    key("server", "a name", REQUIRED, "'BERLIN1'", "This server's name in the organization file"),
    key(
        "forest",
        "a domain",
        REQUIRED,
        "'contoso.com'",
        "The organization's name: that of `postroad cert init`, first part of every key in the directory",
    ),
    key(
        "state",
        "a folder",
        REQUIRED,
        "'/var/lib/postroad'",
        "The queue, the logs, the last good configuration. On a disk that keeps what it has synced; nobody else's (0700)",
    ),
    key(
        "mailboxes",
        "a folder",
        "`mailboxes` in `state`",
        "'/srv/mail'",
        "Mailbox databases: `<mailboxes>/<database>/<mailbox>/Maildir`. Outside of `state` it may be a folder that a group shares (2770), so \
         that Submission and Delivery are users of their own",
    ),
    key(
        "drop",
        "a folder",
        NONE,
        "'/var/spool/postroad-drop'",
        "Drop directories of Foreign connectors are below it: what Transport may write to outside of `state`",
    ),
    key(
        "pickup",
        "a folder",
        NONE,
        "'/var/spool/postroad-pickup'",
        "Files `*.eml` in it are messages to send: whoever may write there may send as anybody. Made for this user alone (0700)",
    ),
    key(
        "replay",
        "a folder",
        NONE,
        "'/var/spool/postroad-replay'",
        "The same for files with their envelope in front, as `postroad queue export` writes them",
    ),
    key(
        "queue-segment",
        "a number of MiB, 1 to 1024",
        "64",
        "4",
        "What the queue takes of the disk at a time, and at the least: many servers on one machine take less",
    ),
    key(
        "otlp",
        "`http://host:port` or `https://host:port`",
        NONE,
        "'https://127.0.0.1:4317'",
        "Collector of OpenTelemetry traces",
    ),
    key(
        "advertise",
        "an IP address",
        "the one listened on",
        "'192.0.2.7'",
        "Where other servers reach this one, when that is another address than the one listened on",
    ),
    key(
        "dns",
        "a list of `address:port`",
        "those of /etc/resolv.conf",
        "['192.0.2.53:53']",
        "Name servers. Those of the server object (`internalDNSServers`, `externalDNSServers`) go before",
    ),
    key(
        "trusted-roots",
        "a file",
        "the system's alone",
        "'/etc/postroad/roots.pem'",
        "Further authorities (PEM) besides the system's, by which certificates of hosts outside are judged",
    ),
    key("otlp-ca", "a file", "none", "'/etc/postroad/collector.pem'", "Authority (PEM) of a collector at https://"),
    key(
        "directory.kind",
        "`embedded`, `etcd`",
        REQUIRED,
        "'etcd'",
        "A file that the processes of one machine share, or etcd",
    ),
    key(
        "directory.path",
        "a file",
        "required with `embedded`",
        "'/var/lib/postroad/directory.db'",
        "The file; nobody else's (0600)",
    ),
    key(
        "directory.endpoints",
        "a list of `https://host:port`",
        "required with `etcd`",
        "['https://etcd1:2379']",
        "Every member of etcd: a call goes on to the next at once when one does not answer",
    ),
    key(
        "directory.ca",
        "a file",
        NONE,
        "'/etc/postroad/identity/ca.pem'",
        "The authority that certified etcd (PEM); needed for `https`",
    ),
    key(
        "directory.identity",
        "a folder",
        NONE,
        "'/etc/postroad/identity/transport'",
        "`cert.pem` and `key.pem` to show to etcd",
    ),
    key(
        "directory.user",
        "a name",
        NONE,
        "'postroad'",
        "User of etcd, where authentication is on; together with `password-file`",
    ),
    key("directory.password-file", "a file", NONE, "'/etc/postroad/etcd-password'", "Holds the password of that user"),
    key(
        "identity.path",
        "a folder",
        REQUIRED,
        "'/etc/postroad/identity'",
        "What `postroad cert issue` wrote: `ca.pem`, `<service>/{cert,key}.pem`, `smtp/{cert,key}.pem`",
    ),
    key(
        "identity.organization-key",
        "a file",
        "`organization.key` in `identity.path`",
        "'/etc/postroad/organization.key'",
        "Opens the organization's secrets",
    ),
    key(
        "peers.<server>.<service>",
        ADDRESS,
        "what it announces",
        "'192.0.2.9:7525'",
        "Where a service of another server is found from here: behind address translation or a tunnel",
    ),
    key(
        "administrators.<user>",
        "a list of role groups",
        NONE,
        "['Server Management']",
        "What a user of this server may do by the socket of its admin service",
    ),
    key(
        "agents.<user>",
        "a list of protocols",
        NONE,
        "['FAX']",
        "Of which `deliveryProtocol` a user of this server may take mail by Transport's socket; root and the service's own user may all",
    ),
    key(
        "ldap.<source>.servers",
        "a list of `ldaps://host`, `ldap://host` (StartTLS), with `:port`",
        REQUIRED,
        "['ldaps://dc1.contoso.com', 'ldaps://dc2.contoso.com']",
        "Servers of another directory that keeps recipients (`postroad sync ldap`); asked in turn until one answers. Never in clear",
    ),
    key(
        "ldap.<source>.ca",
        "a file",
        "the system's and `trusted-roots`",
        "'/etc/postroad/contoso-ca.pem'",
        "The authority (PEM) of the certificates of these servers, which are for exactly the hosts named",
    ),
    key("ldap.<source>.bind-dn", "a name", "none: reads as nobody", "'CN=postroad,DC=contoso,DC=com'", "Who reads it"),
    key(
        "ldap.<source>.password-file",
        "a file",
        "required with `bind-dn`",
        "'/etc/postroad/contoso-password'",
        "Holds the reader's password; read by the command alone, by no service",
    ),
    key("ldap.<source>.base", "a distinguished name", REQUIRED, "'DC=contoso,DC=com'", "Below which entry is searched"),
    key(
        "ldap.<source>.schema",
        "`active-directory`, `inetorgperson`",
        REQUIRED,
        "'active-directory'",
        "Which attributes say what ([recipients from LDAP](ldap.md))",
    ),
    key(
        "ldap.<source>.filter",
        "a filter (RFC 4515)",
        "by the schema: whoever has `mail`",
        "'(&(mail=*)(memberOf=CN=Mail,DC=contoso,DC=com))'",
        "Which entries are recipients",
    ),
    key(
        "ldap.<source>.database",
        "a name",
        NONE,
        "'DB1'",
        "The database in which mailboxes are made that the source names no database for",
    ),
    key(
        "ldap.<source>.logons",
        "`true`, `false`",
        "`false`",
        "true",
        "Whether the passwords of mailboxes that came from there are asked there when their users log on to submit mail",
    ),
    key(
        "ldap.<source>.deletions-percent-max",
        "a number, 0 to 100",
        "10",
        "10",
        "How many percent of the recipients that came from there one `postroad sync` may delete; with more it changes nothing",
    ),
    key(
        "kerberos.keytab",
        "a file",
        NONE,
        "'/etc/postroad/krb5.keytab'",
        "Keys (MIT) of the principal as whom this server logs on to smart hosts with `smartHostAuthMechanism` `ExchangeServer`; nobody else's (0600). The realm is described by /etc/krb5.conf",
    ),
    key(
        "kerberos.principal",
        "a name",
        "the first of the keytab",
        "'MAIL1$@CONTOSO.COM'",
        "Which principal of the keytab; with Active Directory the computer account, which alone may log on",
    ),
    key(
        "services.<service>.organization",
        ADDRESS,
        "all addresses: 7525 Transport, 5717 Front End Transport, 5475 Mailbox Transport Delivery",
        "'0.0.0.0:7525'",
        "Where the other servers reach the service (mutual TLS)",
    ),
    key(
        "services.<service>.metrics",
        ADDRESS,
        NONE,
        "'127.0.0.1:9525'",
        "`/metrics`, `/live` and `/ready` over HTTP, in clear; `postroad health` asks there",
    ),
    key(
        "services.<service>.socket",
        "a file",
        "`admin.sock` in `state`",
        "'/run/postroad/admin.sock'",
        "A Unix socket for users of this server: of the admin service for administrators, of Transport for delivery agents (none by default)",
    ),
    key(
        "services.<service>.smtp",
        ADDRESSES,
        "the bindings of the Receive connectors",
        "['0.0.0.0:25', '[::]:25']",
        "SMTP, in the place of port 25 (Front End Transport) or 2525 (Transport) of its Receive connectors",
    ),
    key(
        "services.<service>.submission",
        ADDRESSES,
        "the bindings of the Receive connectors",
        "['0.0.0.0:587', '[::]:587']",
        "SMTP of mail clients, in the place of port 587 (Front End Transport) or 465 (Transport)",
    ),
    key(
        "services.<service>.submissions",
        ADDRESSES,
        NONE,
        "['0.0.0.0:465', '[::]:465']",
        "The same Receive connector as `submission`, with TLS from the first octet (RFC 8314)",
    ),
    key(
        "services.<service>.load-balancers",
        "a list of addresses, `first-last`, `address/prefix`",
        NONE,
        "['192.0.2.0/28']",
        "Connections from there begin with the PROXY protocol (version 1 or 2), which says who the client is; from nobody else is it believed",
    ),
];

/// The page.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Settings\n\nOne file (TOML) for all services of a server: `/etc/postroad/server.toml`, or what `--settings` and \
         `POSTROAD_SETTINGS` name.\nWhat the organization looks like is not here: that is in the directory ([the organization \
         file](organization-file.md)).\n`postroad check` reads it before the services do. It is read at start; SIGHUP takes `[agents]` over, says what \
         has changed and needs a restart, and reads\ncertificates anew. A key that there is not is an error, and all of them are \
         told at once.\n\n| key | takes | default | meaning | since |\n|---|---|---|---|---|\n",
    );
    for Key { path, takes, default, meaning, since, .. } in KEYS {
        writeln!(text, "| `{path}` | {takes} | {default} | {meaning} | {since} |").expect("a text can be written to");
    }
    text
}

/// A key that there is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Line, from 1.
    pub line: usize,
    /// With its tables.
    pub path: String,
    /// What there is in its table.
    pub known: Vec<&'static str>,
}

/// Every key of a text that there is not; none of a text that is no TOML.
pub(super) fn unknown_keys(text: &str) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    if let Ok(table) = DeTable::parse(text) {
        look(text, &[], table.get_ref(), &mut found);
    }
    found
}

fn look(text: &str, above: &[&str], table: &DeTable<'_>, found: &mut Vec<UnknownKey>) {
    for (key, value) in table {
        let path: Vec<&str> = above.iter().copied().chain([key.get_ref().as_ref()]).collect();
        match (leads(&path), value.get_ref()) {
            (Leads::Further, DeValue::Table(table)) => look(text, &path, table, found),
            (Leads::Nowhere, _) => found.push(unknown(text, &path, key)),
            (Leads::Further | Leads::ToKey, _) => {}
        }
    }
}

fn unknown<T>(text: &str, path: &[&str], key: &Spanned<T>) -> UnknownKey {
    let line = text[..key.span().start].matches('\n').count() + 1;
    let above = &path[..path.len() - 1];
    let mut known: Vec<&str> = KEYS.iter().filter_map(|key| below(key.path, above)).collect();
    known.dedup();
    UnknownKey { line, path: path.join("."), known }
}

enum Leads {
    Nowhere,
    Further,
    ToKey,
}

fn leads(path: &[&str]) -> Leads {
    let mut leads = Leads::Nowhere;
    for key in KEYS {
        match below(key.path, path) {
            Some("") => return Leads::ToKey,
            Some(_) => leads = Leads::Further,
            None => {}
        }
    }
    leads
}

/// The part of `key` that comes next after the tables `above`; nothing for the key itself.
fn below(key: &'static str, above: &[&str]) -> Option<&'static str> {
    let mut parts = key.split('.');
    for name in above {
        let part = parts.next()?;
        if part != *name && !part.starts_with('<') {
            return None;
        }
    }
    Some(parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Settings;
    use super::*;

    /// A file with every key of the table, each with its example.
    fn everything() -> String {
        let mut text = String::new();
        for key in KEYS {
            let path = key
                .path
                .replace("<server>", "OSLO1")
                .replace("<service>", "transport")
                .replace("<user>", "anna")
                .replace("<source>", "contoso");
            if key.path != "directory.path" {
                writeln!(text, "{path} = {}", key.example).unwrap();
            }
        }
        text
    }

    #[test]
    fn every_key_of_the_table_is_read() {
        let text = everything();
        Settings::parse(&text, Path::new("server.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // A key that the table does not know of would be refused before it is read: each table tells what it expects.
        for (key, table) in [("", ""), ("identity.", ""), ("services.transport.", "")] {
            let wrong = format!("{text}{table}{key}nothing = 1\n");
            let told: Vec<_> = unknown_keys(&wrong).into_iter().map(|unknown| unknown.path).collect();
            assert_eq!(told, [format!("{key}nothing")]);
        }
    }

    /// What serde expects at a place, by its own complaint.
    fn expected(text: &str) -> Vec<String> {
        let error = toml::from_str::<super::super::File>(text).err().unwrap().to_string();
        let (_, names) = error.split_once("expected ").unwrap();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_read_that_the_table_does_not_know() {
        let text = everything();
        for (table, above) in
            [("", &[][..]), ("identity.", &["identity"]), ("services.transport.", &["services", "transport"])]
        {
            for name in expected(&format!("{table}nothing = 1\n{text}")) {
                let path: Vec<&str> = above.iter().copied().chain([name.as_str()]).collect();
                assert!(!matches!(leads(&path), Leads::Nowhere), "{table}{name} is not in the table");
            }
        }
    }

    #[test]
    fn the_page_says_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
        if std::env::var_os("POSTROAD_REWRITE").is_some() {
            std::fs::write(&path, markdown()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), markdown(), "POSTROAD_REWRITE=1 writes it anew");
    }
}
