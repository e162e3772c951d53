//! The samples: the same connectors in every form that Exchange writes them, in every encoding (IM-01…IM-16).

use envelope::Revision;
use import::{Assumptions, Imported, Verdict, import, organization_file};

fn sample(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    std::fs::read(path).expect("the sample is there")
}

fn read_with(name: &str, octets: Vec<u8>, assumed: &[(&str, &str)]) -> Imported {
    let assumed: Assumptions = assumed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    import(&[(name.to_owned(), octets)], &assumed).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn read(name: &str) -> Imported {
    read_with(name, sample(name), &[])
}

/// The connectors of an import, as the organization file reads them.
fn connectors(mut imported: Imported) -> Vec<topology::SendConnector> {
    let yaml = organization_file(&mut imported);
    let contents = organization::load(&yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    contents.organization.draft().send_connectors.clone()
}

/// What the README of the samples expects.
const EXPECTED: &str = r#"
sites: [{name: Default-First-Site-Name}]
servers:
  - {name: MBX01, fqdn: mbx01.organization.invalid, site: Default-First-Site-Name}
  - {name: MBX02, fqdn: mbx02.organization.invalid, site: Default-First-Site-Name}
sendConnectors:
  - name: To internet
    guid: 6f0f7c3e-52b1-4f0e-9a3c-1d2e3f405060
    addressSpaces: ["SMTP:*;10"]
    sourceTransportServers: [MBX01, MBX02]
    maxMessageSize: 35 MB
    frontendProxyEnabled: true
    useExternalDNSServersEnabled: true
  - name: Outbound to cloud
    guid: 0c5f2f2a-9c1d-4d53-8a55-7a1b2c3d4e5f
    addressSpaces: ["SMTP:contoso.mail.example;1", "SMTP:groups.contoso.example;1"]
    sourceTransportServers: [MBX01]
    smartHosts: [contoso-example.mail.protection.example]
    maxMessageSize: 35 MB
    fqdn: mail.contoso.example
    requireTLS: true
    tlsAuthLevel: CertificateValidation
    tlsCertificateName: "<I>CN=Example Issuing CA 3, OU=Certification Services, O=Example Trust Network, C=US<S>CN=mail.contoso.example, O=Contoso, L=Berlin, C=DE"
    cloudServicesMailEnabled: true
  - name: Partner relay
    guid: b7b1a8f0-3c47-4a6b-8f0d-99aa88bb77cc
    addressSpaces: ["SMTP:partner.example;1", "SMTP:*.partner.example;5", "X400:c=US;a=Fabrikam;P=Contoso;5"]
    sourceTransportServers: [MBX02]
    enabled: false
    isScopedConnector: true
    smartHosts: ["[192.0.2.10]", relay.partner.example]
    smartHostAuthMechanism: BasicAuthRequireTLS
    authenticationCredential: {user: contoso, passwordEnvironment: POSTROAD_PASSWORD_PARTNER_RELAY}
    requireTLS: true
    tlsAuthLevel: DomainValidation
    tlsDomain: relay.partner.example
    maxMessageSize: unlimited
    errorPolicies: [DowngradeDnsFailures]
    protocolLoggingLevel: Verbose
    comment: 'Fax & partner, "old" account'
"#;

fn expected() -> Vec<topology::SendConnector> {
    organization::load(EXPECTED, Revision(1)).expect("a good file").organization.draft().send_connectors.clone()
}

#[test]
fn every_form_gives_the_same_connectors() {
    for (name, count, has_guids, assumed) in [
        ("send-connectors.clixml", 2, true, &[][..]),
        ("send-connectors.local.json", 2, true, &[("maxMessageSize", "35MB")][..]),
        ("send-connectors.remote.json", 3, true, &[]),
        ("send-connectors.joined.csv", 3, true, &[]),
        ("send-connectors.format-list.txt", 3, false, &[]),
    ] {
        let mut found = connectors(read_with(name, sample(name), assumed));
        let mut wanted = expected()[..count].to_vec();
        for (one, other) in found.iter_mut().zip(&mut wanted) {
            if !has_guids {
                one.guid = other.guid;
            }
            assert_eq!(one, other, "{name}");
        }
        assert_eq!(found.len(), count, "{name}");
    }
}

#[test]
fn the_encoding_of_a_file_does_not_matter() {
    // IM-01
    for name in [
        "send-connectors.clixml",
        "send-connectors.remote.json",
        "send-connectors.joined.csv",
        "send-connectors.format-list.txt",
        "receive-connector.local.json",
    ] {
        let plain = read(name);
        let text = String::from_utf8(sample(name)).unwrap();
        let text = text.trim_start_matches('\u{feff}');
        let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let wide: Vec<u8> = [0xFEFF].into_iter().chain(lines.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let marked: Vec<u8> = [0xEF, 0xBB, 0xBF].into_iter().chain(text.bytes()).collect();
        assert_eq!(read_with(name, wide, &[]), plain, "{name}");
        assert_eq!(read_with(name, marked, &[]), plain, "{name}");
    }
}

fn said(imported: &Imported, verdict: Verdict, words: &[&str]) -> bool {
    imported.report.0.iter().any(|finding| {
        let text = finding.to_string();
        finding.verdict == verdict && words.iter().all(|word| text.contains(word))
    })
}

#[test]
fn what_is_lost_is_told_with_its_place_and_never_guessed() {
    // IM-06, IM-10
    let local = read("send-connectors.local.json");
    assert!(local.report.has_losses());
    assert!(
        said(&local, Verdict::Lost, &["To internet", "maxMessageSize", "--assume", "local.json:"]),
        "{}",
        local.report
    );
    let line = local.report.0.iter().find(|finding| finding.verdict == Verdict::Lost).unwrap().line;
    let text = String::from_utf8(sample("send-connectors.local.json")).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("MaxMessageSize"), "line {line}");
    let assumed = read_with("x", sample("send-connectors.local.json"), &[("maxMessageSize", "35MB")]);
    assert!(
        !assumed.report.has_losses() && said(&assumed, Verdict::Assumed, &["maxMessageSize is 35MB"]),
        "{}",
        assumed.report
    );

    let lossy = read("send-connectors.lossy.csv");
    assert!(said(&lossy, Verdict::Lost, &["addressSpaces", "System.Collections.ArrayList"]), "{}", lossy.report);
    assert!(lossy.objects.is_empty(), "no connector is written");

    let receive = read("receive-connector.local.json");
    assert!(said(&receive, Verdict::Lost, &["maxHeaderSize"]) && said(&receive, Verdict::Lost, &["maxMessageSize"]));
}

#[test]
fn what_is_not_taken_as_it_was_is_told() {
    let clixml = read("send-connectors.clixml");
    assert!(!clixml.report.has_losses(), "{}", clixml.report);
    assert!(said(&clixml, Verdict::Assumed, &["usage", "Custom"])); // IM-13
    assert!(said(&clixml, Verdict::Changed, &["Outbound to cloud", "SMTP:"])); // IM-04
    assert!(said(&clixml, Verdict::Ignored, &["Region", "CertificateSubject", "ConnectedDomains", "HomeMtaServerId"])); // IM-02
    let remote = read("send-connectors.remote.json");
    assert!(said(&remote, Verdict::Assumed, &["POSTROAD_PASSWORD_PARTNER_RELAY"])); // IM-14
    assert!(!remote.report.to_string().contains("13"), "nothing is said of a password: {}", remote.report);
    let joined = read("send-connectors.joined.csv");
    assert!(said(&joined, Verdict::Assumed, &["neither its user nor its password"]), "{}", joined.report);
}

#[test]
fn a_receive_connector_is_read_from_its_numbers() {
    // IM-08, IM-16
    let assumed = [("maxHeaderSize", "256KB"), ("maxMessageSize", "36MB")];
    let mut imported = read_with("r.json", sample("receive-connector.local.json"), &assumed);
    let yaml = organization_file(&mut imported);
    let contents = organization::load(&yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    let draft = contents.organization.draft();
    let connector = draft.receive_connectors.iter().find(|one| one.name.as_str() == "Default Frontend MBX01").unwrap();
    let words = |all: &mut dyn Iterator<Item = &'static str>| all.collect::<Vec<_>>().join(", ");
    let mechanisms = words(&mut connector.auth_mechanism.iter().map(|one| one.as_str()));
    assert_eq!(mechanisms, "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer");
    let groups = words(&mut connector.permission_groups.iter().map(|one| one.as_str()));
    assert_eq!(groups, "AnonymousUsers, ExchangeServers, ExchangeLegacyServers");
    assert_eq!((connector.max_hop_count, connector.max_local_hop_count), (60, 5));
    assert_eq!(connector.bindings.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[::]:25", "0.0.0.0:25"]);
    assert_eq!(connector.protocol_logging_level.as_str(), "Verbose");
    assert_eq!(connector.remote_ip_ranges.len(), 2);
}

#[test]
fn other_objects_become_one_organization() {
    // IM-17…IM-20
    let files = [
        (
            "d.json",
            r#"[{"Name":"Contoso","DomainName":{"Domain":"contoso.com","Address":"contoso.com"},"DomainType":0,"Default":true,"AddressBookEnabled":false},
            {"Name":"Wild","DomainName":"partners.example","DomainType":"InternalRelay","MatchSubDomains":true,"Default":false,"AddressBookEnabled":true}]"#,
        ),
        (
            "s.txt",
            "Name               : Berlin\nHubSiteEnabled     : True\nInboundMailEnabled : True\n\nName               : Paris\nHubSiteEnabled     : False\nInboundMailEnabled : True\n",
        ),
        (
            "l.csv",
            "\"Name\",\"ADCost\",\"ExchangeCost\",\"Cost\",\"MaxMessageSize\",\"Sites\"\n\"BP\",\"10\",\"5\",\"5\",\"Unlimited\",\"Berlin|Paris\"\n",
        ),
        (
            "x.json",
            r#"{"Name":"MBX01","Fqdn":"mbx01.contoso.com","Site":"contoso.com/Configuration/Sites/Berlin","ServerRole":2,"IsEdgeServer":false}"#,
        ),
        (
            "t.json",
            r#"{"Name":"MBX01","MaxPerDomainOutboundConnections":"40","MessageExpirationTimeout":"4.00:00:00","MaxOutboundConnections":"Unlimited"}"#,
        ),
        (
            "c.json",
            r#"{"MaxRecipientEnvelopeLimit":"500","MaxSendSize":"20 MB (20,971,520 bytes)","MaxReceiveSize":"Unlimited"}"#,
        ),
        (
            "m.json",
            r#"[{"Name":"Bob","ExternalEmailAddress":"SMTP:bob@fabrikam.com","PrimarySmtpAddress":"bob@contoso.com","EmailAddresses":["SMTP:bob@contoso.com","smtp:b@contoso.com","X500:/o=x","X400:s=Bob;c=US;a= ;p=Contoso;","SIP:bob@contoso.com"]},
                {"Name":"Fax","ExternalEmailAddress":"FAX:+4930123456","PrimarySmtpAddress":"fax@contoso.com"}]"#,
        ),
    ];
    let files: Vec<(String, Vec<u8>)> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let mut imported = import(&files, &Assumptions::new()).unwrap();
    assert!(!imported.report.has_losses(), "{}", imported.report);
    let yaml = organization_file(&mut imported);
    let contents = organization::load(&yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    let draft = contents.organization.draft();
    assert_eq!(draft.servers.len(), 1);
    assert_eq!(draft.servers[0].transport.message_expiration_timeout.to_string(), "4.00:00:00");
    assert_eq!(draft.servers[0].site.as_str(), "Berlin");
    assert_eq!(draft.site_links[0].exchange_cost.unwrap().get(), 5);
    assert_eq!(draft.accepted_domains[1].domain.to_string(), "*.partners.example");
    // EN-73: in the default domain, which comes in another file.
    let proxies: Vec<_> = contents.recipients[0].proxy_addresses.iter().map(ToString::to_string).collect();
    let expected =
        ["b@contoso.com", "IMCEAEX-_o=x@contoso.com", "IMCEAX400-c=US+3Ba=+20+3Bp=Contoso+3Bs=Bob@contoso.com"];
    assert_eq!(proxies, expected);
    assert!(imported.report.to_string().contains("SIP:bob@contoso.com: no mail address"), "{}", imported.report);
    // EN-80, EN-82
    assert!(!draft.accepted_domains[0].address_book_enabled && draft.accepted_domains[1].address_book_enabled);
    assert!(yaml.contains("\"bob@fabrikam.com\"") && yaml.contains("\"FAX:+4930123456\""), "{yaml}");
    assert!(draft.sites.iter().any(|site| site.hub_site_enabled && site.name.as_str() == "Berlin"));
}

#[test]
fn what_is_no_export_says_so() {
    for (text, why) in [
        ("hello", "neither"),
        ("<Objs><Obj>", "no end"),
        ("<Objs><!DOCTYPE x></Objs>", ""),
        ("[1]", "no object"),
        ("Name    : X\nSites   : {a, b...}\n", "FormatEnumerationLimit"),
    ] {
        let read = import(&[("f".to_owned(), text.as_bytes().to_vec())], &Assumptions::new());
        if !why.is_empty() {
            assert!(read.clone().unwrap_err().contains(why), "{text}: {read:?}");
        }
    }
}

#[test]
fn postfix_becomes_connectors_and_domains() {
    let main = "\
myhostname = mail.contoso.com
mydomain = contoso.com
mydestination = $mydomain, localhost
relay_domains = .branch.example
relayhost = [relay.isp.example]:587
transport_maps = hash:/etc/postfix/transport
smtp_tls_policy_maps = hash:/etc/postfix/tls
smtp_tls_security_level = may
sender_dependent_relayhost_maps = hash:/etc/postfix/sender
queue_minfree = 1
";
    let map = |path: &str| match path {
        "/etc/postfix/transport" => Some(
            "fabrikam.com relay:[mx.fabrikam.com]\n.old.example smtp:\nlist@x.example smtp:a\nfax.example uucp:x\n"
                .to_owned(),
        ),
        "/etc/postfix/tls" => Some("[mx.fabrikam.com] secure match=x\nrelay.isp.example encrypt\n".to_owned()),
        _ => None,
    };
    let mut imported = import::postfix(main, "MAIL1", &map);
    let report = imported.report.to_string();
    for words in ["sender_dependent_relayhost_maps", "list@x.example", "uucp:x", "queue_minfree", "localhost"] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let yaml = organization_file(&mut imported);
    let contents = organization::load(&yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    let draft = contents.organization.draft();
    let named = |name: &str| draft.send_connectors.iter().find(|one| one.name.as_str() == name).unwrap();
    let all = named("To everybody else");
    assert_eq!((all.smart_host_list(), all.port, all.require_tls), ("relay.isp.example".to_owned(), 587, true));
    let partner = named("To fabrikam.com");
    assert_eq!(partner.tls_domain.as_ref().unwrap().to_string(), "mx.fabrikam.com");
    assert!(named("To .old.example").dns_routing_enabled);
    assert_eq!(
        draft.accepted_domains.iter().map(|one| one.domain.to_string()).collect::<Vec<_>>(),
        ["contoso.com", "*.branch.example"]
    );
}

#[test]
fn what_is_not_for_smtp_comes_along_as_itself_and_a_subscription_is_made_anew() {
    // EN-12, EN-57, EN-63
    let files = [
        (
            "servers.json",
            r#"[{"Name":"MBX01","Fqdn":"mbx01.contoso.com","Site":"contoso.com/Configuration/Sites/Berlin","ServerRole":"Mailbox"},
                {"Name":"EDGE1","Fqdn":"edge1.contoso.com","Site":"contoso.com/Configuration/Sites/Berlin","ServerRole":"Edge"}]"#,
        ),
        ("sites.json", r#"{"Name":"Berlin","HubSiteEnabled":false}"#),
        (
            "domains.json",
            r#"{"Name":"Contoso","DomainName":"contoso.com","DomainType":"Authoritative","Default":true}"#,
        ),
        (
            "foreign-connectors.json",
            r#"{"Name":"Fax","AddressSpaces":["FAX:*;1"],"SourceTransportServers":["MBX01"],"DropDirectory":"C:\\Drop\\Fax",
                "DropDirectoryQuota":"Unlimited","RelayDsnRequired":true,"Enabled":true,"MaxMessageSize":"Unlimited"}"#,
        ),
        (
            "delivery-agent-connectors.json",
            r#"{"Name":"Pager","AddressSpaces":["PAGER:*;1"],"SourceTransportServers":["MBX01"],"DeliveryProtocol":"PAGER",
                "MaxConcurrentConnections":7,"Enabled":true}"#,
        ),
        ("x400.json", r#"{"Name":"X","X400DomainName":"C=US;A=Fabrikam;P=Contoso","X400ExternalRelay":false}"#),
        (
            "send-connectors.json",
            r#"[{"Name":"EdgeSync - Inbound to Berlin","AddressSpaces":["smtp:--;1"],"SmartHosts":["--"],"DNSRoutingEnabled":false,
                 "SmartHostAuthMechanism":"ExchangeServer","SourceTransportServers":["EDGE1"]},
                {"Name":"EdgeSync - Berlin to Internet","AddressSpaces":["smtp:*;100"],"SmartHosts":[],"DNSRoutingEnabled":true,
                 "SourceTransportServers":["EDGE1"]}]"#,
        ),
        (
            "edge-subscriptions.json",
            r#"{"Name":"EDGE1","Site":"contoso.com/Configuration/Sites/Berlin","Domain":"contoso.com"}"#,
        ),
    ];
    let files: Vec<(String, Vec<u8>)> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let mut imported = import(&files, &Assumptions::new()).unwrap();
    let report = imported.report.to_string();
    for said in ["servers[\"EDGE1\"]", "subscribe the Edge server anew", "not in C:\\Drop"] {
        assert!(report.contains(said), "{said}: {report}");
    }
    let yaml = organization_file(&mut imported);
    let contents = organization::load(&yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    let draft = contents.organization.draft();
    assert_eq!(draft.send_connectors.len(), 2, "{yaml}");
    assert_eq!(draft.foreign_connectors[0].drop_directory.as_deref(), Some("Fax"), "{yaml}");
    assert!(draft.foreign_connectors[0].relay_dsn_required);
    assert_eq!(draft.delivery_agent_connectors[0].delivery_protocol.to_string(), "PAGER");
    assert_eq!(draft.x400_domains.len(), 1);
    assert_eq!(draft.servers.iter().filter(|server| format!("{:?}", server.role) == "Edge").count(), 1);
}
