//! The drawing of organizations of common shapes, and ways through them.

use std::collections::BTreeSet;
use std::sync::Arc;

use envelope::{ByteSize, Revision};
use inquiry::{Inquiry, KnownRecipients, Sender, Subject};
use topology::Organization;

use super::layout::{self, Edge, Point};
use super::{Journey, Marks, ServerMark, Survey, fold, regions, svg};

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
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name);
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
fn the_drawing_is_what_it_was() {
    let (survey, journey) = journey("bob@fabrikam.com");
    golden("way.svg", &svg::draw(&survey, Some(&journey)));
    assert_eq!(svg::draw(&survey, None), svg::draw(&survey, None));
}

#[test]
fn a_message_is_followed_through_hubs_to_its_end() {
    let (_, way) = journey("olga@contoso.com");
    let steps: Vec<_> = way.steps.iter().map(|step| (step.from.as_str(), step.to.as_str())).collect();
    assert_eq!(steps, [("BERLIN1", "PARIS1"), ("PARIS1", "OSLO1")]);
    assert_eq!(
        (way.cost, way.legs.len(), way.end.to_string().as_str()),
        (24, 2, "OSLO1 delivers it into DB-Oslo on OSLO1")
    );
}

#[test]
fn names_are_escaped() {
    let contents = organization::load(TWO_SITES, Revision(7)).unwrap();
    let drawing = svg::draw(&Survey::of(&contents.organization), None);
    assert!(drawing.contains("Paris &amp; &quot;Lyon&quot;") && drawing.contains("Internet &lt;1&gt;"));
    assert!(!drawing.contains("<1>") && !drawing.contains("& \""));
}

/// Boxes of one size and lines of length one.
fn shape(count: usize, edges: &[(usize, usize)]) -> (Vec<Point>, Vec<Edge>) {
    let edges =
        edges.iter().map(|(from, to)| Edge { from: *from, to: *to, length: 1.0, room: Point { x: 60.0, y: 60.0 } });
    (vec![Point { x: 130.0, y: 80.0 }; count], edges.collect())
}

#[test]
fn common_shapes_have_no_crossings_and_no_overlaps() {
    let line: Vec<_> = (1..12).map(|at| (at - 1, at)).collect();
    let star: Vec<_> = (1..16).map(|at| (0, at)).collect();
    let ring: Vec<_> = (0..14).map(|at| (at, (at + 1) % 14)).collect();
    let tree: Vec<_> = (1..30).map(|at| ((at - 1) / 3, at)).collect();
    let ladder: Vec<_> = (0..6).flat_map(|at| [(at, at + 6), (at, (at + 1) % 6)]).collect();
    for (name, count, edges) in
        [("line", 12, line), ("star", 16, star), ("ring", 14, ring), ("tree", 30, tree), ("ladder", 12, ladder)]
    {
        let (sizes, edges) = shape(count, &edges);
        let places = layout::place(&sizes, &edges);
        assert_eq!(layout::crossings(&places, &edges), 0, "{name} crosses");
        for (at, one) in places.iter().enumerate() {
            for two in &places[at + 1..] {
                let apart = (one.x - two.x).abs() >= 130.0 || (one.y - two.y).abs() >= 80.0;
                assert!(apart, "{name}: {one:?} and {two:?} overlap");
            }
        }
    }
}

#[test]
fn an_empty_organization_and_one_without_links_can_be_drawn() {
    for yaml in ["", "sites: [{name: A}, {name: B}, {name: C}]"] {
        let contents = organization::load(yaml, Revision(1)).unwrap();
        let drawing = svg::draw(&Survey::of(&contents.organization), None);
        assert!(drawing.starts_with("<svg") && drawing.ends_with("</svg>\n"));
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
    }
}

#[test]
fn how_servers_and_links_are_is_drawn_where_they_are() {
    let (survey, _) = journey("olga@contoso.com");
    let mut marks = Marks::default();
    marks.servers.insert("BERLIN1".parse().unwrap(), ServerMark { waiting: Some(14), ..ServerMark::default() });
    marks.servers.insert("OSLO1".parse().unwrap(), ServerMark { away: true, ..ServerMark::default() });
    marks.servers.insert("PARIS1".parse().unwrap(), ServerMark { waiting: Some(0), ..ServerMark::default() });
    marks.broken.insert("Paris-Oslo".parse().unwrap());
    let drawing = svg::draw_marked(&survey, None, &marks);
    assert_eq!(drawing.matches(">14 wait</text>").count(), 1);
    assert_eq!(drawing.matches(">not there</text>").count(), 1);
    assert_eq!(drawing.matches("class=\"away\"").count(), 1);
    assert_eq!((drawing.matches("class=\"broken\"").count(), drawing.matches("✖").count()), (1, 1));
    let plain = svg::draw(&survey, None);
    assert!(!plain.contains("class=\"broken\"") && !plain.contains("✖"));
}

/// Thirty sites: two hubs with a star each, and an island without a hub.
fn many() -> (Arc<Organization>, KnownRecipients) {
    let mut yaml = String::from("sites:\n");
    for at in 0..30 {
        yaml += &format!("- {{name: S{at:02}, hubSiteEnabled: {}}}\n", at == 0 || at == 12);
    }
    yaml += "siteLinks:\n- {name: Trunk, sites: [S00, S12], cost: 1}\n";
    for at in (1..26).filter(|at| *at != 12) {
        yaml += &format!(
            "- {{name: L{at:02}, sites: [S{:02}, S{at:02}], cost: {}}}\n",
            if at < 12 { 0 } else { 12 },
            10 + at
        );
    }
    yaml += "- {name: Island, sites: [S26, S27, S28, S29], cost: 5}\nservers:\n";
    for at in 0..30 {
        yaml += &format!("- {{name: M{at:02}, fqdn: m{at:02}.contoso.com, site: S{at:02}}}\n");
    }
    yaml += "databases: [{name: D20, server: M20}]\nacceptedDomains: [{name: c, domainName: contoso.com, default: true}]\n\
             sendConnectors:\n- {name: Out, addressSpaces: ['*'], sourceTransportServers: [M05, M15]}\n\
             recipients: [{name: olga, address: olga@contoso.com, database: D20}]\n";
    let contents = organization::load(&yaml, Revision(7)).unwrap_or_else(|problems| panic!("{problems}"));
    (Arc::new(contents.organization), KnownRecipients::all(contents.recipients))
}

#[test]
fn many_sites_are_regions_around_their_hubs_and_always_the_same() {
    let survey = Survey::of(&many().0);
    let all = regions(&survey);
    let sizes: Vec<(&str, usize)> = all.iter().map(|region| (region.name.as_str(), region.sites.len())).collect();
    assert_eq!(sizes, [("S00", 12), ("S12", 14), ("S26", 4)]);
    assert_eq!(all, regions(&survey));
    let shut = fold(&survey, None, &Marks::default(), &BTreeSet::new());
    assert_eq!((shut.survey.sites.len(), shut.survey.links.len()), (3, 1));
    let drawing = svg::draw(&shut.survey, None);
    golden("regions.svg", &drawing);
    for line in
        ["30 sites, 30 servers, 1 connector, revision 7", "Region S00", "12 sites, 12 servers", "14 sites, 14 servers"]
    {
        assert!(drawing.contains(&format!(">{line}<")), "{line}");
    }
    // Open, a region is its sites; of the others the lines lead to their boxes.
    let open = fold(&survey, None, &Marks::default(), &BTreeSet::from(["s12".to_owned()]));
    assert_eq!(open.survey.sites.len(), 2 + 14);
    assert_eq!(open.regions.iter().map(|(_, is_open)| *is_open).collect::<Vec<_>>(), [false, true, false]);
    // What is small is drawn as ever.
    let (small, _) = journey("olga@contoso.com");
    let same = fold(&small, None, &Marks::default(), &BTreeSet::new());
    assert!(same.regions.is_empty());
    assert_eq!(svg::draw(&same.survey, None), svg::draw(&small, None));
}

#[test]
fn a_part_without_a_hub_is_cut_into_pieces_of_some_sites() {
    let mut yaml = String::from("sites:\n");
    (0..40).for_each(|at| yaml += &format!("- {{name: S{at:02}}}\n"));
    yaml += "siteLinks:\n";
    (1..40).for_each(|at| yaml += &format!("- {{name: L{at:02}, sites: [S{:02}, S{at:02}], cost: 1}}\n", at - 1));
    let survey = Survey::of(&organization::load(&yaml, Revision(1)).unwrap().organization);
    let all = regions(&survey);
    assert_eq!(all.iter().map(|region| region.sites.len()).sum::<usize>(), 40);
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|region| region.sites.len() < 16), "{all:?}");
}

#[test]
fn what_the_picture_is_about_is_drawn_though_its_region_is_shut() {
    let (organization, known) = many();
    let survey = Survey::of(&organization);
    let mut inquiry = Inquiry::new(Arc::clone(&organization), known);
    let (recipient, from) = ("olga@contoso.com".parse().unwrap(), "M03".parse().unwrap());
    let subject = Subject { recipient, sender: Sender::Unnamed, size: ByteSize::kib(10), from };
    let way = Journey::follow(&mut inquiry, &survey, &subject).unwrap();
    let mut marks = Marks::default();
    marks.servers.insert("M24".parse().unwrap(), ServerMark { waiting: Some(14), ..ServerMark::default() });
    marks.servers.insert("M08".parse().unwrap(), ServerMark { away: true, ..ServerMark::default() });
    marks.broken.insert("L16".parse().unwrap());
    let folded = fold(&survey, Some(&way), &marks, &BTreeSet::new());
    let names: Vec<&str> =
        folded.survey.sites.iter().filter(|site| site.fold.is_none()).map(|site| site.name.as_str()).collect();
    // The way S03, S00, S12, S20; the break S12, S16; the mail in S24.
    assert_eq!(names, ["S00", "S03", "S12", "S16", "S20", "S24"]);
    let drawing = svg::draw_marked(&folded.survey, folded.journey.as_ref(), &marks);
    assert_eq!(drawing.matches("class=\"way\"").count(), way.legs.len());
    assert_eq!((drawing.matches("class=\"broken\"").count(), drawing.matches(">14 wait<").count()), (1, 1));
    assert_eq!(drawing.matches("class=\"dot\"").count(), way.steps.len() + 1, "each server of the way");
    assert!(drawing.contains(">10 of 12 sites, 10 servers<") && drawing.contains(">1 not there<"), "{drawing}");
    assert!(drawing.contains(">10 links<") && drawing.contains(">11–21<"), "several links are one line");
}
