//! `postroad topology` from a file and from the directory.

use crate::support::Desk;

#[test]
fn the_organization_is_shown_from_a_file_and_from_the_directory() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    // What a new organization has besides is in an export.
    desk.write("exported.yaml", &desk.done("export --settings server.toml"));
    let file = desk.done("topology --organization exported.yaml");
    assert_eq!(file, desk.done("topology --settings server.toml"));
    assert!(file.contains("Line  Berlin – Oslo  cost 10") && file.contains("EDGE1 · Edge"), "{file}");
    let way = desk.done("topology --organization contoso.yaml --from BERLIN1 x@partner.example");
    assert!(way.contains("cost 10, 1 hop, connector Partner\n  1  BERLIN1 ▸ OSLO1"), "{way}");
    assert!(
        way.ends_with("OSLO1 delivers it out of the organization: SmartHostConnectorDelivery relay.partner.example\n")
    );
    let json = desk.done("topology --settings server.toml --json --from BERLIN1 olga@contoso.example");
    assert!(json.contains(r#""journey":{"connector":null,"cost":10"#), "{json}");
    assert!(desk.done("topology --organization contoso.yaml --svg -").starts_with("<svg "));
    desk.done("topology --settings server.toml --svg drawing.svg");
    assert!(std::fs::read_to_string(desk.path("drawing.svg")).unwrap().ends_with("</svg>\n"));
}

#[test]
fn what_cannot_be_shown_names_the_next_step() {
    let desk = Desk::new();
    let refused = |line: &str| desk.refused(&format!("topology --organization contoso.yaml {line}"));
    assert!(refused("--from MAIL9 olga@contoso.example").contains("there are EDGE1, BERLIN1, OSLO1"));
    assert!(refused("team@contoso.example").contains("olga@contoso.example, carol@fabrikam.example"));
    assert!(refused("nobody@contoso.example").contains("postroad explain nobody@contoso.example"));
    assert!(refused("--from OSLO1").contains("<RECIPIENT>"));
}
