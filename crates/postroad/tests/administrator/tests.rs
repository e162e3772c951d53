//! `postroad test`: what passes, what fails and why, and what cannot be run.

use serde_json::Value;

use crate::support::Desk;

const TESTS: &str = "\
defaults: {from: BERLIN1}
tests:
  - name: the partner has its connector
    recipient: bob@partner.example
    expect: {connector: partner, path: [Berlin, Oslo], cost: 11, targets: [OSLO1], eliminated: {Internet: RT-50}}
  - recipient: [x@tailspin.example, y@tailspin.example]
    from: [BERLIN1, OSLO1]
    expect: {outcome: route, notConnector: Partner}
";

const FAILING: &str = "\
tests:
  - name: small mail goes to <the partner> & nobody else
    recipient: bob@partner.example
    from: OSLO1
    size: 5MB
    expect: {connector: Partner, deliveryType: SmartHostConnectorDelivery, status: 5.3.4}
";

#[test]
fn tests_that_hold_pass() {
    let desk = Desk::new();
    desk.write("good.yaml", TESTS);
    let run = desk.run("test good.yaml --organization contoso.yaml");
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
✔ the partner has its connector (bob@partner.example from BERLIN1)
✔ x@tailspin.example from BERLIN1
✔ x@tailspin.example from OSLO1
✔ y@tailspin.example from BERLIN1
✔ y@tailspin.example from OSLO1

5 passed, none failed.
"
    );
}

#[test]
fn a_test_that_fails_says_what_is_and_why() {
    let desk = Desk::new();
    desk.write("good.yaml", TESTS);
    desk.write("bad.yaml", FAILING);
    let run = desk.run("test good.yaml bad.yaml --organization contoso.yaml --junit report.xml");
    assert_eq!(run.status, 1, "{}", run.err);
    for expected in [
        "✘ small mail goes to <the partner> & nobody else (bob@partner.example from OSLO1)\n    bad.yaml:2\n",
        "    connector: expected Partner, is Internet\n",
        "    deliveryType: expected SmartHostConnectorDelivery, is SmtpRelayToConnectorSourceServers\n",
        "    status: expected 5.3.4, is nothing\n",
        "✘ Partner   RT-48 takes messages up to 4 MB",
        "\n5 passed, 1 failed.\n",
    ] {
        assert!(run.out.contains(expected), "{expected}\n{}", run.out);
    }
    let report = std::fs::read_to_string(desk.path("report.xml")).unwrap();
    assert!(report.contains("<testsuite name=\"postroad test\" tests=\"6\" failures=\"1\">"), "{report}");
    assert!(report.contains("name=\"small mail goes to &lt;the partner&gt; &amp; nobody else"), "{report}");
    assert!(
        report.contains("line=\"2\">\n    <failure message=\"connector: expected Partner, is Internet; "),
        "{report}"
    );
    let json = desk.run("test bad.yaml --organization contoso.yaml --json").out;
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["passed"], &lines[0]["line"]), (&false.into(), &2.into()));
    assert_eq!(lines[0]["failures"][0]["actual"], "Internet");
    assert_eq!(lines[0]["answer"]["connector"], "Internet");
    assert_eq!(lines[1]["summary"]["failed"], 1);
}

#[test]
fn tests_that_cannot_be_run_are_no_failures() {
    let desk = Desk::new();
    desk.write("good.yaml", TESTS);
    desk.write("typo.yaml", &TESTS.replace("notConnector", "notConector"));
    desk.write("server.yaml", &TESTS.replace("[BERLIN1, OSLO1]", "[BERLIN1, OSLO9]"));
    for (line, expected) in [
        ("test typo.yaml --organization contoso.yaml", "typo.yaml:8:"),
        ("test none.yaml --organization contoso.yaml", "cannot read none.yaml"),
        ("test good.yaml --organization none.yaml", "cannot read none.yaml"),
        ("test server.yaml --organization contoso.yaml", "server.yaml:6: there is no server OSLO9"),
        ("test good.yaml", "start a lab with `postroad lab up`"),
        ("test", "Usage: postroad test"),
    ] {
        let run = desk.run(line);
        assert_eq!(run.status, 2, "{line}: {}{}", run.out, run.err);
        assert!(run.err.contains(expected), "{line}: {}", run.err);
    }
}

#[test]
fn a_name_that_nothing_has_is_an_error_and_all_errors_are_told_at_once() {
    let desk = Desk::new();
    let names = TESTS.replace("notConnector: Partner", "notConnector: [Interent, Partner], targets: OLSO1");
    desk.write("names.yaml", &names.replace("path: [Berlin, Oslo]", "path: [Berlin, Nowhere]"));
    desk.write("empty.yaml", "tests: []\n");
    let run = desk.run("test names.yaml empty.yaml --organization contoso.yaml");
    assert_eq!((run.status, run.out.as_str()), (2, ""), "{}", run.err);
    for expected in [
        "names.yaml:3: path: there is no site Nowhere; there are Berlin, Oslo\n",
        "names.yaml:6: notConnector: there is no connector Interent; is it Internet?\n",
        "names.yaml:6: targets: there is no server OLSO1; is it OSLO1?\n",
        "empty.yaml: there is no test in it",
    ] {
        assert!(run.err.contains(expected), "{expected}\n{}", run.err);
    }
}

#[test]
fn the_live_organization_is_tested_like_a_file() {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    desk.write("good.yaml", TESTS);
    assert!(desk.done("test good.yaml --settings server.toml").ends_with("\n5 passed, none failed.\n"));
}
