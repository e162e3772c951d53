//! The organization file from outside: what it accepts, what it says about mistakes, and that nothing is lost.

mod arbitrary;

use envelope::Revision;
use proptest::prelude::*;
use topology::send_connector::Usage;
use topology::{Organization, RecipientKind};

use crate::{Document, Kind, WithoutSecrets, assemble, decode, encode, load, objects, plan};

const TWO_SITES: &str = r#"
sites:
  - {name: Berlin, subnets: [10.1.0.0/16]}
  - {name: "1"}
siteLinks:
  - {name: Berlin-1, sites: [Berlin, "1"], cost: 50, exchangeCost: 10, maxMessageSize: 10MB}
servers:
  - {name: mail1, fqdn: mail1.contoso.com, site: berlin, dag: DAG1, transport: {internalDNSServers: [10.0.0.53]}}
  - {name: mail2, fqdn: mail2.contoso.com, site: 1, role: Mailbox}
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
  - {name: Default Frontend mail1, server: mail1, bindings: ["0.0.0.0:25"], permissionGroups: [AnonymousUsers]}
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
        "3:20: warning: sites[\"Berlin\"].subnets: it is stored and has no effect: the site of a server is the one that it names",
        "26:5: warning: deliveryAgentConnectors[\"X400\"]: nothing is delivered by it: there are no delivery agents yet; its \
         mail waits in its queue",
        "28:5: warning: foreignConnectors[\"Fax\"]: nothing is delivered by it: files are not written yet; its mail waits in \
         its queue",
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
fn a_file_in_another_encoding_says_where() {
    let latin = b"sites:\n- {name: M\xfcnchen}\n".to_vec();
    let problems = crate::text_of(latin).unwrap_err().to_string();
    assert_eq!(problems, "2:11: error: the octet 0xFC here is not UTF-8; save the file in that encoding");
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
    check(&TWO_SITES.replace("database: DB1", "database: DB9"), "33:80: error: recipients[\"alice\"].database"); // recipients
    check(
        &TWO_SITES.replace("bob@contoso.com, ext", "A@contoso.com, ext"),
        "34:17: error: recipients[\"Bob\"].address",
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
fn a_plan_reads_like_one() {
    let (draft, recipients) = Document::parse(TWO_SITES).unwrap().to_draft(&WithoutSecrets).unwrap();
    let current = objects(&draft, &recipients);
    assert!(plan(current.clone(), current.clone()).is_empty());
    let wanted = TWO_SITES
        .replace("cost: 50, exchangeCost: 10, ", "cost: 50, ")
        .replace("{internalDNSServers: [10.0.0.53]}", "{messageRetryInterval: 00:01:00}")
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
fn objects_made_by_hand_keep_their_identity_when_a_file_names_them() {
    let (draft, _) = Document::parse(TWO_SITES).unwrap().to_draft(&WithoutSecrets).unwrap();
    let mut made_by_hand = draft.clone();
    made_by_hand.sites[0].guid = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
    assert!(plan(objects(&made_by_hand, &[]), objects(&draft, &[])).is_empty());
}

#[test]
fn stored_objects_of_another_version_or_with_unknown_properties_are_refused() {
    let stored = |text: &str| decode(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        stored(r#"{"v":2,"kind":"site","object":{}}"#),
        "stored version 2 is not known (this program knows 1); upgrade this server"
    );
    assert!(stored(r#"{"v":1,"kind":"site","object":{"name":"a","color":"red"}}"#).contains("site.color"));
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
        .map(|object| String::from_utf8(encode(object)).unwrap())
        .collect();
    assert_eq!(stored.join("\n"), fixture.trim_end());
    let read = fixture.lines().map(|line| decode(line.as_bytes()).unwrap());
    assert_eq!(assemble(read), (contents.organization.draft().clone(), contents.recipients));
}

proptest! {
    #[test]
    fn export_and_stored_form_lose_nothing(draft in arbitrary::draft(), recipients in arbitrary::recipients()) {
        let yaml = Document::from_draft(&draft, &recipients).to_yaml();
        let document = Document::parse(&yaml).map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        let read = document.to_draft(&WithoutSecrets);
        let read = read.map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        prop_assert_eq!(&read, &(draft.clone(), recipients.clone()));
        let stored = objects(&draft, &recipients).into_iter().map(|object| decode(&encode(&object)).unwrap());
        prop_assert_eq!(assemble(stored), (draft, recipients));
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
