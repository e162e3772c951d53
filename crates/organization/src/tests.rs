//! The organization file from outside: what it accepts, what it says about mistakes, and that nothing is lost.

mod arbitrary;

use envelope::Revision;
use proptest::prelude::*;
use topology::send_connector::Usage;
use topology::{Organization, RecipientKind};

use crate::{Document, Kind, WithoutSecrets, assemble, decode, encode, load, object_of, objects, plan, properties_of};

const TWO_SITES: &str = r#"
sites:
  - {name: Berlin, subnets: [10.1.0.0/16]}
  - {name: "1"}
siteLinks:
  - {name: Berlin-1, sites: [Berlin, "1"], cost: 50, exchangeCost: 10, maxMessageSize: 10MB}
servers:
  - {name: mail1, fqdn: mail1.contoso.com, site: berlin, dag: DAG1, transport: {internalDNSServers: [10.0.0.53], resolverRetryInterval: 00:30:00}}
  - {name: mail2, fqdn: mail2.contoso.com, site: 1, role: Mailbox, transport: {resolverRetryInterval: 00:30:00}}
dags: [{name: DAG1}]
databases:
  - {name: DB1, dag: DAG1, activeOn: mail1}
  - {name: DB2, server: mail2}
acceptedDomains:
  - {name: contoso, domainName: contoso.com, default: true}
sendConnectors:
  - {name: Internet, usage: Internet, addressSpaces: ["SMTP:*;1"], sourceTransportServers: [mail1]}
  - name: Partner
    addressSpaces: [fabrikam.com]
    sourceTransportServers: [mail2]
    smartHosts: ["[192.0.2.1]", relay.fabrikam.com]
    smartHostAuthMechanism: BasicAuthRequireTLS
    authenticationCredential: {user: postroad, password: hunter2}
    requireTLS: true
deliveryAgentConnectors:
  - {name: X400, addressSpaces: ["X400:c=US;a=Fabrikam;5"], deliveryProtocol: X.400, sourceTransportServers: [mail1]}
foreignConnectors:
  - {name: Fax, addressSpaces: ["FAX:*"], sourceTransportServers: [mail2], dropDirectory: /var/spool/fax}
receiveConnectors:
  - {name: Default Frontend mail1, server: mail1, bindings: ["0.0.0.0:25"], permissionGroups: [AnonymousUsers],
     authMechanism: [Tls], protocolLoggingLevel: None}
transportConfig: {maxSendSize: unlimited}
recipients:
  - {name: alice, address: alice@contoso.com, proxyAddresses: [a@contoso.com], database: DB1, password: secret}
  - {name: Bob, address: bob@contoso.com, externalAddress: bob@fabrikam.com}
  - {name: all, address: all@contoso.com, members: [alice@contoso.com, bob@contoso.com], expansionServer: mail1}
"#;

#[test]
fn a_whole_file_becomes_an_organization() {
    let contents = load(TWO_SITES, Revision(7)).unwrap_or_else(|problems| panic!("{problems}"));
    let organization = &contents.organization;
    assert_eq!(organization.revision(), Revision(7));
    let warnings: Vec<String> = contents.warnings.0.iter().map(ToString::to_string).collect();
    let expected = [
        "33:1: warning: recipients: no recipient has the address postmaster@contoso.com, where others report trouble (RFC 5321 \
         §4.5.1)",
    ];
    assert_eq!(warnings, expected);
    let [internet, partner] = organization.send_connectors() else { panic!("two connectors") };
    assert_eq!((internet.usage, internet.dns_routing_enabled), (Usage::Internet, true));
    assert!(!partner.dns_routing_enabled && partner.authentication_credential.is_some()); // V-2, V-9
    assert_eq!(partner.smart_host_list(), "[192.0.2.1],relay.fabrikam.com");
    assert_eq!(organization.servers()[0].transport.internal_dns_servers, ["10.0.0.53:53".parse().unwrap()]);
    assert_eq!(internet.guid, Kind::SendConnector.derived_guid("INTERNET"));
    let [agent] = organization.delivery_agent_connectors() else { panic!("one connector") };
    assert_eq!((agent.delivery_protocol.as_str(), agent.max_concurrent_connections), ("X.400", 5)); // EN-57
    let [fax] = organization.foreign_connectors() else { panic!("one connector") };
    assert_eq!((fax.drop_directory.as_deref(), fax.relay_dsn_required), (Some("/var/spool/fax"), false)); // EN-63
    assert!(matches!(contents.recipients[2].kind, RecipientKind::DistributionGroup { .. }));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_position() {
    let text = "sites:\n\
                - {name: Berlin, hubSite: true}\n\
                - {subnets: [10.0.0.0/99, x]}\n\
                sendConnectors:\n\
                - name: Internet\n  addressSpaces: [contoso..com, 'x;0']\n  smartHost: [a.example]\n  port: 99999\n\
                recipients:\n\
                - {name: alice, address: alice@contoso.com}\n";
    let problems = Document::parse(text).unwrap().to_draft(&WithoutSecrets).unwrap_err();
    let lines: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    let expected = [
        "2:18: error: sites[\"Berlin\"].hubSite: there is no such property; there are name, guid, hubSiteEnabled, \
         inboundMailEnabled, subnets",
        "3:3: error: sites[1].name: it must be given",
        "3:14: error: sites[1].subnets[0]: \"10.0.0.0/99\" is no address range: write an address, first-last, or \
         address/prefix",
        "3:27: error: sites[1].subnets[1]: \"x\" is no address range: write an address, first-last, or address/prefix",
        "5:3: error: sendConnectors[\"Internet\"].sourceTransportServers: a connector needs at least one source server",
        "6:19: error: sendConnectors[\"Internet\"].addressSpaces[0]: \"contoso..com\": an SMTP address space is *, \
         *.domain, domain or --",
        "6:33: error: sendConnectors[\"Internet\"].addressSpaces[1]: \"x;0\" is not an address space such as \
         \"SMTP:*;1\": \"0\": a cost is a whole number from 1 to 100",
        "7:3: error: sendConnectors[\"Internet\"].smartHost: there is no such property; did you mean smartHosts?",
        "8:9: error: sendConnectors[\"Internet\"].port: \"99999\" is not a whole number from 0 to 65535",
        "10:3: error: recipients[\"alice\"]: a recipient has either a database (mailbox), an externalAddress (contact) \
         or members (group)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn one_run_finds_everything_that_is_wrong() {
    // Syntax, sections, forms and references.
    let text = "sites: [{name: Berlin}]\n\
                sitelinks: []\n\
                servers:\n\
                - {name: mail1, fqdn: mail1.contoso.com, site: Bern}\n\
                - {name: mail2, fqdn: mail2..contoso.com, site: Paris, transport: {transientFailureRetryCount: 16}}\n\
                databases:\n\
                - {name: DB1, server: mail1, dag: D}\n\
                - {name: DB2, server: mail3}\n\
                recipients:\n\
                - {name: alice, address: alice@contoso.com, database: DB1}\n\
                - {name: bob, address: bob@contoso.com, database: DB2}\n\
                - {name: carol, address: carol@contoso.com, database: DB3}\n";
    let lines = |text: &str| {
        let problems = load(text, Revision(1)).unwrap_err();
        problems.0.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = [
        "2:1: error: sitelinks: there is no such section; did you mean siteLinks?",
        "4:42: error: servers[\"mail1\"].site: there is no site Bern",
        "5:23: error: servers[\"mail2\"].fqdn: \"mail2..contoso.com\" is not a domain name: a domain name has an empty \
         label (check for a leading, trailing or double dot)",
        "5:43: error: servers[\"mail2\"].site: there is no site Paris",
        "5:96: error: servers[\"mail2\"].transport.transientFailureRetryCount: it is 0 to 15",
        "7:3: error: databases[\"DB1\"]: a database is either on a server (server) or in a DAG (dag and activeOn)",
        "8:3: error: databases[\"DB2\"]: there is no server mail3",
        "12:45: error: recipients[\"carol\"].database: there is no database DB3",
    ];
    assert_eq!(lines(text), expected);
    // A section that is no YAML may hold what the others refer to: those are checked by themselves only.
    let broken = text.replace("sites: [{name: Berlin}]", "sites: [{name: Berlin]");
    let broken = lines(&broken);
    assert!(broken[0].starts_with("1:9: error: mismatched bracket"), "{broken:?}");
    assert_eq!(broken[1..], [expected[0], expected[2], expected[4], expected[5]]);
}

#[test]
fn one_domain_in_several_spellings_is_one_in_every_comparison() {
    let text = TWO_SITES
        .replace("domainName: contoso.com", "domainName: MÜLLER.example")
        .replace("bob@contoso.com, ext", "bob@xn--mller-kva.example, ext");
    let contents = load(&text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    let organization = &contents.organization;
    for spelling in ["müller.example", "mu\u{308}ller.example", "xn--mller-kva.example"] {
        assert!(organization.is_authoritative(&spelling.parse().unwrap()), "{spelling}");
    }
    let yaml = Document::from_draft(organization.draft(), &contents.recipients).to_yaml();
    assert!(yaml.contains("domainName: müller.example") && yaml.contains("bob@xn--mller-kva.example"), "{yaml}");
    let twice = text.replace("default: true}", "default: true}\n  - {name: other, domainName: xn--mller-kva.example}");
    let problems = load(&twice, Revision(1)).unwrap_err().to_string();
    assert!(problems.contains("acceptedDomains: ") && problems.contains("is there more than once"), "{problems}");
    let taken = text.replace("a@contoso.com", "bob@mu\u{308}ller.example");
    let problems = load(&taken, Revision(1)).unwrap_err().to_string();
    assert!(problems.contains("bob@xn--mller-kva.example belongs to alice already"), "{problems}");
}

#[test]
fn an_address_of_another_type_is_one_in_the_default_domain_alone() {
    // PL-45, EN-70, EN-82
    let said = |proxies: &str| {
        let text = TWO_SITES
            .replace("default: true}", "default: true}\n  - {name: old, domainName: old.example, type: ExternalRelay}")
            .replace("proxyAddresses: [a@contoso.com", &format!("proxyAddresses: [{proxies}"));
        let contents = load(&text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        let looked_up: Vec<bool> =
            contents.organization.accepted_domains().iter().map(|domain| domain.address_book_enabled).collect();
        assert_eq!(looked_up, [true, false]);
        contents.warnings.to_string()
    };
    let old = "IMCEAFAX-5@old.example is no address of another type: only those of contoso.com are";
    assert!(said("IMCEAFAX-5@old.example").contains(old));
    assert!(!said("IMCEAFAX-5@old.example, imceafax-5@contoso.com").contains(old));
    assert!(!said("IMCEAFAX-5@elsewhere.example, IMCEAFAX-6@contoso.com").contains("IMCEAFAX"));
    assert!(said("IMCEAFAX-+35@contoso.com").contains("write it as it is looked for: IMCEAFAX-5@contoso.com"));
}

#[test]
fn a_file_in_another_encoding_says_where() {
    let latin = b"sites:\n- {name: M\xfcnchen}\n".to_vec();
    let problems = crate::text_of(latin).unwrap_err().to_string();
    assert_eq!(problems, "2:11: error: the octet 0xFC here is not UTF-8; save the file in that encoding");
}

/// What is said of a file in which `from` is replaced by `to`: all of it in one text.
fn said(from: &str, to: &str) -> String {
    assert!(TWO_SITES.contains(from), "{from}");
    match load(&TWO_SITES.replace(from, to), Revision(1)) {
        Ok(contents) => contents.warnings.to_string(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    for (from, to, expected) in [
        ("relay.fabrikam.com]", "300.1.1.1]", "smartHosts: \"300.1.1.1\" is neither an IP address nor a name in DNS"),
        ("relay.fabrikam.com]", "10.0.0]", "smartHosts: \"10.0.0\" is neither an IP address nor a name in DNS"),
        (
            "relay.fabrikam.com]",
            "'relay.fabrikam.com:587']",
            "write \"relay.fabrikam.com\", and port: 587 of the connector",
        ),
        ("fqdn: mail2.contoso.com", "fqdn: 192.0.2", "servers[\"mail2\"].fqdn: \"192.0.2\" is neither"),
        ("[fabrikam.com]", "[10.1.1.1]", "addressSpaces: \"10.1.1.1\" is neither"), // SC-65
        (
            "sourceTransportServers: [mail2]\n    smart",
            "sourceTransportServers: [mail2, MAIL2]\n    smart",
            "MAIL2 is there more than once",
        ),
        ("expansionServer: mail1", "expansionServer: nobody", "there is no server nobody"),
        ("requireTLS: true", "isCoexistenceConnector: true", "isCoexistenceConnector is not available any more"), // SC-125, V-23
        ("requireTLS: true", "linkedReceiveConnector: x", "name the connector's addressSpaces"), // SC-126, V-23
        ("requireTLS: true", "LinkedReceive: x", "there is no such property"),                   // SC-127
        ("requireTLS: true", "{requireTLS: true", "24:5: error: unclosed bracket"),
        ("requireTLS: true", "tlsAuthLevel: EncryptionOnly", "tlsAuthLevel: it needs requireTLS: true"), // V-12
        (
            "smartHostAuthMechanism: BasicAuthRequireTLS",
            "ignoreSTARTTLS: true\n    tlsAuthLevel: EncryptionOnly",
            "tlsAuthLevel: it needs ignoreSTARTTLS: false: without STARTTLS there is no certificate", // V-12
        ),
        (
            "sites: [Berlin, \"1\"]",
            "sites: [Berlin, Berlin]",
            "siteLinks[\"Berlin-1\"].sites: a site link joins two or more",
        ),
        ("siteLinks:\n  - {name: Berlin-1", "dummy:\n  - {name: Berlin-1", "there is no such section"),
        ("- {name: Bob,", "- {name: \"B\\u202Eob\",", "].name: \"B\\u{202e}ob\" is not a name: 1 to 64"),
        ("requireTLS: true", "requireTLS: true\n    requireTls: true", "requireTLS: it is given twice"),
    ] {
        let said = said(from, to);
        assert!(said.contains(expected), "{to}: {said}");
    }
}

#[test]
fn good_defaults_and_what_is_probably_not_meant() {
    // SC-84: a source server by its name in DNS.
    let by_fqdn = TWO_SITES.replace(
        "sourceTransportServers: [mail2]\n    smart",
        "sourceTransportServers: [MAIL2.contoso.com]\n    smart",
    );
    let contents = load(&by_fqdn, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(contents.organization.send_connectors()[1].source_transport_servers[0].as_str(), "mail2");
    // The only accepted domain is the default one.
    let contents =
        load(&TWO_SITES.replace(", default: true", ""), Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(contents.organization.default_domain().map(|domain| domain.as_str()), Some("contoso.com"));
    for (from, to, expected) in [
        ("sites: [Berlin, \"1\"], cost", "sites: [Berlin, Oslo], cost", "there is no site Oslo"),
        ("transportConfig: {", "transportConfig: {", "no recipient has the address postmaster@contoso.com"),
        (
            "- {name: \"1\"}",
            "- {name: \"1\"}\n  - {name: Oslo, hubSiteEnabled: true}",
            "a hub site needs a Mailbox server",
        ),
    ] {
        let said = said(from, to);
        assert!(said.contains(expected), "{to}: {said}");
    }
    let edge = "role: Mailbox}\n  - {name: edge1, fqdn: edge1.contoso.com, site: 1, role: Edge}";
    let edge = TWO_SITES
        .replace("role: Mailbox, transport: {resolverRetryInterval: 00:30:00}}", edge)
        .replace("expansionServer: mail1", "expansionServer: edge1");
    let refused = load(&edge, Revision(1)).unwrap_err().to_string();
    assert!(refused.contains("expansionServer: edge1 is an Edge server"), "{refused}"); // RT-72
    let start = TWO_SITES.find("siteLinks:").unwrap();
    let end = TWO_SITES.find("servers:").unwrap();
    let without_links = load(&(TWO_SITES[..start].to_owned() + &TWO_SITES[end..]), Revision(1)).unwrap();
    let warnings = without_links.warnings.to_string();
    assert!(
        warnings.contains("sites[\"Berlin\"]: no site link joins it") && warnings.contains("sites[\"1\"]"),
        "{warnings}"
    );
}

#[test]
fn the_usage_of_a_connector_is_given_once() {
    // SC-21, ER-01
    let of = |text: &str| {
        let (draft, recipients) = Document::parse(text).unwrap().to_draft(&WithoutSecrets).unwrap();
        objects(&draft, &recipients)
    };
    let plan = plan(of(TWO_SITES), of(&TWO_SITES.replace("usage: Internet", "usage: Internal")));
    let refused = plan.refused().to_string();
    assert!(
        refused.contains("sendConnectors[\"Internet\"].usage: it was given when the connector was made"),
        "{refused}"
    );
    assert!(refused.contains("write usage: Internet"), "{refused}");
}

#[test]
fn what_is_stored_out_of_range_is_still_read() {
    let stored =
        r#"{"v":1,"kind":"receiveConnector","object":{"name":"a","server":"s","bindings":[],"maxHopCount":900}}"#;
    assert!(decode(stored.as_bytes()).is_ok());
}

#[test]
fn what_the_linter_finds_gets_its_position() {
    let check = |text: &str, expected: &str| {
        let problems = load(text, Revision(1)).unwrap_err();
        assert!(problems.0.iter().any(|problem| problem.to_string().starts_with(expected)), "{problems}");
    };
    check(
        &TWO_SITES.replace("site: berlin", "site: Bern"),
        "8:44: error: servers[\"mail1\"].site: there is no site Bern",
    );
    let dns = TWO_SITES.replace("    requireTLS: true", "    dnsRoutingEnabled: true");
    check(&dns, "24:5: error: sendConnectors[\"Partner\"].dnsRoutingEnabled");
    let ignore = TWO_SITES.replace("    requireTLS: true", "    ignoreSTARTTLS: true");
    check(&ignore, "24:5: error: sendConnectors[\"Partner\"].ignoreSTARTTLS"); // V-16
    check(&TWO_SITES.replace("database: DB1", "database: DB9"), "34:80: error: recipients[\"alice\"].database"); // recipients
    check(
        &TWO_SITES.replace("bob@contoso.com, ext", "A@contoso.com, ext"),
        "35:17: error: recipients[\"Bob\"].address",
    );
}

#[test]
fn unknown_sections_and_other_shapes_are_refused() {
    let refused = |text: &str| Document::parse(text).unwrap_err().to_string();
    assert_eq!(refused("sitelinks: []"), "1:1: error: sitelinks: there is no such section; did you mean siteLinks?");
    assert!(refused("- a").contains("mapping of sections"));
    assert!(Document::parse("").is_ok());
    let wrong = Document::parse("sites: {name: a}").unwrap().to_draft(&WithoutSecrets).unwrap_err();
    assert!(wrong.to_string().contains("write a list"), "{wrong}");
}

#[test]
fn exported_files_hold_no_defaults_and_no_plain_secrets() {
    let contents = load(TWO_SITES, Revision(1)).unwrap();
    let yaml = Document::from_draft(contents.organization.draft(), &contents.recipients).to_yaml();
    assert!(!yaml.contains("hunter2") && !yaml.contains("guid") && !yaml.contains("inboundMailEnabled"), "{yaml}");
    let again = load(&yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    assert_eq!(again.organization.draft(), contents.organization.draft());
    assert_eq!(again.recipients, contents.recipients);
}

#[test]
fn a_plan_of_a_million_changes_is_small_beside_the_objects() {
    assert!(size_of::<crate::Change>() <= 5 * size_of::<usize>(), "{}", size_of::<crate::Change>());
}

#[test]
fn a_plan_reads_like_one() {
    let (draft, recipients) = Document::parse(TWO_SITES).unwrap().to_draft(&WithoutSecrets).unwrap();
    let current = objects(&draft, &recipients);
    assert!(plan(current.clone(), current.clone()).is_empty());
    let wanted = TWO_SITES
        .replace("cost: 50, exchangeCost: 10, ", "cost: 50, ")
        .replace(
            "{internalDNSServers: [10.0.0.53], resolverRetryInterval: 00:30:00}",
            "{messageRetryInterval: 00:01:00, resolverRetryInterval: 00:30:00}",
        )
        .replace("  - {name: Internet, usage: Internet", "  - {name: Everywhere")
        .replace(", password: secret", ", password: {verifier: new}");
    let (draft, recipients) = Document::parse(&wanted).unwrap().to_draft(&WithoutSecrets).unwrap();
    let planned = plan(current, objects(&draft, &recipients));
    let expected = r#"  ~ siteLinks["Berlin-1"]
      ~ exchangeCost  10 -> (none)
  ~ servers["mail1"]
      ~ transport.messageRetryInterval  "00:15:00" -> "00:01:00"
      ~ transport.internalDNSServers    ["10.0.0.53"] -> []
  + sendConnectors["Everywhere"]
      + name                    "Everywhere"
      + addressSpaces           ["SMTP:*;1"]
      + sourceTransportServers  ["mail1"]
  - sendConnectors["Internet"]
  ~ recipients["alice"]
      ~ password  (sensitive) -> (sensitive)

Plan: 1 to create, 3 to update, 1 to delete.
"#;
    assert_eq!(planned.to_string(), expected);
}

#[test]
fn default_receive_connectors_are_objects_that_only_their_name_changes() {
    // New-ReceiveConnector; RC-25
    let names = |text: &str| {
        let contents = load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        let connectors = contents.organization.draft().receive_connectors.clone().into_iter();
        connectors.map(|connector| format!("{}\\{}", connector.server, connector.name)).collect::<Vec<_>>()
    };
    let all = names(TWO_SITES);
    assert_eq!(all.len(), 8, "{all:?}");
    let relay =
        "  - {name: Relay, server: mail2, bindings: [\"0.0.0.0:25\"], remoteIPRanges: [10.0.0.0/8]}\ntransportConfig";
    let with_relay = TWO_SITES.replace("transportConfig", relay);
    assert_eq!(names(&with_relay).len(), 9, "one more takes none away");
    let without = TWO_SITES.replace("site: 1,", "site: 1, removedReceiveConnectors: [client frontend mail2],");
    let left = names(&without);
    assert!(left.len() == 7 && !left.contains(&"mail2\\Client Frontend mail2".to_owned()), "{left:?}");

    // Changed by name: what is not said stays as it is by default. Both are seen in an export, and read back.
    let changed = TWO_SITES.replace(
        "transportConfig",
        "  - {name: client frontend mail2, server: mail2, maxMessageSize: 50MB}\ntransportConfig",
    );
    let contents = load(&changed, Revision(1)).unwrap();
    let draft = contents.organization.draft();
    let client =
        draft.receive_connectors.iter().find(|connector| connector.name.as_str() == "client frontend mail2").unwrap();
    assert_eq!((client.bindings.len(), client.bindings[0].port()), (2, 587));
    let yaml = Document::from_draft(draft, &[]).to_yaml();
    assert!(
        yaml.contains("- name: Default mail2\n  server: mail2\n") && yaml.contains("maxMessageSize: 50MB"),
        "{yaml}"
    );
    let again = Document::parse(&yaml).unwrap().to_draft(&WithoutSecrets).unwrap().0;
    assert_eq!(again.receive_connectors, draft.receive_connectors);

    // A plan shows what somebody changed, and nothing for what is there with its server.
    let plan_of = |from: &str, to: &str| {
        let of = |text: &str| {
            let (draft, recipients) = Document::parse(text).unwrap().to_draft(&WithoutSecrets).unwrap();
            objects(&draft, &recipients)
        };
        plan(of(from), of(to)).to_string()
    };
    let expected = "  ~ receiveConnectors[\"mail2\\client frontend mail2\"]\n      ~ name            \"Client Frontend mail2\" -> \
                    \"client frontend mail2\"\n      ~ maxMessageSize  \"36MB\" -> \"50MB\"\n\nPlan: 0 to create, 1 to \
                    update, 0 to delete.\n";
    assert_eq!(plan_of(TWO_SITES, &changed), expected);
    assert!(plan_of(TWO_SITES, &without).contains("- receiveConnectors[\"mail2\\Client Frontend mail2\"]"));
    assert!(!plan_of("", TWO_SITES).contains("Client Frontend"));

    // RC-3, RC-29
    let collides = TWO_SITES
        .replace("transportConfig", "  - {name: In, server: mail2, bindings: [\"0.0.0.0:25\"]}\ntransportConfig");
    let problems = load(&collides, Revision(1)).unwrap_err().to_string();
    assert!(
        problems.contains("the default connector Default Frontend mail2: write narrower remoteIPRanges"),
        "{problems}"
    );
    let misspelt = without.replace("client frontend", "client fronted");
    let problems = load(&misspelt, Revision(1)).unwrap_err().to_string();
    assert!(problems.contains("client fronted mail2 is no default Receive connector of the server"), "{problems}");
}

#[test]
fn objects_made_by_hand_keep_their_identity_when_a_file_names_them() {
    let (draft, _) = Document::parse(TWO_SITES).unwrap().to_draft(&WithoutSecrets).unwrap();
    let mut made_by_hand = draft.clone();
    made_by_hand.sites[0].guid = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
    assert!(plan(objects(&made_by_hand, &[]), objects(&draft, &[])).is_empty());
}

#[test]
fn what_a_newer_program_said_is_kept_and_passed_on() {
    let newer = r#"{"v":1,"kind":"server","object":{"name":"MAIL1","fqdn":"mail1.contoso.com","site":"Berlin","color":{"hue":7},
        "transport":{"messageRetryInterval":"00:01:00","speed":["a"],"backPressure":{"depth":9}}}}"#;
    let (object, unknown) = crate::decode_whole(newer.as_bytes()).unwrap();
    assert_eq!(unknown.names(), ["color", "transport.backPressure.depth", "transport.speed"]);
    let crate::Object::Server(mut server) = object else { panic!("a server") };
    server.fqdn = "other.contoso.com".parse().unwrap();
    let again = crate::encode_with(&crate::Object::Server(server), &unknown);
    let text = String::from_utf8(again.clone()).unwrap();
    assert!(text.contains(r#""fqdn":"other.contoso.com""#) && text.contains(r#""color":{"hue":7}"#), "{text}");
    assert_eq!(crate::decode_whole(&again).unwrap().1, unknown, "{text}");
    // A value that is not known is no property that is not known.
    let wrong = newer.replace("00:01:00", "soon");
    assert!(decode(wrong.as_bytes()).unwrap_err().to_string().contains("messageRetryInterval"));
}

#[test]
fn stored_objects_of_another_version_or_with_unknown_values_are_refused() {
    let stored = |text: &str| decode(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        stored(r#"{"v":2,"kind":"site","object":{}}"#),
        "stored version 2 is not known (this program knows 1); upgrade this server"
    );
    assert!(
        stored(r#"{"v":1,"kind":"site","object":{"name":"a","hubSiteEnabled":"maybe"}}"#)
            .contains("site.hubSiteEnabled")
    );
    assert!(stored(r#"{"v":1,"kind":"moon","object":{}}"#).contains("kind"));
    assert!(stored("[1.5]").contains("whole number"));
    assert!(stored("").contains("not a stored object"));
}

#[test]
fn the_stored_form_is_what_it_was() {
    // A fixture of version 1: if this fails, a new version is needed, with a reader for the old one.
    let fixture = include_str!("tests/stored-v1.json");
    let contents = load(TWO_SITES, Revision(1)).unwrap();
    let stored: Vec<String> = objects(contents.organization.draft(), &contents.recipients)
        .iter()
        .filter(|object| !object.is_untouched_default())
        .map(|object| String::from_utf8(encode(object)).unwrap())
        .collect();
    assert_eq!(stored.join("\n"), fixture.trim_end());
    // As it was written before Recipient Lookup of domains, before long addresses, before capabilities of domains, before permissions of connectors, and before
    // restrictions of recipients and rates of connectors: what is missing has its default.
    let before = [
        include_str!("tests/stored-v1-before-recipient-lookup.json"),
        include_str!("tests/stored-v1-before-long-addresses.json"),
        include_str!("tests/stored-v1-before-capabilities.json"),
        include_str!("tests/stored-v1-before-permissions.json"),
        include_str!("tests/stored-v1-unrestricted.json"),
    ];
    for fixture in [fixture].into_iter().chain(before) {
        let read = fixture.lines().map(|line| decode(line.as_bytes()).unwrap());
        let (mut draft, recipients) = assemble(read);
        draft.complete();
        assert_eq!((&draft, &recipients), (contents.organization.draft(), &contents.recipients));
    }
}

proptest! {
    #[test]
    fn export_and_stored_form_lose_nothing(draft in arbitrary::draft(), recipients in arbitrary::recipients()) {
        let yaml = Document::from_draft(&draft, &recipients).to_yaml();
        let document = Document::parse(&yaml).map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        let read = document.to_objects(&WithoutSecrets);
        let read = read.map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        prop_assert_eq!(&read, &(draft.clone(), recipients.clone()));
        let stored = objects(&draft, &recipients).into_iter().map(|object| decode(&encode(&object)).unwrap());
        prop_assert_eq!(assemble(stored), (draft.clone(), recipients.clone()));
        let made = objects(&draft, &recipients).into_iter().map(|object| {
            object_of(object.kind(), properties_of(&object), &WithoutSecrets)
                .map_err(|wrong| TestCaseError::fail(format!("{}: {wrong:?}", object.place())))
        });
        prop_assert_eq!(assemble(made.collect::<Result<Vec<_>, _>>()?), (draft, recipients));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(sites|servers|recipients|[ \\-:{}\\[\\]\n\"'&*!|>#a-z0-9~]){0,60}") {
        let draft = Document::parse(&text).and_then(|document| document.to_draft(&WithoutSecrets));
        if let Ok((draft, _)) = draft {
            let _ = Organization::validate(draft, Revision(0));
        }
    }
}

#[test]
fn thresholds_of_back_pressure_are_given_together_and_fit_each_other() {
    // BP-02
    let with = |text: &str| {
        TWO_SITES.replace(
            "transport: {internalDNSServers",
            &format!("transport: {{backPressure: {text}, internalDNSServers"),
        )
    };
    let given = "{databaseUsedSpace: {lowToMedium: 80, mediumToHigh: 90, highToMedium: 85, mediumToLow: 70}}";
    let contents = load(&with(given), Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    let settings = contents.organization.servers()[0].transport.back_pressure;
    assert_eq!(settings.database_used_space.map(|thresholds| thresholds.medium_to_low()), Some(70));
    assert_eq!(settings.submission_queue_history_depth, 300);
    for (wrong, expected) in [
        ("{systemMemory: {lowToMedium: 80}}", "mediumToHigh: it must be given"),
        ("{submissionQueue: {lowToMedium: 9, mediumToHigh: 5, highToMedium: 4, mediumToLow: 2}}", "lowToMedium ≤"),
        ("{privateBytes: {lowToMedium: 9, mediumToHigh: 101, highToMedium: 9, mediumToLow: 9}}", "from 0 to 100"),
        ("{resourceMeteringInterval: 00:00:00}", "a second or more"),
    ] {
        let problems = Document::parse(&with(wrong)).unwrap().to_draft(&WithoutSecrets).unwrap_err().to_string();
        assert!(problems.contains(expected), "{wrong}: {problems}");
    }
}
