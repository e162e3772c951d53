//! `postroad queue` where there is nothing to see: each complaint names the next step. What it shows of a running organization
//! is in `tests/integration`.

use crate::support::Desk;

#[test]
fn only_an_administrator_sees_queues() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let complaint = desk.refused("queue --settings server.toml");
    assert!(complaint.contains("postroad cert issue --ca FOLDER --administrator NAME --path identity"), "{complaint}");
}

#[test]
fn servers_that_are_not_there_are_told_one_by_one() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    desk.done("cert issue --ca keys --administrator anna --path identity");
    let complaint = desk.refused("queue --settings server.toml --server BERLIN1 --server NOWHERE9");
    assert!(complaint.contains("no server could be asked"), "{complaint}");
    assert!(complaint.contains("BERLIN1: "), "{complaint}");
    assert!(complaint.contains("NOWHERE9: the organization has no server NOWHERE9"), "{complaint}");
}

#[test]
fn a_limit_is_within_bounds_and_for_messages() {
    let desk = Desk::new();
    for wrong in ["--limit 5", "--messages --limit 0", "--messages --limit 250001"] {
        assert!(desk.refused(&format!("queue {wrong}")).contains("--"), "{wrong}");
    }
}

#[test]
fn an_edge_server_of_its_own_is_said_not_to_be_asked_and_where_it_is() {
    let desk = Desk::with_directory();
    let file = std::fs::read_to_string(desk.path("contoso.yaml")).unwrap();
    let edge = "role: Edge, edge: {forest: edge1.contoso.example, authorities: [PEM]}}";
    desk.write("contoso.yaml", &file.replace("role: Edge}", edge));
    desk.done("apply contoso.yaml --settings server.toml --yes");
    desk.done("cert issue --ca keys --administrator anna --path identity");
    let next = "`--api edge1.contoso.example --identity FOLDER`";
    let servers = desk.run("servers --settings server.toml");
    assert!(servers.out.contains("EDGE1    Berlin  an Edge server, not asked"), "{}", servers.out);
    assert!(servers.err.contains(next), "{}", servers.err);
    for command in ["queue", "track --start 1h"] {
        let error = desk.refused(&format!("{command} --settings server.toml --server edge1"));
        assert!(error.contains("EDGE1: it is an Edge server") && error.contains(next), "{command}: {error}");
    }
    let error = desk.refused("queue --settings server.toml");
    assert!(error.contains("note: Edge server EDGE1 is not asked") && error.contains(next), "{error}");
}
