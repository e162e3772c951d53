//! Commands by the admin service of a server that runs: what they show is what they show with its settings, and what they change
//! stands in its audit log.

use serde_json::Value;

use crate::operations::Server;
use crate::support::{Desk, ORGANIZATION};

/// The samples of exports that crate import reads.
fn sample(desk: &Desk, name: &str) {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/samples");
    std::fs::copy(samples.join(name), desk.path(name)).unwrap();
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn what_is_read_by_the_api_is_what_is_read_by_the_settings() {
    let server = Server::start();
    let desk = &server.desk;
    server.send("clerk@partner.example");
    server.message("clerk@partner.example", "Retry");
    for command in ["export", "servers", "revisions --json", "explain clerk@partner.example --from BERLIN1 --json"] {
        let told = |place: &str| {
            let out = desk.done(&format!("{command} {place}"));
            // Default Receive connectors stand in another place of an export.
            let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(told("--api ./admin.sock"), told("--settings server.toml"), "{command}");
    }
    let waiting = json(&desk.done("queue --api ./admin.sock --server BERLIN1 --messages --json"));
    assert!(
        waiting.iter().any(|line| line["kind"] == "message" && line["sender"] == "anna@contoso.example"),
        "{waiting:?}"
    );
    server.until("the tracking log to be written", || {
        // The others do not answer, which is told besides.
        let run = desk.run("track --api ./admin.sock --server BERLIN1 --event RECEIVE");
        run.out.contains("clerk@partner.example").then_some(())
    });
    // Its services are asked by it; with a service that has no endpoint nobody is.
    let health = server.until("the gauges to be read", || {
        let states = json(&desk.done("health --api ./admin.sock --json"));
        Some(states).filter(|states| states[0]["queued"] == 1)
    });
    let told: Vec<(&Value, &Value)> = health.iter().map(|state| (&state["service"], &state["ready"])).collect();
    assert_eq!(told, [(&"transport".into(), &true.into())]);
    assert!(desk.refused("health mailbox-delivery --api ./admin.sock").contains("services.mailbox-delivery.metrics"));
    assert!(desk.refused("servers --api ./nowhere.sock").contains("nowhere.sock"));
    assert!(desk.refused("servers --api 192.0.2.1").contains("a certificate names its server"));
}

#[test]
fn what_is_changed_by_the_api_is_planned_told_rolled_back_and_audited() {
    let server = Server::start();
    let desk = &server.desk;
    server.send("clerk@partner.example");
    server.message("clerk@partner.example", "Retry");
    let before = json(&desk.done("revisions --api ./admin.sock --json --limit 1"))[0]["revision"].as_u64().unwrap();
    desk.write("changed.yaml", &ORGANIZATION.replace("[partner.example]", "[elsewhere.example]"));
    // The mail that waits would take another way.
    let plan = desk.done("apply changed.yaml --api ./admin.sock --dry-run");
    assert!(plan.contains("~ addressSpaces") && plan.contains("Impact on mail (1 waiting"), "{plan}");
    assert!(plan.contains("clerk@partner.example"), "{plan}");
    assert!(desk.refused("apply changed.yaml --api ./admin.sock").contains("add --yes"));
    desk.done("apply changed.yaml --api ./admin.sock --yes");
    let back = desk.done(&format!("rollback {before} --api ./admin.sock --dry-run"));
    assert!(back.contains("~ sendConnectors[\"Partner\"]"), "{back}");
    assert!(desk.refused("rollback 4000 --api ./admin.sock --yes").contains("there is no revision 4000 yet"));
    desk.done(&format!("rollback {before} --api ./admin.sock --yes"));
    assert_eq!(
        desk.done("apply contoso.yaml --api ./admin.sock"),
        "No changes. The organization is as the file describes it.\n"
    );
    let audit = |arguments: &str| desk.done(&format!("audit --api ./admin.sock --object Partner {arguments}"));
    let lines = server.until("the audit log to be written", || {
        Some(json(&audit("--json --parameter addressSpaces"))).filter(|lines| lines.len() >= 3)
    });
    let through: Vec<&str> = lines.iter().map(|line| line["through"].as_str().unwrap()).collect();
    assert_eq!(
        through,
        [
            format!("postroad rollback {before}, admin API of BERLIN1"),
            "postroad apply, admin API of BERLIN1".to_owned(),
            "postroad apply".to_owned(),
        ]
    );
    assert_eq!(lines[1]["caller"], net::user_name(net::own_user()));
    let text = audit("--cmdlet Set-SendConnector --limit 1");
    assert!(
        text.contains("Set-SendConnector sendConnectors[\"Partner\"]") && text.contains("addressSpaces: "),
        "{text}"
    );
    assert!(audit("--user nobody").starts_with("No change that is looked for"));
    let found = server.shell(
        &["--api", "./admin.sock"],
        "(Search-AdminAuditLog -ObjectIds Partner -Cmdlets Set-SendConnector -Parameters addressSpaces).Count",
    );
    assert_eq!((found.out.trim(), found.err.as_str()), ("2", ""));
    let refused = server.desk.run_words(["shell", "--organization", "contoso.yaml", "-c", "Search-AdminAuditLog"]);
    assert!(refused.err.contains("There is no server here"), "{}", refused.err);
}

#[test]
fn an_export_of_exchange_is_imported_into_a_file_and_by_the_api() {
    let server = Server::start();
    let desk = &server.desk;
    sample(desk, "send-connectors.clixml");
    let to_file = desk.run("import send-connectors.clixml --organization-file imported.yaml");
    assert!(
        to_file.out.contains("imported.yaml: ") && to_file.err.contains("To internet"),
        "{}{}",
        to_file.out,
        to_file.err
    );
    assert!(desk.refused("import nowhere.xml --organization-file -").contains("nowhere.xml"));
    assert_eq!(desk.run("import nowhere.xml --organization-file -").status, 2);
    assert!(desk.done("import --print-script").contains("Save 'send-connectors'"));
    let planned = desk.run("import send-connectors.clixml --api ./admin.sock --dry-run");
    assert!(planned.out.contains("+ sendConnectors[\"To internet\"]"), "{}{}", planned.out, planned.err);
    let names = |desk: &Desk| desk.done("export --api ./admin.sock").contains("To internet");
    assert!(!names(desk), "a plan changes nothing");
    assert!(desk.run("import send-connectors.clixml --api ./admin.sock").err.contains("add --yes"));
    let imported = desk.run("import send-connectors.clixml --api ./admin.sock --yes");
    assert!(
        imported.out.contains("Imported; the directory is at revision ") && names(desk),
        "{}{}",
        imported.out,
        imported.err
    );
    let again = desk.run("import send-connectors.clixml --api ./admin.sock --yes");
    assert!(again.out.contains("No changes"), "{}", again.out);
}

#[test]
fn the_lines_of_the_powershell_module_are_read() {
    let server = Server::start();
    let run = |line: &str| {
        use std::io::Write as _;
        let mut shell = crate::support::command(&server.desk.path(""));
        shell.args(["shell", "--json", "--api", "./admin.sock"]);
        shell
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        shell.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (succeeded, out, err) = run(
        "Set-SendConnector 'Internet' -AddressSpaces @('SMTP:*;10','x.example') -Comment 'it''s theirs' -MaxMessageSize '8 MB (8,388,608 bytes)'\n",
    );
    assert!(succeeded && out.is_empty(), "{out}{err}");
    let (_, out, _) = run("Get-SendConnector -Identity 'Internet'\n");
    let connector = &json(&out)[0];
    assert_eq!(
        (&connector["Comment"], &connector["AddressSpaces"][1]),
        (&"it's theirs".into(), &"SMTP:x.example;1".into()),
        "{out}"
    );
    assert!(connector["MaxMessageSize"].to_string().contains("8 MB (8,388,608 bytes)"), "{out}");
    let (succeeded, _, err) = run("Remove-SendConnector 'Partner'\n");
    assert!(!succeeded && err.contains("-Confirm:$false"), "{err}");
}
