//! The pages about the configuration are made from the schema: they cannot say something else. Neither can the sources: a
//! property that works is read by somebody, and one that is only stored is read by nobody.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use organization::Kind;
use organization::schema::{self, Effect, Row};

/// Set to write the pages instead of comparing them.
const REWRITE: &str = "POSTROAD_REWRITE";

fn compare(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, wanted, "run the test with {REWRITE}=1 to write docs/{page} anew");
}

#[test]
fn the_pages_are_those_of_the_schema() {
    compare("properties.md", &schema::page::properties());
    compare("organization-file.md", &schema::page::organization_file());
}

/// Every row of a kind, those of objects that are values as well.
fn all(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().flat_map(|row| std::iter::once(row.clone()).chain(all(row.holds))).collect()
}

#[test]
fn every_property_says_what_it_is() {
    for kind in Kind::ALL {
        for row in all(schema::properties(kind)) {
            let name = format!("{kind}.{}", row.name);
            assert!(!row.takes.is_empty() && !row.rule.is_empty(), "{name}: {row:?}");
            assert!(
                row.help.ends_with('.') && !row.help.contains('\n') && row.help.len() <= 120,
                "{name}: {}",
                row.help
            );
            assert!(row.name.is_ascii() && row.name.starts_with(|first: char| first.is_ascii_lowercase()), "{name}");
        }
    }
}

/// Product code by which mail goes, without the crates that read and check what is written.
fn product() -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::new();
    let mut folders: Vec<_> = std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| !["organization", "testkit"].iter().any(|krate| folder.ends_with(krate)));
    let mut folders: Vec<_> = folders.into_iter().map(|folder| folder.join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let checks = ["validation", "validation.rs", "tests", "tests.rs"].iter().any(|end| path.ends_with(end));
            match path.is_dir() {
                _ if checks => {}
                true => folders.push(path),
                false => {
                    text.push_str(std::fs::read_to_string(&path).unwrap().split("#[cfg(test)]\nmod ").next().unwrap())
                }
            }
        }
    }
    text
}

/// `connectionInactivityTimeOut` as a field: `connection_inactivity_timeout`.
fn field(name: &str) -> String {
    let mut field = String::new();
    let mut before = 'A';
    for character in name.replace("TimeOut", "Timeout").chars() {
        if character.is_ascii_uppercase() && !before.is_ascii_uppercase() {
            field.push('_');
        }
        field.push(character.to_ascii_lowercase());
        before = character;
    }
    field
}

/// Whether a field of that name is read: `.name`, or handed to a macro as `, name)`.
fn is_read(product: &str, field: &str) -> bool {
    let ends = |at: usize| {
        !product[at + field.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '(')
    };
    product.match_indices(field).any(|(at, _)| {
        let before = &product[..at];
        ends(at) && (before.ends_with('.') || (before.ends_with(", ") && product[at + field.len()..].starts_with(')')))
    })
}

/// Properties that are read under another name, or nowhere on purpose.
const RENAMED: &[(&str, &str)] = &[
    ("ignoreSTARTTLS", "ignore_starttls"),
    ("forceHELO", "force_helo"),
    ("requireTLS", "require_tls"),
    ("externalDNSServers", "external_dns_servers"),
    ("internalDNSServers", "internal_dns_servers"),
    ("useExternalDNSServersEnabled", "use_external_dns_servers_enabled"),
    ("sourceIPAddress", "source_ip_address"),
    ("externalDsnMaxMessageAttachSize", "dsn_max_message_attach_size"),
    ("externalDelayDsnEnabled", "delay_dsn_enabled"),
    ("domainName", "domain"),
    ("x400DomainName", "domain"),
    ("x400ExternalRelay", "external_relay"),
    ("default", "is_default"),
    ("address", "primary_address"),
    ("remoteIPRanges", "remote_ip_ranges"),
    ("activeOn", "home"),
    ("server", "home"),
    ("externalAddress", "kind"),
    ("members", "kind"),
    ("database", "kind"),
    ("expansionServer", "kind"),
    ("password", "kind"),
    ("passwordFile", "kind"),
    ("passwordEnvironment", "kind"),
    ("requireSenderAuthenticationEnabled", "require_sender_authentication"),
    ("acceptMessagesOnlyFrom", "accept_only_from"),
    ("rejectMessagesFrom", "reject_from"),
    ("syncedFrom", "provenance"),
    ("syncedEntry", "provenance"),
    ("messageTrackingLogMaxAge", "message_tracking"),
    ("messageTrackingLogMaxDirectorySize", "message_tracking"),
    ("messageTrackingLogMaxFileSize", "message_tracking"),
    ("connectivityLogMaxAge", "connectivity"),
    ("connectivityLogMaxDirectorySize", "connectivity"),
    ("connectivityLogMaxFileSize", "connectivity"),
    ("receiveProtocolLogMaxAge", "receive"),
    ("receiveProtocolLogMaxDirectorySize", "receive"),
    ("receiveProtocolLogMaxFileSize", "receive"),
    ("sendProtocolLogMaxAge", "send"),
    ("sendProtocolLogMaxDirectorySize", "send"),
    ("sendProtocolLogMaxFileSize", "send"),
    ("routingTableLogMaxAge", "routing_table"),
    ("routingTableLogMaxDirectorySize", "routing_table"),
    ("messageTrackingLogEnabled", "message_tracking_enabled"),
    ("messageTrackingLogSubjectLoggingEnabled", "message_tracking_subjects"),
    ("connectivityLogEnabled", "connectivity_enabled"),
];

#[test]
fn what_works_is_read_and_what_is_only_stored_is_not() {
    let for_people = ["comment", "usage"];
    let product = product();
    for kind in [
        Kind::TransportConfig,
        Kind::Site,
        Kind::SiteLink,
        Kind::Server,
        Kind::AcceptedDomain,
        Kind::X400AuthoritativeDomain,
        Kind::SendConnector,
        Kind::ReceiveConnector,
        Kind::Recipient,
    ] {
        for row in all(schema::properties(kind)).into_iter().filter(|row| !for_people.contains(&row.name)) {
            let field = RENAMED
                .iter()
                .find(|(name, _)| *name == row.name)
                .map_or_else(|| field(row.name), |(_, field)| (*field).to_owned());
            match row.effect {
                Effect::Works => {
                    assert!(is_read(&product, &field), "{kind}.{} is said to work; nobody reads {field}", row.name)
                }
                Effect::StoredOnly(_) => {
                    assert!(!is_read(&product, &field), "{kind}.{} is read; say in its row what it does", row.name);
                }
            }
        }
    }
}
