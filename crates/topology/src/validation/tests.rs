//! The validation matrix, row by row: one change to a good organization, and the problem that must be named.

use super::*;
use crate::DomainPattern;
use crate::organization::Organization;
use crate::send_connector::{ErrorPolicy, SealedCredential, SmartHostAuthMechanism, TlsAuthLevel, Usage};
use crate::{
    AcceptedDomain, AcceptedDomainType, DeliveryAgentConnector, ForeignConnector, Guid, ReceiveConnector,
    SendConnector, Server, Site, TransportRole, TransportServiceSettings, X400AuthoritativeDomain,
};
use envelope::{ByteSize, Domain, ObjectName, ServerName, SiteName, Span};

fn good() -> OrganizationDraft {
    let site = SiteName::parse("Berlin").unwrap();
    let server = |name: &str, role| Server {
        guid: Guid::ZERO,
        name: ServerName::parse(name).unwrap(),
        fqdn: Domain::parse(&format!("{name}.contoso.com")).unwrap(),
        site: site.clone(),
        role,
        dag: None,
        removed_receive_connectors: Vec::new(),
        edge: crate::EdgeSubscription::default(),
        transport: TransportServiceSettings::default(),
        frontend_transport: crate::FrontendTransportSettings::default(),
        mailbox_transport: crate::MailboxTransportSettings::default(),
    };
    let name = ObjectName::parse("Internet").unwrap();
    let spaces = vec!["*".parse().unwrap()];
    OrganizationDraft {
        sites: vec![Site {
            guid: Guid::ZERO,
            name: site.clone(),
            hub_site_enabled: false,
            inbound_mail_enabled: true,
            subnets: vec![],
        }],
        servers: vec![server("mail1", ServerRole::Mailbox), server("edge1", ServerRole::Edge)],
        send_connectors: vec![SendConnector::new(
            Guid::ZERO,
            name.clone(),
            Usage::Internet,
            spaces,
            vec![ServerName::parse("mail1").unwrap()],
        )],
        accepted_domains: vec![AcceptedDomain {
            guid: Guid::ZERO,
            name,
            domain: "contoso.com".parse().unwrap(),
            domain_type: AcceptedDomainType::Authoritative,
            address_book_enabled: true,
            is_default: true,
        }],
        ..OrganizationDraft::default()
    }
}

/// Changes the one connector and returns what the linter says of it.
fn after(change: impl FnOnce(&mut SendConnector)) -> Vec<Problem> {
    let mut draft = good();
    change(&mut draft.send_connectors[0]);
    lint(&draft).0
}

#[test]
fn a_good_organization_has_no_problem() {
    assert_eq!(lint(&good()), Problems::default());
}

#[test]
fn every_row_of_the_connector_matrix_is_an_error_at_its_property() {
    type Change = fn(&mut SendConnector);
    let smart: Change = |c| c.smart_hosts = vec!["[10.0.0.1]".parse().unwrap()];
    let rows: [(&str, &str, Change); 26] = [
        ("V-2, SC-35, SC-46", "dnsRoutingEnabled", smart),
        ("V-3, SC-35, SC-46", "smartHosts", |c| c.dns_routing_enabled = false),
        ("V-5, SC-63", "addressSpaces", |c| c.address_spaces.push("FAX:*".parse().unwrap())),
        ("V-6, SC-62", "addressSpaces", |c| {
            c.source_transport_servers = vec![ServerName::parse("edge1").unwrap()];
            c.address_spaces.push("FAX:*".parse().unwrap());
        }),
        ("V-25, SC-52", "frontendProxyEnabled", |c| {
            c.source_transport_servers = vec![ServerName::parse("edge1").unwrap()];
            c.frontend_proxy_enabled = true;
        }),
        ("V-12", "tlsAuthLevel", |c| {
            // A change that turns requireTLS off, or STARTTLS.
            (c.require_tls, c.tls_auth_level) = (false, Some(TlsAuthLevel::CertificateValidation));
        }),
        ("V-15", "domainSecureEnabled", |c| {
            (c.domain_secure_enabled, c.dns_routing_enabled) = (true, false);
            c.smart_hosts = vec!["[10.0.0.1]".parse().unwrap()];
        }),
        ("V-7", "addressSpaces", |c| c.address_spaces = vec!["--".parse().unwrap()]),
        ("V-9", "authenticationCredential", |c| c.smart_host_auth_mechanism = SmartHostAuthMechanism::BasicAuth),
        ("V-11, SC-93", "ignoreSTARTTLS", |c| (c.require_tls, c.ignore_starttls) = (true, true)),
        ("V-12, SC-94", "tlsAuthLevel", |c| c.tls_auth_level = Some(TlsAuthLevel::EncryptionOnly)),
        ("V-13, SC-95", "tlsDomain", |c| {
            (c.dns_routing_enabled, c.require_tls) = (false, true);
            c.smart_hosts = vec!["relay.contoso.com".parse().unwrap()];
            c.tls_auth_level = Some(TlsAuthLevel::DomainValidation);
        }),
        ("V-14, SC-95", "tlsDomain", |c| c.tls_domain = Some("contoso.com".parse().unwrap())),
        ("V-15", "domainSecureEnabled", |c| (c.domain_secure_enabled, c.ignore_starttls) = (true, true)),
        ("V-16", "ignoreSTARTTLS", |c| {
            (c.smart_host_auth_mechanism, c.ignore_starttls) = (SmartHostAuthMechanism::BasicAuthRequireTLS, true);
            c.authentication_credential = Some(SealedCredential("x".into()));
        }),
        ("TA-4", "forceHELO", |c| (c.force_helo, c.require_tls) = (true, true)),
        ("TA-4", "forceHELO", |c| {
            (c.force_helo, c.smart_host_auth_mechanism) = (true, SmartHostAuthMechanism::BasicAuth);
        }),
        ("TA-4", "forceHELO", |c| {
            (c.force_helo, c.smart_host_auth_mechanism) = (true, SmartHostAuthMechanism::ExchangeServer);
        }),
        ("V-17", "sourceIPAddress", |c| c.source_ip_address = Some("10.0.0.9".parse().unwrap())),
        ("V-19", "sourceTransportServers", |c| c.source_transport_servers.push(ServerName::parse("edge1").unwrap())),
        ("V-19", "sourceTransportServers", |c| c.source_transport_servers = vec![ServerName::parse("nobody").unwrap()]),
        ("SC-88", "sourceTransportServers", |c| c.source_transport_servers.clear()),
        ("V-21", "connectionInactivityTimeOut", |c| c.connection_inactivity_timeout = Span::seconds(0)),
        ("V-21", "maxMessageSize", |c| c.max_message_size = Limit::At(ByteSize::bytes(1 << 40))),
        ("SC-115", "upgradedReplies", |c| c.upgraded_replies = vec!["4.2.2".parse().unwrap()]),
        ("V-22", "tlsCertificateName", |c| c.tls_certificate_name = Some("CN=x".into())),
    ];
    for (rule, property, change) in rows {
        let problems = after(change);
        let place = format!("sendConnectors[\"Internet\"].{property}");
        assert!(problems.iter().any(|p| p.weight == Weight::Error && p.place == place), "{rule}: {problems:?}");
    }
}

#[test]
fn doubtful_settings_are_warnings_and_do_not_fail() {
    let problems = after(|c| c.smart_host_auth_mechanism = SmartHostAuthMechanism::ExternalAuthoritative); // V-10
    assert_eq!(problems.iter().map(|p| p.weight).collect::<Vec<_>>(), [Weight::Warning]);
    assert_eq!(after(|c| c.max_message_size = Limit::At(ByteSize::bytes(0))), []); // V-24
    let problems = after(|c| c.error_policies = vec![ErrorPolicy::UpgradeCustomFailures]); // SC-115
    assert!(problems.len() == 1 && problems[0].weight == Weight::Warning, "{problems:?}");
    let problems = after(|c| (c.frontend_proxy_enabled, c.domain_secure_enabled) = (true, true)); // SC-53
    let told: Vec<_> = problems.iter().map(|p| (p.weight, p.place.as_str())).collect();
    assert_eq!(told, [(Weight::Warning, "sendConnectors[\"Internet\"].domainSecureEnabled")]);
}

#[test]
fn receive_connectors_of_one_endpoint_have_ranges_of_their_own_or_one_within_the_other() {
    // RC-29, RC-3
    let connector = |name: &str, server: &str, ranges: &[&str]| {
        let (name, server) = (ObjectName::parse(name).unwrap(), ServerName::parse(server).unwrap());
        let mut connector = ReceiveConnector::new(Guid::ZERO, name, server, TransportRole::FrontendTransport);
        connector.bindings = vec!["0.0.0.0:2525".parse().unwrap()];
        connector.remote_ip_ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        connector
    };
    for (server, ranges, fits) in [
        ("mail1", &["10.0.0.0/24"][..], false),
        ("mail1", &["10.0.0.128-10.0.1.127"], false),
        ("mail1", &["192.0.2.1", "10.0.0.0-10.0.1.0"], true),
        ("mail1", &["10.0.0.7"], true),
        ("mail1", &["10.0.1.0/24"], true),
        ("edge1", &["10.0.0.0/24"], true),
    ] {
        let mut draft = good();
        draft.receive_connectors =
            vec![connector("First", "mail1", &["10.0.0.0/24"]), connector("Second", server, ranges)];
        let errors = lint(&draft).0.into_iter().filter(|problem| problem.weight == Weight::Error);
        let places: Vec<_> = errors.map(|problem| problem.place).collect();
        let expected: &[&str] = if fits { &[] } else { &["receiveConnectors[\"mail1\\Second\"].remoteIPRanges"] };
        assert_eq!(places, expected, "{server} {ranges:?}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut draft = good();
    draft.servers[0].site = SiteName::parse("Nowhere").unwrap();
    draft.accepted_domains[0].domain = DomainPattern::Any;
    draft.send_connectors.push(draft.send_connectors[0].clone()); // V-26
    let problems = Organization::validate(draft, envelope::Revision(1)).unwrap_err();
    let places: Vec<_> = problems.0.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(places, ["sendConnectors", "servers[\"mail1\"].site", "acceptedDomains[\"Internet\"].domainName"]);
}

#[test]
fn accepted_domains_are_domains_or_domains_with_all_below() {
    // EN-80
    let long = format!("{}contoso.com", "a.".repeat(130));
    for (text, accepted) in [
        ("contoso.com", true),
        ("*.contoso.com", true),
        ("*", false),
        ("con*.com", false),
        ("*.*.com", false),
        ("mail.*.com", false),
        ("*contoso.com", false),
        (&long, false),
    ] {
        let mut draft = good();
        let pattern = text.parse::<DomainPattern>();
        let valid = pattern.is_ok_and(|pattern| {
            assert_eq!(pattern.to_string(), text);
            draft.accepted_domains[0].domain = pattern;
            Organization::validate(draft, envelope::Revision(1)).is_ok()
        });
        assert_eq!(valid, accepted, "{text}");
    }
}

#[test]
fn gateway_connectors() {
    // EN-56, EN-57, EN-62…EN-66
    let spaces = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    let sources = |names: &[&str]| names.iter().map(|name| ServerName::parse(name).unwrap()).collect::<Vec<_>>();
    let name = ObjectName::parse("Fax").unwrap();
    let problems = |space: &[&str], source: &[&str], protocol: &str, size: u64| {
        let mut draft = good();
        let mut agent = DeliveryAgentConnector::new(Guid::ZERO, name.clone(), spaces(space), sources(source));
        agent.delivery_protocol = protocol.to_owned();
        agent.max_message_size = Limit::At(ByteSize::bytes(size));
        draft.delivery_agent_connectors.push(agent);
        let mut foreign = ForeignConnector::new(Guid::ZERO, name.clone(), spaces(space), sources(source));
        foreign.max_message_size = Limit::At(ByteSize::bytes(size));
        draft.foreign_connectors.push(foreign);
        lint(&draft).0.into_iter().map(|problem| problem.place).collect::<Vec<_>>()
    };
    let agent = |property: &str| format!("deliveryAgentConnectors[\"Fax\"].{property}");
    let foreign = |property: &str| format!("foreignConnectors[\"Fax\"].{property}");
    let both = |property: &str| vec![agent(property), foreign(property)];
    assert_eq!(problems(&["FAX:*", "fax.example"], &["mail1"], "FAX", 70_000), [""; 0]);
    assert_eq!(problems(&[], &["mail1"], "FAX", 70_000), both("addressSpaces"));
    assert_eq!(problems(&["--"], &["mail1"], "FAX", 70_000), both("addressSpaces"));
    assert_eq!(problems(&["FAX:a", "FAX:A;7"], &["mail1"], "FAX", 70_000), both("addressSpaces")); // SC-65
    assert_eq!(problems(&["X400:c=US;a=x;1", "X400:A=X;C=us;2"], &["mail1"], "X", 70_000), both("addressSpaces"));
    assert_eq!(problems(&["FAX:*"], &[], "FAX", 70_000), both("sourceTransportServers"));
    assert_eq!(problems(&["FAX:*"], &["edge1"], "FAX", 70_000), both("sourceTransportServers"));
    assert_eq!(problems(&["FAX:*"], &["nobody"], "FAX", 70_000), both("sourceTransportServers"));
    for protocol in ["", " ", "FAX ", "F\nX", &"x".repeat(65)] {
        assert_eq!(problems(&["FAX:*"], &["mail1"], protocol, 70_000), [agent("deliveryProtocol")], "{protocol:?}");
    }
    assert_eq!(problems(&["FAX:*"], &["mail1"], "FAX", 0), [agent("maxMessageSize"), foreign("maxMessageSize")]);
    assert!(!Organization::validate(good(), envelope::Revision(1)).unwrap().connectors().any(|c| c.is_scoped()));
}

#[test]
fn a_drop_directory_is_a_folder_right_below_another_one() {
    // EN-64
    let problems = |name: &str, directory: Option<&str>| {
        let mut draft = good();
        let (space, source) = ("FAX:*".parse().unwrap(), ServerName::parse("mail1").unwrap());
        let mut foreign =
            ForeignConnector::new(Guid::ZERO, ObjectName::parse(name).unwrap(), vec![space], vec![source]);
        foreign.drop_directory = directory.map(str::to_owned);
        draft.foreign_connectors.push(foreign);
        lint(&draft).0.len()
    };
    for good in [None, Some("berlin"), Some("Fax Büro"), Some("..fax"), Some("C:\\Drop"), Some("/drop/fax")] {
        assert_eq!(problems("Fax", good), 0, "{good:?}");
    }
    for bad in ["", ".", "..", "a/b", "../a", "/", "/drop/", "/drop/..", "a\nb"] {
        assert_eq!(problems("Fax", Some(bad)), 1, "{bad:?}");
    }
    assert_eq!((problems("Fax/Berlin", None), problems("Fax/Berlin", Some("berlin"))), (1, 0));
}

#[test]
fn an_edge_server_sends_for_the_accepted_domains() {
    // V-7, SC-64: what is wrong elsewhere is right there; V-10, V-24: a warning, and nothing.
    let edge = after(|c| {
        c.source_transport_servers = vec![ServerName::parse("edge1").unwrap()];
        c.address_spaces = vec!["--".parse().unwrap()];
        c.source_ip_address = Some("10.0.0.9".parse().unwrap()); // V-17
    });
    assert_eq!(edge, []);
}

#[test]
fn an_internal_relay_domain_that_would_go_round_by_an_edge_server_is_told() {
    // EN-83
    let edge = || vec![ServerName::parse("edge1").unwrap()];
    let connector = |name: &str, space: &str, sources| {
        let name = ObjectName::parse(name).unwrap();
        SendConnector::new(
            Guid::derived("c", name.as_str()),
            name,
            Usage::Custom,
            vec![space.parse().unwrap()],
            sources,
        )
    };
    let told = |connectors: &[SendConnector]| {
        let mut draft = good();
        draft.accepted_domains[0].domain_type = AcceptedDomainType::InternalRelay;
        draft.send_connectors = connectors.to_vec();
        let places = lint(&draft).0.into_iter().filter(|one| one.text.contains("loop")).map(|one| one.place);
        places.collect::<Vec<_>>()
    };
    let (inward, outward) = (connector("In", "--", edge()), connector("Out", "*", edge()));
    let mail1 = vec![ServerName::parse("mail1").unwrap()];
    assert_eq!(told(&[inward.clone(), outward.clone()]), ["acceptedDomains[\"Internet\"].domainType"]);
    assert_eq!(told(std::slice::from_ref(&outward)), Vec::<String>::new(), "nothing comes back");
    for own in [connector("Own", "contoso.com", mail1.clone()), connector("Own", "*.com", mail1.clone())] {
        assert_eq!(told(&[inward.clone(), outward.clone(), own]), Vec::<String>::new());
    }
    let others = connector("Other", "*", mail1);
    assert_eq!(told(&[inward, outward, others]), Vec::<String>::new(), "it may go by a Mailbox server");
}

#[test]
fn what_nobody_should_write_is_followed_when_it_is_stored() {
    let mut draft = good();
    draft.send_connectors[0].dns_routing_enabled = false;
    draft.send_connectors[0].smart_hosts = vec!["300.1.1.1".parse().unwrap()];
    draft.send_connectors[0].source_transport_servers.push(ServerName::parse("MAIL1").unwrap());
    assert_eq!(lint(&draft), Problems::default());
    let places: Vec<String> = written(&draft).0.into_iter().map(|problem| problem.place).collect();
    let place = |property: &str| format!("sendConnectors[\"Internet\"].{property}");
    assert_eq!(places, [place("smartHosts"), place("sourceTransportServers")]);
}

#[test]
fn en_72_an_x400_domain_answers_for_what_has_all_of_its_attributes() {
    let domain = |name: &str, text: &str, external_relay| X400AuthoritativeDomain {
        guid: Guid::ZERO,
        name: ObjectName::parse(name).unwrap(),
        domain: text.parse().unwrap(),
        external_relay,
    };
    let mut draft = good();
    draft.x400_domains = vec![
        domain("Contoso", "C=US;A=Fabrikam;P=Contoso", false),
        domain("Sales", "c=us;a=fabrikam;p=contoso;o=Sales", true),
        domain("Germany", "C=DE", false),
    ];
    let organization = Organization::validate(draft.clone(), envelope::Revision(1)).unwrap();
    let of = |kind: &str, text: &str| organization.x400_domain(kind, text).map(|domain| domain.name.as_str());
    for (text, expected) in [
        ("C=us;A=fabrikam;P=CONTOSO;S=Ann", Some("Contoso")),
        ("/C=US/A=Fabrikam/P=Contoso/S=Ann", Some("Contoso")),
        // EN-71: the one with most attributes.
        ("o=sales;p=contoso;a=fabrikam;c=us", Some("Sales")),
        ("C=US;A=Fabrikam", None),
        ("C=DE;A=x;P=Contoso", Some("Germany")),
        ("C=FR", None),
    ] {
        assert_eq!(of("X400", text), expected, "{text}");
    }
    assert_eq!(of("FAX", "C=DE"), None);
    draft.x400_domains.push(domain("contoso", "a=FABRIKAM;c=US;p=Contoso", false));
    let places: Vec<String> = lint(&draft).0.into_iter().map(|problem| problem.place).collect();
    assert_eq!(places, ["x400AuthoritativeDomains"; 2], "the name, and the domain");
}

#[test]
fn en_70_an_address_of_ours_is_looked_for_with_its_attributes_in_order() {
    let mut draft = good();
    draft.transport_config.plus_addressing_enabled = true;
    draft.x400_domains = vec![X400AuthoritativeDomain {
        guid: Guid::ZERO,
        name: ObjectName::parse("Contoso").unwrap(),
        domain: "C=US;A=Fabrikam".parse().unwrap(),
        external_relay: false,
    }];
    let organization = Organization::validate(draft, envelope::Revision(1)).unwrap();
    let stand_in = |text: &str| organization.stand_in(&text.parse().unwrap()).map(|address| address.to_string());
    assert_eq!(
        stand_in("IMCEAX400-S=Ann+3BA=Fabrikam+3BC=US@contoso.com").as_deref(),
        Some("IMCEAX400-c=US+3Ba=Fabrikam+3Bs=Ann@contoso.com")
    );
    assert_eq!(stand_in("IMCEAX400-C=US+3BA=Fabrikam+3BS=Ann@contoso.com"), None, "it is in order");
    // In no X.400 domain of ours, which a mailbox may have all the same.
    assert_eq!(stand_in("IMCEAX400-S=Ann+3BC=DE@contoso.com").as_deref(), Some("IMCEAX400-c=DE+3Bs=Ann@contoso.com"));
    // What stands behind its first `+` is no tag (RFC 5233).
    assert_eq!(stand_in("IMCEAFAX-+2B4930@contoso.com"), None);
}

#[test]
fn pl_45_an_address_space_that_no_address_is_in_is_told() {
    let mut draft = good();
    let spaces = ["MS-MAIL:*", "X500:*", "EX:*", "FAX:ü", "FAX:*", "X400:*", "NOTES:a b;1", "X400:c=US;a= ;2"];
    let (spaces, sources) =
        (spaces.map(|one| one.parse().unwrap()).to_vec(), vec![ServerName::parse("mail1").unwrap()]);
    draft.foreign_connectors =
        vec![ForeignConnector::new(Guid::ZERO, ObjectName::parse("Files").unwrap(), spaces, sources)];
    let told = lint(&draft);
    let (texts, places): (Vec<_>, Vec<_>) = told.0.iter().map(|one| (one.text.as_str(), one.place.as_str())).unzip();
    assert_eq!(places, ["foreignConnectors[\"Files\"].addressSpaces"; 4]);
    for (text, expected) in texts.iter().zip(["type MS-MAIL:", "type X500:", "type EX:", "to FAX:ü:"]) {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!told.has_errors());
}

#[test]
fn connectors_of_every_kind_are_found_by_their_identity() {
    let mut draft = good();
    let guid = |text: &str| Guid::derived("connector", text);
    draft.send_connectors[0].guid = guid("send");
    let (spaces, sources) = (vec!["FAX:*".parse().unwrap()], vec![ServerName::parse("mail1").unwrap()]);
    let name = |text: &str| ObjectName::parse(text).unwrap();
    draft.delivery_agent_connectors = vec![DeliveryAgentConnector {
        delivery_protocol: "FAX".to_owned(),
        ..DeliveryAgentConnector::new(guid("agent"), name("Agent"), spaces.clone(), sources.clone())
    }];
    draft.foreign_connectors = vec![ForeignConnector::new(guid("foreign"), name("Files"), spaces, sources)];
    let organization = Organization::validate(draft, envelope::Revision(1)).unwrap();
    let found = |text: &str| organization.connector(guid(text)).map(|connector| connector.name().as_str());
    assert_eq!(["send", "agent", "foreign", "none"].map(found), [Some("Internet"), Some("Agent"), Some("Files"), None]);
    assert!(organization.delivery_agent_connector(guid("foreign")).is_none());
}

#[test]
fn long_addresses_are_taken_by_the_transport_of_a_mailbox_server_alone() {
    // LM-15
    for (server, role, expected) in [
        ("mail1", TransportRole::HubTransport, 0),
        ("mail1", TransportRole::FrontendTransport, 1),
        ("edge1", TransportRole::HubTransport, 1),
    ] {
        let mut draft = good();
        let name = ObjectName::parse("X400").unwrap();
        draft.receive_connectors.push(ReceiveConnector {
            long_addresses_enabled: true,
            bindings: vec!["127.0.0.1:2500".parse().unwrap()],
            ..ReceiveConnector::new(Guid::ZERO, name, ServerName::parse(server).unwrap(), role)
        });
        let told = lint(&draft).0.into_iter().filter(|problem| problem.place.ends_with("longAddressesEnabled"));
        assert_eq!(told.count(), expected, "{server} {role:?}");
    }
}
