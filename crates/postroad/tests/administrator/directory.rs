//! `apply`, `export` and `servers` on an embedded directory.

use std::time::Duration;

use directory::{EmbeddedSettings, Presence};
use envelope::{Revision, ServerName, Service};
use serde_json::Value;

use crate::support::{Desk, ORGANIZATION};

#[test]
fn a_plan_is_shown_then_made_then_there_is_nothing_to_do() {
    let desk = Desk::with_directory();
    let plan = desk.done("apply contoso.yaml --settings server.toml --dry-run");
    assert!(
        plan.contains("  + sendConnectors[\"Partner\"]\n") && plan.contains("authenticationCredential  (sensitive)\n")
    );
    assert!(plan.ends_with("\nPlan: 16 to create, 0 to update, 0 to delete.\n"), "{plan}");
    assert!(desk.done("servers --settings server.toml").contains("The organization has no servers"));
    let refused = desk.run("apply contoso.yaml --settings server.toml");
    assert!(!refused.succeeded && refused.out == plan && refused.err.contains("add --yes"), "{}", refused.err);
    let applied = desk.done("apply contoso.yaml --settings server.toml --yes");
    assert!(applied.starts_with(&plan) && applied.contains("Applied: 16 changes; the configuration is at revision "));
    let again = desk.done("apply contoso.yaml --settings server.toml");
    assert_eq!(again, "No changes. The organization is as the file describes it.\n");
    desk.write("contoso.yaml", &ORGANIZATION.replace("cost: 10}", "cost: 25}").replace("correct-horse", "staple"));
    let plan = desk.done("apply contoso.yaml --settings server.toml --dry-run");
    assert_eq!(
        plan,
        "  ~ siteLinks[\"Line\"]\n      ~ cost  10 -> 25\n  ~ sendConnectors[\"Partner\"]\n      \
         ~ authenticationCredential  (sensitive) -> (sensitive)\n\nPlan: 0 to create, 2 to update, 0 to delete.\n"
    );
}

#[test]
fn an_export_can_be_applied_and_has_no_secret() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let exported = desk.done("export --settings server.toml");
    assert!(!exported.contains("correct-horse") && !exported.contains("battery"), "{exported}");
    assert!(exported.contains("sealed: ") && exported.contains("verifier: "));
    desk.write("exported.yaml", &exported);
    let again = desk.done("apply exported.yaml --settings server.toml");
    assert_eq!(again, "No changes. The organization is as the file describes it.\n");
    assert_eq!(desk.done("export --settings server.toml"), exported);
}

#[test]
fn a_file_without_recipients_leaves_them_alone_but_not_homeless() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let (without, _) = ORGANIZATION.split_once("recipients:").unwrap();
    desk.write("contoso.yaml", without);
    assert!(desk.done("apply contoso.yaml --settings server.toml").starts_with("No changes."));
    desk.write("contoso.yaml", &without.replace("  - {name: DB2, server: OSLO1}\n", ""));
    let error = desk.refused("apply contoso.yaml --settings server.toml --yes");
    assert!(error.contains("contoso.yaml: error: recipients[\"olga\"].database: there is no database DB2"), "{error}");
}

#[test]
fn every_problem_of_a_file_is_told_with_its_position() {
    let desk = Desk::with_directory();
    let bad = ORGANIZATION
        .replace("cost: 10}", "coast: 10}")
        .replace("fqdn: oslo1", "fqdn: oslo 1")
        .replace("'*;10'", "'*;0'");
    desk.write("bad.yaml", &bad);
    let error = desk.refused("apply bad.yaml --settings server.toml");
    for expected in [
        "bad.yaml:3:41: error: siteLinks[\"Line\"].coast: ",
        "bad.yaml:7:25: error: servers[\"OSLO1\"].fqdn: ",
        "bad.yaml:14:38: error: sendConnectors[\"Internet\"].addressSpaces[0]: ",
        "error: bad.yaml has 3 errors; correct the file and try again\n",
    ] {
        assert!(error.contains(expected), "{expected}\n{error}");
    }
    // What is wrong only as a whole, and where it is no YAML at all.
    desk.write(
        "bad.yaml",
        &ORGANIZATION.replace("Oslo], cost", "Paris], cost").replace("database: DB2", "database: DB9"),
    );
    let error = desk.refused("apply bad.yaml --settings server.toml");
    assert!(error.contains("bad.yaml:3:18: error: ") && error.contains("bad.yaml:24:49: error: "), "{error}");
    desk.write("bad.yaml", "sites: [\n");
    assert!(desk.refused("apply bad.yaml --settings server.toml").starts_with("bad.yaml:1:8: error: unclosed bracket"));
}

#[tokio::test]
async fn servers_lists_who_is_there_and_who_is_not() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let mut settings = EmbeddedSettings::new(desk.path("directory.db"));
    settings.lease_ttl = Duration::from_secs(3600);
    let directory = directory::open_embedded(&settings, "contoso.example").unwrap();
    let revision = directory.snapshot().await.unwrap().revision();
    let presence = |applied_revision| Presence {
        server: ServerName::parse("OSLO1").unwrap(),
        service: Service::Transport,
        addresses: vec!["192.0.2.7:7525".parse().unwrap()],
        started: envelope::Timestamp::from_millis(1),
        version: "9.9.9".to_owned(),
        applied_revision,
        out_of_reach: Vec::new(),
    };
    let announced = directory.announce(presence(Revision(0)));
    let is_there = async |applied| {
        let look = async || (directory.presences().await.unwrap() == [presence(applied)]).then_some(());
        testkit::wait::until("the presence", look).await;
    };
    is_there(Revision(0)).await;
    let text = desk.done("servers --settings server.toml");
    assert!(text.contains("BERLIN1  Berlin  no service is there\n"), "{text}");
    assert!(text.contains("OSLO1    Oslo    transport            192.0.2.7:7525  9.9.9    0 (behind)\n"), "{text}");
    assert!(text.ends_with(&format!("\nThe directory is at revision {revision}.\n")), "{text}");
    announced.update(|presence| presence.applied_revision = revision);
    is_there(revision).await;
    let json = desk.done("servers --settings server.toml --json");
    let entries: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 3);
    let entry = |server: &str| entries.iter().find(|entry| entry["server"] == server).unwrap();
    assert_eq!((&entry("EDGE1")["service"], &entry("EDGE1")["current"]), (&Value::Null, &false.into()));
    let oslo = entry("OSLO1");
    assert_eq!((&oslo["addresses"][0], &oslo["current"]), (&"192.0.2.7:7525".into(), &true.into()));
}

#[test]
fn explain_asks_the_directory_as_the_server_of_the_settings() {
    let desk = Desk::with_directory();
    assert!(desk.refused("explain b@x.example --settings server.toml").contains("run `postroad apply FILE`"));
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let out = desk.done("explain team@contoso.example --settings server.toml --json");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["from"], answer["members"].as_array().map(Vec::len)), (&"BERLIN1".into(), Some(2)));
    assert_ne!(answer["revision"], 0);
}

#[test]
fn what_was_can_be_asked_exported_and_listed() {
    let desk = Desk::with_directory();
    let apply = |text: &str| {
        desk.write("contoso.yaml", text);
        let said = desk.done("apply contoso.yaml --settings server.toml --yes");
        let (_, revision) = said.split_once("is at revision ").unwrap();
        revision.split(|other: char| !other.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    };
    let first = apply(ORGANIZATION);
    let before = desk.done("export --settings server.toml");
    let changed = ORGANIZATION.replace("addressSpaces: [partner.example]", "addressSpaces: [other.example]");
    let second = apply(&changed.replace("olga@contoso.example, carol", "anna@contoso.example, carol"));
    assert!(second > first);
    let ask = |who: &str, more: &str| -> Value {
        let out = desk.done(&format!("explain {who} --settings server.toml --json {more}"));
        serde_json::from_str(&out).unwrap()
    };
    assert_eq!(ask("b@partner.example", "")["connector"], "Internet");
    let then = ask("b@partner.example", &format!("--revision {first}"));
    assert_eq!((&then["connector"], &then["revision"]), (&"Partner".into(), &first.into()));
    // Recipients are those of then as well.
    let member = |answer: Value| answer["members"][0]["recipient"].clone();
    assert_eq!(member(ask("team@contoso.example", &format!("--revision {first}"))), Value::Null);
    assert_eq!(member(ask("team@contoso.example", "")), "anna@contoso.example");
    // The configuration of now, by its number, right after it was applied: its recipients are there.
    assert_eq!(member(ask("team@contoso.example", &format!("--revision {second}"))), "anna@contoso.example");
    // Applied in two transactions: recipients come after the configuration.
    let later = format!("--revision {}", second - 1);
    assert_eq!(member(ask("team@contoso.example", &later)), "olga@contoso.example");
    assert_eq!(desk.done(&format!("export --settings server.toml {later}")), before);
    let listed = desk.done("revisions --settings server.toml");
    let rows: Vec<&str> = listed.lines().collect();
    // Each apply is two changes, of the configuration and of recipients.
    assert_eq!(rows.len(), 5, "{listed}");
    assert!(rows[0].starts_with("REVISION  TIME") && rows[2].starts_with(&second.to_string()), "{listed}");
    assert!(
        rows[1].ends_with("~ recipients[\"team\"]") && rows[2].ends_with("~ sendConnectors[\"Partner\"]"),
        "{listed}"
    );
    assert!(rows[1..].iter().all(|row| row.contains("(postroad apply)")), "{listed}");
    let json = desk.done("revisions --settings server.toml --json --limit 2");
    let json: Value = serde_json::from_str(json.lines().nth(1).unwrap()).unwrap();
    assert_eq!(json["through"], "postroad apply");
    assert_eq!((&json["revision"], &json["summary"]), (&second.into(), &"~ sendConnectors[\"Partner\"]".into()));
    let error = desk.refused("explain b@x.example --settings server.toml --revision 4000");
    assert!(error.contains("there is no revision 4000 yet; the newest is ") && error.contains("postroad revisions"));
    let file = "explain b@x.example --organization contoso.yaml --revision 1";
    assert!(desk.refused(file).contains("cannot be used with"));
}

#[test]
fn a_change_of_the_live_organization_is_told_before_it_is_made() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let ask = "explain a.berg@contoso.example team@contoso.example b@partner.example --settings server.toml";
    assert_eq!(desk.run(&format!("{ask} --diff contoso.yaml")).status, 0);
    // Recipients are not spoken of: those of the directory stay, and one of them loses its database.
    let (without, _) = ORGANIZATION.split_once("recipients:").unwrap();
    desk.write("wanted.yaml", &without.replace("name: DB1,", "name: DB9,").replace("[partner.example]", "[p.example]"));
    let run = desk.run(&format!("{ask} --diff wanted.yaml --json"));
    assert_eq!(run.status, 1, "{}", run.err);
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines[..2].iter().map(|line| (&line["recipient"], &line["change"])).collect();
    assert_eq!(
        told,
        [(&"a.berg@contoso.example".into(), &"lost".into()), (&"b@partner.example".into(), &"rerouted".into())]
    );
    assert_eq!(lines[0]["why"][0], "The mailbox database DB1 is not in the configuration (RT-18)");
    assert_eq!((&lines[2]["summary"]["asked"], &lines[2]["summary"]["lost"]), (&3.into(), &1.into()));
}

#[test]
fn a_key_that_is_missing_or_open_to_all_is_told() {
    let desk = Desk::with_directory();
    let key = desk.path("identity/organization.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(desk.refused("apply contoso.yaml --settings server.toml").contains("chmod 600"));
    std::fs::remove_file(&key).unwrap();
    assert!(desk.refused("apply contoso.yaml --settings server.toml").contains("`postroad cert init`"));
}

#[test]
fn a_directory_that_is_away_is_named_with_where_it_should_be() {
    let desk = Desk::with_directory();
    let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
    desk.write("none.toml", &settings.replace("directory.db", "none/directory.db"));
    // Port 1 of this machine: nobody listens there.
    let etcd = settings.replace("'embedded'\npath = 'directory.db'", "'etcd'\nendpoints = ['http://127.0.0.1:1']");
    desk.write("etcd.toml", &etcd);
    for (file, place) in [("none.toml", "names the file none/directory.db"), ("etcd.toml", "names http://127.0.0.1:1")]
    {
        for command in ["apply contoso.yaml", "export", "servers", "explain b@x.example"] {
            let error = desk.refused(&format!("{command} --settings {file}"));
            assert!(error.contains("[directory] in the settings") && error.contains(place), "{command}: {error}");
        }
    }
}
