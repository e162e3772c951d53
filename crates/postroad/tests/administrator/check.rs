//! `postroad check`: what is found of a server before it has ever run, and what is wrong with it.

use std::path::Path;

use serde_json::Value;

use crate::support::Desk;

fn findings(out: &str) -> Vec<(String, String)> {
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    lines.map(|line| (text(&line, "subject"), text(&line, "state"))).collect()
}

fn state<'a>(found: &'a [(String, String)], subject: &str) -> &'a str {
    let found = found.iter().find(|(name, _)| name == subject);
    found.map_or("not told", |(_, state)| state)
}

#[test]
fn a_server_is_looked_at_before_it_starts() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    std::fs::create_dir_all(desk.path("state")).unwrap();
    let run = desk.run("check contoso.yaml --settings server.toml --json");
    let found = findings(&run.out);
    for good in ["settings", "certificates", "organization key", "directory", "organization", "clock", "state"] {
        assert_eq!(state(&found, good), "good", "{good}: {}", run.out);
    }
    assert_eq!(state(&found, "organization file"), "good", "{}", run.out);
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let desk = Desk::with_directory();
    // Nothing was applied, the state is not there, and a certificate is another server's.
    desk.done("cert issue --ca keys --server OSLO1 --fqdn oslo1.contoso.example --path other");
    std::fs::remove_dir_all(desk.path("identity/transport")).unwrap();
    std::fs::rename(desk.path("other/transport"), desk.path("identity/transport")).unwrap();
    let run = desk.run("check --settings server.toml");
    assert_eq!(run.status, 1);
    for expected in [
        "transport of OSLO1",
        "has no server BERLIN1",
        "postroad apply FILE",
        "To do: make the folder",
        "things are wrong",
    ] {
        assert!(run.out.contains(expected), "{expected}:\n{}", run.out);
    }
    let none = desk.run("check --settings none.toml");
    assert!(!none.succeeded && none.out.contains("cannot read the settings file none.toml"), "{}", none.out);
}

#[test]
fn folders_of_gateways_are_looked_at() {
    // EN-64, EN-65, PL-56
    let desk = Desk::with_directory();
    let connector =
        "foreignConnectors: [{name: Fax, addressSpaces: ['FAX:*'], sourceTransportServers: [BERLIN1]}]\nrecipients:";
    let organization = std::fs::read_to_string(desk.path("contoso.yaml")).unwrap();
    desk.write("contoso.yaml", &organization.replace("recipients:", connector));
    desk.done("apply contoso.yaml --settings server.toml --yes");
    std::fs::create_dir_all(desk.path("state")).unwrap();
    let check = || desk.run("check --settings server.toml --json").out;
    let without = check();
    assert_eq!(state(&findings(&without), "drop"), "wrong");
    assert!(
        without.contains("Foreign connector Fax has this server as a source") && without.contains("drop = "),
        "{without}"
    );
    let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
    let named = ["drop", "pickup", "replay"].map(|name| format!("{name} = {:?}\n", desk.path(name)));
    let socket = format!(
        "\n[services.transport]\nsocket = {:?}\n[agents]\nnobody-at-all = ['FAX']\n",
        desk.path("agents/transport.sock")
    );
    desk.write("server.toml", &format!("{}{settings}{socket}", named.concat()));
    let missing = findings(&check());
    assert_eq!((state(&missing, "drop"), state(&missing, "socket of agents")), ("wrong", "wrong"));
    // Transport makes these.
    assert_eq!((state(&missing, "pickup"), state(&missing, "replay")), ("good", "good"));
    std::fs::create_dir_all(desk.path("drop")).unwrap();
    std::fs::create_dir_all(desk.path("agents")).unwrap();
    std::fs::write(desk.path("replay"), "a file").unwrap();
    let there = check();
    let found = findings(&there);
    assert_eq!((state(&found, "drop of Fax"), state(&found, "replay")), ("wrong", "wrong"), "{there}");
    assert_eq!(state(&found, "socket of agents"), "warning", "{there}");
    assert!(there.contains("install -d -m 2770 -g GATEWAY") && there.contains("nobody-at-all"), "{there}");
    std::fs::create_dir_all(desk.path("drop/Fax")).unwrap();
    assert_eq!(state(&findings(&check()), "drop"), "good");
}

#[test]
fn the_examples_of_organization_files_are_good() {
    let desk = Desk::with_directory();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let mut examples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(examples.len() >= 4, "{examples:?}");
    for example in examples {
        let run = desk.run(&format!("check {} --settings server.toml --json", example.display()));
        assert_eq!(state(&findings(&run.out), "organization file"), "good", "{}{}", run.out, run.err);
    }
}

#[test]
fn an_edge_server_needs_what_it_has() {
    // EN-3, EN-6
    let desk = Desk::new();
    desk.done("cert init --forest edge1.contoso.example --path keys");
    let issue = "cert issue --ca keys --server EDGE1 --fqdn edge1.contoso.example --path identity";
    desk.done(&format!("{issue} --service transport --service admin"));
    let settings = "server = 'EDGE1'\nforest = 'edge1.contoso.example'\nstate = 'state'\n[directory]\nkind = 'embedded'\n\
                    path = 'directory.db'\n[identity]\npath = 'identity'\n[services.transport]\nsmtp = '127.0.0.1:0'\n";
    desk.write("server.toml", settings);
    let file = "sites: [{name: Perimeter}]\nservers: [{name: EDGE1, fqdn: edge1.contoso.example, site: Perimeter, role: Edge}]\n";
    desk.write("edge1.yaml", file);
    desk.done("apply edge1.yaml --settings server.toml --yes");
    let run = desk.run("check --settings server.toml");
    assert!(run.out.contains("of transport, admin; valid"), "{}", run.out);
    assert!(run.out.contains("(transport, SMTP)"), "{}", run.out);
    assert!(!run.out.contains("frontend-transport") && !run.out.contains("mailbox-"), "{}", run.out);
}
