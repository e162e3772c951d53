//! Organizations drawn at random: every property of every kind takes values that are not its default, within its range.

use envelope::{Address, ByteSize, Domain, Limit, ObjectName, ServerName, SiteName, Span};
use proptest::array::{uniform2, uniform4, uniform5};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use topology::permission::{ConnectorRight, Grantee, Permission, PermissionKind};
use topology::receive_connector::{AuthMechanism, MessageRateSource, PermissionGroup, ReceiveRight, TransportRole};
use topology::recipient::{PasswordVerifier, Provenance};
use topology::send_connector::{ErrorPolicy, ProtocolLoggingLevel, SmartHostAuthMechanism, TlsAuthLevel, Usage};
use topology::{
    AcceptedDomain, AcceptedDomainType, BackPressureSettings, Dag, Database, DatabaseHome, DeliveryAgentConnector,
    DeliveryRestrictions, DirectoryRecipient, ForeignConnector, FrontendTransportSettings, Guid, LinkCost,
    LogRetention, MailboxTransportSettings, OrganizationDraft, ProtocolLogs, ReceiveConnector, RecipientKind,
    SealedCredential, SendConnector, Server, ServerRole, Site, SiteLink, Thresholds, TransportConfig, TransportLogs,
    TransportServiceSettings, X400AuthoritativeDomain,
};
use uuid::Uuid;

fn guid() -> impl Strategy<Value = Guid> {
    any::<u128>().prop_map(|bits| Guid::from_uuid(Uuid::from_u128(bits)))
}

/// Texts that YAML would like to take for something else are among them.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["1", "true", "null", "~", "1e5", "0x10", "yes", "- a", "a: b", "#x", "'", "\"", "2001-01-01", "ü"])
            .prop_map(str::to_owned),
        "[A-Za-z0-9]([A-Za-z0-9 :#{}\\[\\],&*!|>'\"%@`-]{0,20}[A-Za-z0-9])?",
    ]
}
fn object() -> impl Strategy<Value = ObjectName> {
    name().prop_map(|text| ObjectName::parse(&text).unwrap())
}
fn server() -> impl Strategy<Value = ServerName> {
    name().prop_map(|text| ServerName::parse(&text).unwrap())
}
fn site() -> impl Strategy<Value = SiteName> {
    name().prop_map(|text| SiteName::parse(&text).unwrap())
}
fn domain() -> impl Strategy<Value = Domain> {
    "[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){0,2}".prop_map(|text| Domain::parse(&text).unwrap())
}
fn address() -> impl Strategy<Value = Address> {
    ("[A-Za-z0-9+_'-]{1,8}", domain()).prop_map(|(local, domain)| Address::new(&local, &domain).unwrap())
}
fn size() -> impl Strategy<Value = ByteSize> {
    prop_oneof![(65_536_u64..2_147_482_624).prop_map(ByteSize::bytes), (1_u64..2048).prop_map(ByteSize::mib)]
}
fn limit<T: std::fmt::Debug>(inner: impl Strategy<Value = T>) -> impl Strategy<Value = Limit<T>> {
    of(inner).prop_map(|limit| limit.map_or(Limit::Unlimited, Limit::At))
}
/// A count within the range of every property that counts.
fn count() -> impl Strategy<Value = u32> {
    1_u32..=10
}
fn span() -> impl Strategy<Value = Span> {
    (5_u64..=3600).prop_map(Span::seconds)
}
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~äß€]{0,30}", "[ -~\n]{0,30}"]
}
fn parsed<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    texts: &'static [&'static str],
) -> impl Strategy<Value = T> {
    select(texts).prop_map(|text| text.parse().unwrap())
}

prop_compose! {
    fn thresholds(max: u32)(mut at in vec(0..=max, 4)) -> Thresholds {
        at.sort_unstable();
        Thresholds::new(at[1], at[3], at[2], at[0]).unwrap()
    }
}

prop_compose! {
    fn back_pressure()(spans in vec(1..10_000_u64, 4), percents in vec(of(thresholds(100)), 3),
                       submission_queue in of(thresholds(u32::MAX)), depth in any::<u32>()) -> BackPressureSettings {
        BackPressureSettings {
            resource_metering_interval: Span::seconds(spans[0]),
            database_used_space: percents[0],
            private_bytes: percents[1],
            system_memory: percents[2],
            submission_queue,
            submission_queue_history_depth: depth,
            smtp_start_throttling_delay_interval: Span::seconds(spans[1]),
            smtp_step_throttling_delay_interval: Span::seconds(spans[2]),
            smtp_max_throttling_delay_interval: Span::seconds(spans[3]),
        }
    }
}

prop_compose! {
    fn settings()(counts in uniform4(count()), detects in any::<bool>(), spans in vec(span(), 10), limits in vec(limit(count()), 2),
                  servers in vec(parsed(&["10.0.0.1:53", "[::1]:5353"]), 0..3), back_pressure in back_pressure(),
                  logs in logs(), rate in count())
                  -> TransportServiceSettings {
        TransportServiceSettings {
            queue_glitch_retry_count: counts[0],
            queue_glitch_retry_interval: spans[0],
            transient_failure_retry_count: counts[1],
            transient_failure_retry_interval: spans[1],
            outbound_connection_failure_retry_interval: spans[2],
            message_retry_interval: spans[3],
            mailbox_delivery_queue_retry_interval: spans[4],
            delay_notification_timeout: spans[5],
            message_expiration_timeout: spans[6],
            max_idle_time_before_resubmit: spans[7],
            queue_max_idle_time: spans[8],
            resolver_retry_interval: spans[9],
            poison_message_detection_enabled: detects,
            poison_threshold: counts[3],
            max_outbound_connections: limits[0],
            max_per_domain_outbound_connections: limits[1],
            intra_org_connector_smtp_max_messages_per_connection: counts[2],
            external_dns_servers: servers.clone(),
            internal_dns_servers: servers,
            max_connection_rate_per_minute: rate,
            logs,
            back_pressure,
        }
    }
}

prop_compose! {
    fn send_connector()(guid in guid(), name in object(), usage in select(Usage::ALL), flags in any::<[bool; 9]>(),
        spaces in vec(parsed(&["SMTP:*;1", "--", "*.contoso.com;5", "X400:c=US;a=x;7"]), 0..3),
        sources in vec(server(), 0..3), hosts in vec(parsed(&["[192.0.2.1]", "relay.example", "[::1]"]), 0..3),
        (sealed, comment, timeout, certificate) in (of(text()), text(), span(), of(text())),
        (policies, fqdn, size, port) in (vec(select(ErrorPolicy::ALL), 0..3), of(domain()), limit(size()), any::<u16>()),
        (logging, mechanism) in (select(ProtocolLoggingLevel::ALL), select(SmartHostAuthMechanism::ALL)),
        (count, source, level) in (count(), of(parsed(&["10.0.0.9", "::1"])), of(select(TlsAuthLevel::ALL))),
        (tls_domain, permissions, upgraded) in (of(parsed(&["*", "*.contoso.com", "contoso.com"])), permissions(),
            vec(parsed(&["450", "4.2.2"]), 0..3))) -> SendConnector {
        SendConnector {
            authentication_credential: sealed.map(|text| SealedCredential(text.into())),
            cloud_services_mail_enabled: flags[0], comment, connection_inactivity_timeout: timeout,
            dns_routing_enabled: flags[1], domain_secure_enabled: flags[2], enabled: flags[3], error_policies: policies,
            force_helo: flags[4], fqdn, frontend_proxy_enabled: flags[5], ignore_starttls: flags[6],
            is_scoped_connector: flags[7], max_message_size: size, port, protocol_logging_level: logging,
            require_tls: flags[8], smart_host_auth_mechanism: mechanism, smart_hosts: hosts,
            smtp_max_messages_per_connection: count, source_ip_address: source, tls_auth_level: level,
            tls_certificate_name: certificate, tls_domain, permissions, upgraded_replies: upgraded,
            ..SendConnector::new(guid, name, usage, spaces, sources)
        }
    }
}

prop_compose! {
    fn gateways()(guids in vec(guid(), 2), names in vec(object(), 2), flags in any::<[bool; 5]>(), texts in vec(text(), 3),
        spaces in vec(parsed(&["SMTP:fax.example;1", "FAX:*;5", "X400:c=US;a=x;7"]), 0..3), drop in of(text()),
        sources in vec(server(), 0..3), sizes in vec(limit(size()), 3), counts in uniform2(count()))
        -> (DeliveryAgentConnector, ForeignConnector) {
        let agent = DeliveryAgentConnector {
            delivery_protocol: texts[0].clone(), comment: texts[1].clone(), enabled: flags[0],
            is_scoped_connector: flags[1], max_concurrent_connections: counts[0], max_messages_per_connection: counts[1],
            max_message_size: sizes[0],
            ..DeliveryAgentConnector::new(guids[0], names[0].clone(), spaces.clone(), sources.clone())
        };
        let foreign = ForeignConnector {
            comment: texts[2].clone(), drop_directory: drop, drop_directory_quota: sizes[1], enabled: flags[2],
            is_scoped_connector: flags[3], max_message_size: sizes[2], relay_dsn_required: flags[4],
            ..ForeignConnector::new(guids[1], names[1].clone(), spaces, sources)
        };
        (agent, foreign)
    }
}

fn permissions() -> impl Strategy<Value = Vec<Permission>> {
    let grantees = Grantee::KNOWN.map(|(grantee, _)| grantee).into_iter();
    let grantees = grantees.chain([Grantee::User(ObjectName::parse("Ann O'Neil").unwrap())]).collect::<Vec<_>>();
    let permission = (select(PermissionKind::ALL), select(ConnectorRight::ALL), select(grantees));
    vec(permission.prop_map(|(kind, right, grantee)| Permission { kind, right, grantee }), 0..3)
}

prop_compose! {
    fn receive_connector()(guid in guid(), name in object(), server in server(), flags in any::<[bool; 3]>(),
        rate_source in select(MessageRateSource::ALL), denied in vec(select(ReceiveRight::ALL), 0..2),
        role in select(TransportRole::ALL), counts in uniform5(count()), limits in vec(limit(count()), 4),
        bindings in vec(parsed(&["0.0.0.0:25", "[::]:587"]), 0..3), banner in of(text()), fqdn in of(domain()),
        ranges in vec(parsed(&["10.0.0.0/8", "::1", "10.0.0.1-10.0.0.9"]), 0..3), sizes in vec(size(), 2),
        groups in vec(select(PermissionGroup::ALL), 0..3), mechanisms in vec(select(AuthMechanism::ALL), 0..3),
        spans in vec(span(), 4), (permissions, capabilities) in
            (permissions(), vec(parsed(&["contoso.com:AcceptCloudServicesMail"]), 0..2)),
        certificate in of(text())) -> ReceiveConnector {
        ReceiveConnector {
            bindings, remote_ip_ranges: ranges, auth_mechanism: mechanisms, permission_groups: groups,
            enabled: flags[0], fqdn, banner, require_tls: flags[1], max_message_size: sizes[0],
            max_header_size: sizes[1], max_recipients_per_message: counts[0], max_hop_count: counts[1],
            max_local_hop_count: counts[2], max_inbound_connection: limits[0],
            max_inbound_connection_per_source: limits[1], max_inbound_connection_percentage_per_source: counts[3],
            max_protocol_errors: limits[2], max_logon_failures: counts[4], message_rate_limit: limits[3],
            connection_inactivity_timeout: spans[0], connection_timeout: spans[1], auth_tarpit_interval: spans[2],
            tarpit_interval: spans[3], message_rate_source: rate_source, denied_rights: denied,
            notify_anonymous_of_success: flags[2], long_addresses_enabled: flags[0], permissions,
            tls_domain_capabilities: capabilities, tls_certificate_name: certificate,
            ..ReceiveConnector::new(guid, name, server, role)
        }
    }
}

fn accepted_domain() -> impl Strategy<Value = AcceptedDomain> {
    use AcceptedDomainType::{Authoritative, ExternalRelay, InternalRelay};
    let types = select(vec![Authoritative, InternalRelay, ExternalRelay]);
    let domain = parsed(&["*", "*.contoso.com", "contoso.com"]);
    (guid(), object(), domain, types, any::<[bool; 2]>()).prop_map(
        |(guid, name, domain, domain_type, [address_book_enabled, is_default])| AcceptedDomain {
            guid,
            name,
            domain,
            domain_type,
            address_book_enabled,
            is_default,
        },
    )
}

fn x400_domain() -> impl Strategy<Value = X400AuthoritativeDomain> {
    let domain = parsed(&["C=US;A=Fabrikam;P=Contoso", "o=Sales", "c=US;a=att,p=x;ou1=North", "C=US;A= "]);
    (guid(), object(), domain, any::<bool>()).prop_map(|(guid, name, domain, external_relay)| X400AuthoritativeDomain {
        guid,
        name,
        domain,
        external_relay,
    })
}

fn database() -> impl Strategy<Value = Database> {
    let home = prop_oneof![
        server().prop_map(DatabaseHome::Server),
        (object(), server()).prop_map(|(dag, active_on)| DatabaseHome::Dag { dag, active_on }),
    ];
    (guid(), object(), home).prop_map(|(guid, name, home)| Database { guid, name, home })
}

prop_compose! {
    fn retention()(age in span(), sizes in vec(limit(size()), 2)) -> LogRetention {
        let larger = |size: Limit<ByteSize>| match size {
            Limit::At(size) => size.as_u64(),
            Limit::Unlimited => u64::MAX,
        };
        let mut sizes = sizes;
        sizes.sort_by_key(|size| larger(*size));
        LogRetention { max_age: age, max_directory_size: sizes[1], max_file_size: sizes[0] }
    }
}

prop_compose! {
    fn logs()(flags in any::<[bool; 3]>(), kept in vec(retention(), 5)) -> TransportLogs {
        TransportLogs {
            message_tracking_enabled: flags[0],
            message_tracking_subjects: flags[1],
            message_tracking: kept[0],
            connectivity_enabled: flags[2],
            connectivity: kept[1],
            protocol: ProtocolLogs { receive: kept[2], send: kept[3] },
            routing_table: LogRetention { max_file_size: Limit::Unlimited, ..kept[4] },
        }
    }
}

prop_compose! {
    fn one_server()(guid in guid(), name in server(), fqdn in domain(), site in site(), dag in of(object()),
                    role in select(vec![ServerRole::Mailbox, ServerRole::Edge]), transport in settings(),
                    removed in vec(object(), 0..2), kept in vec(retention(), 2), counts in uniform2(count())) -> Server {
        let edge = topology::EdgeSubscription::default();
        Server { guid, name, fqdn, site, role, dag, removed_receive_connectors: removed, edge, transport,
            frontend_transport: FrontendTransportSettings {
                max_connection_rate_per_minute: counts[0],
                protocol: ProtocolLogs { receive: kept[0], send: kept[1] },
            },
            mailbox_transport: MailboxTransportSettings {
                max_concurrent_mailbox_deliveries: counts[0],
                max_concurrent_mailbox_submissions: counts[1],
            },
        }
    }
}

prop_compose! {
    fn places()(sites in vec((guid(), site(), any::<(bool, bool)>()), 0..3),
                links in vec((guid(), object(), vec(site(), 0..3), 1_u32..99_999, of(1_u32..99_999), limit(size())), 0..3))
                -> (Vec<Site>, Vec<SiteLink>) {
        let site = |(guid, name, (hub_site_enabled, inbound_mail_enabled))| Site {
            guid, name, hub_site_enabled, inbound_mail_enabled, subnets: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let link = |(guid, name, sites, cost, exchange, max_message_size)| SiteLink {
            guid, name, sites, cost: LinkCost::new(cost).unwrap(), exchange_cost: Option::and_then(exchange, LinkCost::new),
            max_message_size,
        };
        (sites.into_iter().map(site).collect(), links.into_iter().map(link).collect())
    }
}

prop_compose! {
    pub fn draft()((sites, site_links) in places(), servers in vec(one_server(), 0..2),
        dags in vec((guid(), object()).prop_map(|(guid, name)| Dag { guid, name }), 0..2),
        databases in vec(database(), 0..3), send_connectors in vec(send_connector(), 0..3),
        (agent, foreign) in gateways(), receive_connectors in vec(receive_connector(), 0..3), accepted_domains in vec(accepted_domain(), 0..3),
        x400_domains in vec(x400_domain(), 0..3),
        sizes in vec(limit(size()), 2), recipients in limit(count()), postmaster in of(address()),
        attach in size(), delay in any::<bool>(), plus in any::<bool>(),
        targets in vec(prop_oneof![Just("10.0.0.0/8"), Just("fd00::1-fd00::9")].prop_map(|range| range.parse().unwrap()), 0..3),
        secured in vec(prop_oneof![Just("fabrikam.com"), Just("müller.example")].prop_map(|name| name.parse().unwrap()), 0..2)) -> OrganizationDraft {
        OrganizationDraft {
            sites, site_links, servers, dags, databases, send_connectors, receive_connectors, accepted_domains,
            x400_domains,
            delivery_agent_connectors: vec![agent], foreign_connectors: vec![foreign],
            transport_config: TransportConfig {
                max_send_size: sizes[0], max_receive_size: sizes[1], max_recipient_envelope_limit: recipients,
                external_postmaster_address: postmaster, dsn_max_message_attach_size: attach, delay_dsn_enabled: delay,
                plus_addressing_enabled: plus,
                private_target_ranges: targets,
                tls_send_domain_secure_list: secured.clone(),
                tls_receive_domain_secure_list: secured,
            },
        }
    }
}

pub(super) fn recipients() -> impl Strategy<Value = Vec<DirectoryRecipient>> {
    let verifier = of(text().prop_map(|text| PasswordVerifier(text.into())));
    let kind = prop_oneof![
        (object(), verifier).prop_map(|(database, password)| RecipientKind::Mailbox { database, password }),
        address().prop_map(|address| RecipientKind::MailContact { external_address: address.into() }),
        "(FAX|X400|NOTES):[!-~]([ -~]{0,20}[!-~])?".prop_filter_map("an address of another type", |text| {
            let external_address = text.parse().ok()?;
            Some(RecipientKind::MailContact { external_address })
        }),
        (vec(address(), 0..3), of(server()))
            .prop_map(|(members, expansion_server)| RecipientKind::DistributionGroup { members, expansion_server }),
    ];
    let limits = (of(limit(size())), of(limit(size())));
    let restrictions = (any::<bool>(), vec(address(), 0..3), vec(address(), 0..3)).prop_map(
        |(require_sender_authentication, accept_only_from, reject_from)| DeliveryRestrictions {
            require_sender_authentication,
            accept_only_from,
            reject_from,
        },
    );
    let provenance = of((object(), text()).prop_map(|(source, entry)| Provenance { source, entry: entry.into() }));
    let kind = (kind, provenance);
    let one = (guid(), object(), address(), vec(address(), 0..3), limits, restrictions, kind).prop_map(
        |(guid, name, primary_address, proxy_addresses, limits, restrictions, (kind, provenance))| {
            let (max_receive_size, max_send_size) = limits;
            DirectoryRecipient {
                guid,
                name,
                primary_address,
                proxy_addresses,
                max_receive_size,
                max_send_size,
                restrictions,
                kind,
                provenance,
            }
        },
    );
    vec(one, 0..4)
}
