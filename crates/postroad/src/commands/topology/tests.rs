//! The text and the JSON of an organization, with the way of a message.

use std::sync::Arc;

use envelope::{ByteSize, Revision};
use inquiry::{Inquiry, KnownRecipients, Sender, Subject};
use map::{Journey, Survey};
use topology::Organization;

use super::text;

const TWO_SITES: &str = "
sites: [{name: Berlin}, {name: Oslo}, {name: Paris & \"Lyon\", hubSiteEnabled: true}]
siteLinks:
  - {name: Berlin-Paris, sites: [Berlin, Paris & \"Lyon\"], cost: 10, exchangeCost: 4}
  - {name: Paris-Oslo, sites: [Paris & \"Lyon\", Oslo], cost: 20, maxMessageSize: 5MB}
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.com, site: Berlin}
  - {name: PARIS1, fqdn: paris1.contoso.com, site: Paris & \"Lyon\"}
  - {name: OSLO1, fqdn: oslo1.contoso.com, site: Oslo}
databases: [{name: DB-Oslo, server: OSLO1}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
sendConnectors:
  - {name: Internet <1>, addressSpaces: ['*;10'], sourceTransportServers: [OSLO1]}
  - {name: Off, addressSpaces: ['*;1'], sourceTransportServers: [BERLIN1], enabled: false}
foreignConnectors: [{name: Fax, addressSpaces: ['FAX:*'], sourceTransportServers: [BERLIN1]}]
recipients: [{name: olga, address: olga@contoso.com, database: DB-Oslo}]
";

fn journey(to: &str) -> (Survey, Journey) {
    let contents = organization::load(TWO_SITES, Revision(7)).unwrap_or_else(|problems| panic!("{problems}"));
    let organization: Arc<Organization> = Arc::new(contents.organization);
    let survey = Survey::of(&organization);
    let mut inquiry = Inquiry::new(organization, KnownRecipients::all(contents.recipients));
    let (recipient, from) = (to.parse().unwrap(), "BERLIN1".parse().unwrap());
    let subject = Subject { recipient, sender: Sender::Unnamed, size: ByteSize::kib(10), from };
    let journey = Journey::follow(&mut inquiry, &survey, &subject).unwrap();
    (survey, journey)
}

fn golden(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/topology/golden").join(name);
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(
        found,
        std::fs::read_to_string(&path).unwrap(),
        "POSTROAD_REWRITE=1 writes {name} anew; look at it then"
    );
}

#[test]
fn the_text_is_what_it_was() {
    let (survey, journey) = journey("bob@fabrikam.com");
    golden("way.txt", &text::text(&survey, Some(&journey), false));
}

/// As many servers and connectors in four sites.
fn large(servers: usize, connectors: usize) -> Survey {
    let mut text = "sites: [{name: Hub, hubSiteEnabled: true}, {name: A}, {name: B}, {name: C}, {name: D}, {name: E}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
siteLinks:\n"
        .to_owned();
    let links = ["A", "B", "C", "D", "E"].iter().enumerate();
    text.extend(links.map(|(at, site)| format!("  - {{name: L{at}, sites: [Hub, {site}], cost: {}}}\n", 50 - at)));
    text += "servers:\n";
    let site = |at| ["Hub", "A", "B"][at % 3];
    text.extend(
        (0..servers).map(|at| format!("  - {{name: M{at:02}, fqdn: m{at}.contoso.com, site: {}}}\n", site(at))),
    );
    text += "  - {name: EDGE, fqdn: edge.contoso.com, site: A, role: Edge}\nsendConnectors:\n";
    let space = |at| if at < 2 { "'*'".to_owned() } else { format!("p{at}.example") };
    text.extend((0..connectors).map(|at| {
        let more = if at % 10 == 1 { ", enabled: false" } else { "" };
        format!("  - {{name: C{at:03}, addressSpaces: [{}], sourceTransportServers: [M00]{more}}}\n", space(at))
    }));
    let contents = organization::load(&text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    Survey::of(&contents.organization)
}

#[test]
fn of_many_servers_there_is_a_line_for_each_site_and_of_many_connectors_a_count() {
    let survey = large(20, 100);
    golden("large.txt", &text::text(&survey, None, false));
    let all = text::text(&survey, None, true);
    let named = |what: &str| all.matches(what).count();
    assert!(named("M19") == 1 && named("cost 46") == 1 && named("C099") == 1 && !all.contains("--all"), "{all}");
    // Each by itself.
    let many_servers = text::text(&large(20, 40), None, false);
    assert!(many_servers.contains("C039") && !many_servers.contains("M19"), "{many_servers}");
    let many_connectors = text::text(&large(11, 41), None, false);
    assert!(many_connectors.contains("M10") && !many_connectors.contains("C040"), "{many_connectors}");
    let few = text::text(&large(11, 40), None, false);
    assert_eq!(few, text::text(&large(11, 40), None, true));
}

#[test]
fn a_message_is_told_for_programs_with_its_costs() {
    let (survey, way) = journey("olga@contoso.com");
    let steps: Vec<_> = way.steps.iter().map(|step| (step.from.as_str(), step.to.as_str())).collect();
    assert_eq!(steps, [("BERLIN1", "PARIS1"), ("PARIS1", "OSLO1")]);
    assert_eq!(
        (way.cost, way.legs.len(), way.end.to_string().as_str()),
        (24, 2, "OSLO1 delivers it into DB-Oslo on OSLO1")
    );
    let json = text::json(&survey, Some(&way));
    assert_eq!((&json["journey"]["cost"], &json["siteLinks"][0]["cost"]), (&24.into(), &4.into()));
    assert_eq!(json["siteLinks"][0]["replacedCost"], 10);
    assert_eq!(json["connectors"][0]["kind"], "Foreign connector");
}
