//! `postroad explain` by a file: what people read, and what programs read.

use serde_json::{Value, json};

use crate::support::{Desk, ORGANIZATION};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn people_read_the_route_and_every_candidate() {
    let run = Desk::new().run("explain bob@partner.example nobody@contoso.example --organization contoso.yaml");
    assert!(run.succeeded);
    assert_eq!(
        run.out,
        "\
bob@partner.example
  Goes to a source server of Send connector Partner in site Oslo, where it leaves the organization.

  message     10 KB (10,240 bytes), on BERLIN1 in site Berlin, revision 0
  next hop    SmtpRelayToConnectorSourceServers Partner
  path        Berlin ▸ Oslo, 1 hop, cost 10
                 10  to Oslo by site link Line, its AD cost
  cost        10 for the path + 1 of the address space = 11, the aggregate cost of the connector (RT-51)
  attempts    1. OSLO1 in Oslo: a source server of the connector (RT-34)
              Then it waits on BERLIN1 and is tried again (RT-39).

  Send connectors considered
  ✔ Partner   selected: matches exactly, aggregate cost 10+1=11, nearest source server 1 site hop away
  ✘ Internet  RT-50 matches everything, the selected one matches exactly
              To change this, give it an address space as precise as the selected one's.

nobody@contoso.example
  Is given up, the sender gets a non-delivery notification: 550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found
  (PL-46).

  message     10 KB (10,240 bytes), on BERLIN1 in site Berlin, revision 0
  to change   add the recipient, or make contoso.example an accepted domain of type InternalRelay

rules (`postroad rule` names their sources)
  RT-51  Then the lowest aggregate cost: of the path to the nearest source server, and of the address space.
  RT-34  First all target servers of the primary site are tried.
  RT-39  When all have failed the queue is in Retry on this server.
  RT-50  The most precise address space wins, whatever its cost.
  PL-46  An unknown recipient of an authoritative domain gets 5.1.1; of a relay domain it is routed by
         connector.
"
    );
    assert_eq!(run.err, "note: as decided on BERLIN1; --from names another server\n");
}

#[test]
fn recipients_come_from_a_list_and_from_several_servers() {
    let desk = Desk::new();
    desk.write("list.txt", "# partners\nbob@partner.example\n\n  anna@contoso.example\n");
    let line = "explain eve@x.example --recipients list.txt --from BERLIN1,OSLO1 --organization contoso.yaml --json";
    let answers = lines(&desk.done(line));
    let asked: Vec<_> = answers.iter().map(|answer| (&answer["recipient"], &answer["from"])).collect();
    assert_eq!(asked.len(), 6);
    assert_eq!(asked[2], (&json!("bob@partner.example"), &json!("BERLIN1")));
    assert_eq!(asked[5], (&json!("anna@contoso.example"), &json!("OSLO1")));
    desk.write("list.txt", "bob@partner.example\nnobody\n");
    let error = desk.refused("explain --recipients list.txt --organization contoso.yaml");
    assert!(error.contains("list.txt:2: \"nobody\" is no address"), "{error}");
    desk.write("list.txt", "# nobody\n");
    assert!(desk.refused("explain --recipients list.txt --organization contoso.yaml").contains("the list is empty"));
}

#[test]
fn no_size_limit_concerns_the_notifications_of_the_organization() {
    // LM-14: neither the organization's limit nor those of connectors.
    let ask = "explain bob@partner.example --organization contoso.yaml --from OSLO1 --json --size 1GB --sender <>";
    let answer = lines(&Desk::new().done(ask)).remove(0);
    assert_eq!((&answer["outcome"], &answer["connector"]), (&json!("route"), &json!("Partner")));
    assert_eq!((&answer["sender"], &answer["limit"]), (&json!("<>"), &Value::Null));
}

/// Oslo's connector takes nothing any more, and the recipients are not spoken of.
fn without_partner() -> String {
    let (organization, _) = ORGANIZATION.split_once("recipients:").unwrap();
    organization.replace("maxMessageSize: 4MB", "enabled: false")
}

#[test]
fn a_change_is_told_before_it_is_made() {
    let desk = Desk::new();
    desk.write("wanted.yaml", &without_partner());
    let ask = |recipients: &str, more: &str| {
        let rest = format!("--from OSLO1 --organization contoso.yaml --diff wanted.yaml {more}");
        desk.run(&format!("explain {recipients} {rest}"))
    };
    let same = ask("anna@contoso.example x@tailspin.example", "");
    assert_eq!((same.status, same.out.as_str()), (0, "Nothing changes for 2 questions.\n"), "{}", same.err);
    let changed = ask("anna@contoso.example b@partner.example", "");
    assert_eq!(changed.status, 1, "{}", changed.err);
    assert_eq!(
        changed.out,
        "\
b@partner.example goes another way, from OSLO1
  before  connector Partner, SmartHostConnectorDelivery relay.partner.example, cost 1
  after   connector Internet, SmtpRelayToConnectorSourceServers Internet, cost 20
  why     Partner now is eliminated by RT-49: disabled
          Internet before was eliminated by RT-50: matches everything, the selected one matches exactly
          the path was Oslo at 0, and is Oslo-Berlin at 10 (RT-06)

1 of 2 questions would be answered otherwise: 1 by another way.

rules (`postroad rule` names their sources)
  RT-49  A connector must be enabled, not scoped to another site, and have an address space that matches.
  RT-50  The most precise address space wins, whatever its cost.
  RT-06  The cost of a path is the sum of its links; the lowest wins.
"
    );
    let alike = ask("b@partner.example c@partner.example d@partner.example", "").out;
    assert!(alike.starts_with("b@partner.example (and 2 more alike) goes another way, from OSLO1\n"), "{alike}");
    assert!(
        !alike.contains("c@partner")
            && alike.contains("\n3 of 3 questions would be answered otherwise: 3 by another way.\n")
    );
    let json = lines(&ask("b@partner.example anna@contoso.example", "--json").out);
    assert_eq!(json.len(), 2);
    assert_eq!((&json[0]["change"], &json[0]["before"]["connector"]), (&json!("rerouted"), &json!("Partner")));
    assert_eq!(json[0]["after"]["connector"], "Internet");
    let counts = json!({"asked": 2, "changed": 1, "lost": 0, "rerouted": 1, "gained": 0, "detail": 0});
    assert_eq!(json[1]["summary"], counts);
    // Whoever loses the last connector, the link, or the mailbox has no way; the opposite gets one.
    desk.write("wanted.yaml", &ORGANIZATION.replace("'*;10'", "'fabrikam.example;10'"));
    let lost = lines(&ask("x@tailspin.example c@fabrikam.example", "--json").out);
    assert_eq!((&lost[0]["change"], &lost[0]["after"]["outcome"]), (&json!("lost"), &json!("unreachable")));
    assert_eq!(lost[1]["summary"]["changed"], 1);
    let back = "explain x@tailspin.example --from OSLO1 --organization wanted.yaml --diff contoso.yaml --json";
    assert_eq!(lines(&desk.run(back).out)[0]["change"], "gained");
    // A group of which one member changes its way.
    let group = lines(&ask("team@contoso.example", "--size 5MB --json").out);
    assert_eq!(group[0]["summary"]["changed"], 0, "{group:?}");
    desk.write("wanted.yaml", &ORGANIZATION.replace("cost: 10}", "cost: 11}"));
    let dearer = lines(&ask("anna@contoso.example team@contoso.example", "--json").out);
    assert_eq!((&dearer[0]["change"], &dearer[1]["change"]), (&json!("detail"), &json!("detail")));
    assert_eq!(dearer[0]["why"], json!(["the path costs 11 instead of 10 (RT-06)"]));
    // What cannot be compared.
    for (line, expected) in [
        ("explain b@x.example --organization contoso.yaml --diff none.yaml", "cannot read none.yaml"),
        ("explain b@x.example --organization contoso.yaml --from NONE --diff contoso.yaml", "there is no server NONE"),
        ("explain b@x.example --diff contoso.yaml", "start a lab"),
    ] {
        let run = desk.run(line);
        assert_eq!(run.status, 2, "{line}");
        assert!(run.err.contains(expected), "{line}: {}", run.err);
    }
}

#[test]
fn programs_read_one_object_for_each_recipient() {
    let out = Desk::new()
        .done("explain b@partner.example anna@contoso.example --organization contoso.yaml --from oslo1 --json");
    let [partner, anna] = <[Value; 2]>::try_from(lines(&out)).unwrap();
    for (field, expected) in [
        ("recipient", json!("b@partner.example")),
        ("from", json!("OSLO1")),
        ("size", json!(10240)),
        ("outcome", json!("route")),
        ("connector", json!("Partner")),
        ("primarySite", json!("Oslo")),
        ("path", json!(["Oslo"])),
        ("cost", json!(1)),
        ("targets", json!([])),
        ("revision", json!(0)),
    ] {
        assert_eq!(partner[field], expected, "{field}");
    }
    assert_eq!(partner["nextHop"]["deliveryType"], "SmartHostConnectorDelivery");
    assert_eq!(partner["nextHop"]["domain"], "relay.partner.example");
    assert_eq!(partner["nextHop"]["connector"].as_str().map(str::len), Some(36));
    assert_eq!(partner["candidates"][0]["connector"], "Partner");
    assert_eq!(partner["candidates"][0]["eliminated"], Value::Null);
    assert_eq!(partner["candidates"][1]["eliminated"], "RT-50");
    assert_eq!(anna["nextHop"]["deliveryType"], "SmtpRelayToMailboxDeliveryGroup");
    assert_eq!((&anna["path"], &anna["cost"]), (&json!(["Oslo", "Berlin"]), &json!(10)));
    assert_eq!(anna["targets"], json!(["BERLIN1"]));
    assert_eq!(anna["connector"], Value::Null);
}

#[test]
fn recipients_are_resolved_as_mail_is() {
    let desk = Desk::new();
    let recipients = "a.berg@contoso.example carol@contoso.example team@contoso.example";
    let out = desk.done(&format!("explain {recipients} --organization contoso.yaml --from BERLIN1 --json"));
    let [proxy, contact, group] = <[Value; 3]>::try_from(lines(&out)).unwrap();
    assert_eq!(
        (&proxy["recipient"], &proxy["resolved"]),
        (&json!("a.berg@contoso.example"), &json!("anna@contoso.example"))
    );
    assert_eq!(proxy["nextHop"]["domain"], "DB1");
    assert_eq!((&contact["resolved"], &contact["connector"]), (&json!("carol@fabrikam.example"), &json!("Internet")));
    assert_eq!((&group["outcome"], &group["nextHop"]), (&json!("expand"), &Value::Null));
    let members: Vec<_> = group["members"].as_array().unwrap().iter().map(|member| &member["recipient"]).collect();
    assert_eq!(members, ["olga@contoso.example", "carol@fabrikam.example"]);
    let human = desk.done(&format!("explain {recipients} --organization contoso.yaml --from BERLIN1"));
    for expected in [
        "a.berg@contoso.example stands for anna@contoso.example (PL-44)\n",
        "carol@contoso.example is a contact for carol@fabrikam.example (PL-49)\n",
        "team@contoso.example is a group, expanded on BERLIN1 to 2 recipients (PL-49)\n",
        "[2 of 2] carol@fabrikam.example\n",
    ] {
        assert!(human.contains(expected), "{expected}{human}");
    }
}

#[test]
fn limits_decide_for_a_sender_and_are_told_without_one() {
    // LM-05: 10 MB is the organization's limit when it sets none; RT-55: the only exact connector takes 4 MB.
    let desk = Desk::new();
    let ask = |more: &str| {
        let line = format!("explain bob@partner.example --organization contoso.yaml --from OSLO1 --json {more}");
        lines(&desk.done(&line)).remove(0)
    };
    let five = ask("--size 5MB");
    assert_eq!((&five["connector"], &five["limit"]), (&json!("Internet"), &Value::Null));
    assert_eq!(five["candidates"][1]["eliminated"], "RT-48");
    let twenty = ask("--size 20MB");
    assert_eq!((&twenty["outcome"], &twenty["limit"]["rule"]), (&json!("route"), &json!("LM-05")));
    let sent = ask("--size 20MB --sender anna@contoso.example");
    assert_eq!((&sent["outcome"], &sent["status"], &sent["rule"]), (&json!("ndr"), &json!("5.3.4"), &json!("LM-05")));
    let huge = ask("--size 1GB");
    assert_eq!((&huge["outcome"], &huge["rule"]), (&json!("ndr"), &json!("RT-55")));
    assert_eq!(huge["size"], 1 << 30);
}

#[test]
fn without_a_connector_mail_is_unreachable() {
    let desk = Desk::new();
    desk.write(
        "scoped.yaml",
        &ORGANIZATION.replace("addressSpaces: ['*;10']", "addressSpaces: ['*;10'], isScopedConnector: true"),
    );
    let out = desk.done("explain x@tailspin.example --organization scoped.yaml --from OSLO1 --json");
    let answer = lines(&out).remove(0);
    assert_eq!((&answer["outcome"], &answer["rule"]), (&json!("unreachable"), &json!("RT-55")));
    let internet = answer["candidates"].as_array().unwrap().iter().find(|found| found["connector"] == "Internet");
    assert_eq!(internet.unwrap()["eliminated"], "RT-49");
}

#[test]
fn a_lab_file_is_an_organization_file_too() {
    let desk = Desk::new();
    desk.write("lab.yaml", &format!("{ORGANIZATION}lab: {{smtpPort: 2500}}\n"));
    desk.done("explain bob@partner.example --organization lab.yaml");
}

#[test]
fn what_cannot_be_answered_says_what_to_do() {
    let desk = Desk::new();
    for (line, expected) in [
        ("explain b@x.example", "start a lab with `postroad lab up`"),
        ("explain b@x.example --organization contoso.yaml --from OSLO9", "it has EDGE1, BERLIN1, OSLO1"),
        ("explain b@x.example --organization none.yaml", "cannot read none.yaml"),
        ("explain bob --organization contoso.yaml", "an address needs a local part"),
        ("explain b@x.example --organization contoso.yaml --size huge", "such as 35MB"),
    ] {
        let error = desk.refused(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn two_thousand_connectors_are_told_in_a_screenful() {
    let desk = Desk::new();
    let more: String = (0..2000)
        .map(|at| {
            let space = if at % 2 == 0 { format!("d{at}.example") } else { format!("'*;{}'", 20 + at % 80) };
            format!("  - {{name: C{at}, addressSpaces: [{space}], sourceTransportServers: [BERLIN1]}}\n")
        })
        .collect();
    desk.write("large.yaml", &ORGANIZATION.replace("sendConnectors:\n", &format!("sendConnectors:\n{more}")));
    let ask = "explain bob@tailspin.example --from BERLIN1 --organization large.yaml";
    let out = desk.done(ask);
    assert!(out.lines().count() < 60, "{} lines", out.lines().count());
    for expected in
        ["✔ Internet", "✘ C1 ", "and 992 more match", "and 995 more have no address space that matches", "--all"]
    {
        assert!(out.contains(expected), "{expected}:\n{out}");
    }
    assert!(desk.done(&format!("{ask} --all")).lines().count() > 2_000);
}

#[test]
fn where_mail_waits_and_who_connects_is_said() {
    let desk = Desk::new();
    let proxied = ORGANIZATION.replace(
        "sourceTransportServers: [BERLIN1]}",
        "sourceTransportServers: [BERLIN1], frontendProxyEnabled: true}",
    );
    let fax =
        "foreignConnectors: [{name: Fax, addressSpaces: ['FAX:*'], sourceTransportServers: [OSLO1]}]\nrecipients:";
    desk.write("both.yaml", &proxied.replace("recipients:", fax));
    let front = desk.done("explain bob@tailspin.example --from BERLIN1 --organization both.yaml");
    assert!(front.contains("BERLIN1 in Berlin: a front end, which connects to the next hop (PL-27)"), "{front}");
    assert!(!front.contains("connects to the next hop itself"), "{front}");
    let there = desk.done("explain IMCEAFAX-1@contoso.example --from OSLO1 --organization both.yaml");
    for expected in [
        "Leaves the organization by Foreign connector Fax, from OSLO1, as a file in its Drop directory.",
        "FAX:1 (PL-45)",
        "none: OSLO1 writes the file (EN-62)",
        // Nobody is asked about what runs where the answer is by a file.
        "whether its Drop directory is there and has room now is known to OSLO1 alone",
    ] {
        assert!(there.replace("\n              ", " ").contains(expected), "{expected}\n{there}");
    }
    let typed = desk.done("explain FAX:1 --from OSLO1 --organization both.yaml --json");
    let typed: Value = serde_json::from_str(&typed).unwrap();
    assert_eq!(typed["recipient"], "IMCEAFAX-1@contoso.example");
    assert_eq!((&typed["gateways"][0]["server"], &typed["gateways"][0]["ready"]), (&"OSLO1".into(), &Value::Null));
    assert!(desk.refused("explain FAX:ü --organization both.yaml").contains("not ASCII"));
    let here = desk.done("explain IMCEAFAX-1@contoso.example --from BERLIN1 --organization both.yaml");
    assert!(here.contains("source server of Foreign connector Fax in site Oslo, where it leaves"), "{here}");
    let way = desk.done("topology bob@tailspin.example --from BERLIN1 --organization both.yaml");
    assert!(way.contains("BERLIN1 delivers it out of the organization"), "{way}");
}

#[test]
fn advice_fits_who_gets_it() {
    let desk = Desk::new();
    let limited = format!("{ORGANIZATION}transportConfig: {{maxReceiveSize: 2MB}}\n");
    desk.write("limited.yaml", &limited);
    let ask = |who: &str| {
        desk.done(&format!(
            "explain {who} --from OSLO1 --size 3MB --sender x@partner.example --organization limited.yaml"
        ))
    };
    let (inside, outside) = (ask("olga@contoso.example"), ask("bob@tailspin.example"));
    assert!(inside.contains("raise maxReceiveSize of transportConfig, or the recipient's own"), "{inside}");
    let advice = outside.contains("raise maxReceiveSize of transportConfig") && !outside.contains("recipient's own");
    assert!(advice || !outside.contains("to change   raise maxReceiveSize"), "{outside}");
}

#[test]
fn mail_for_a_name_of_our_own_is_said_to_come_back() {
    // RFC 5321 §5.1: what can be known without DNS.
    let desk = Desk::new();
    let published = ORGANIZATION.replace(
        "sourceTransportServers: [BERLIN1]}",
        "sourceTransportServers: [BERLIN1], fqdn: mail.contoso.example}",
    );
    desk.write("published.yaml", &published);
    let ask = |who: &str, more: &str| {
        desk.done(&format!("explain {who} --from OSLO1 --organization published.yaml {more}"))
            .replace("\n              ", " ")
    };
    for (who, comes_back) in [
        ("root@oslo1.contoso.example", true),
        ("root@BERLIN1.contoso.example", true),
        ("root@mail.contoso.example", true),
        ("root@sub.oslo1.contoso.example", false),
        ("bob@tailspin.example", false),
        // Smart hosts are not looked for in DNS.
        ("bob@partner.example", false),
        ("anna@contoso.example", false),
    ] {
        assert_eq!(
            ask(who, "").contains("mail comes back at once, 5.4.4 SMTPSEND.DNS.MxLoopback"),
            comes_back,
            "{who}"
        );
        let expected = if comes_back { json!("5.4.4 SMTPSEND.DNS.MxLoopback") } else { Value::Null };
        assert_eq!(lines(&ask(who, "--json")).remove(0)["loopback"], expected, "{who}");
    }
}

#[test]
fn an_x400_address_of_ours_is_explained_by_its_domain() {
    // EN-72, EN-71
    let desk = Desk::new();
    let more = "x400AuthoritativeDomains:\n  - {name: Ours, x400DomainName: C=US;A=Contoso}\n  \
                - {name: Shared, x400DomainName: C=US;A=Contoso;P=Sales, x400ExternalRelay: true}\n\
                deliveryAgentConnectors: [{name: Gate, addressSpaces: ['X400:*', 'X400:c=US;9'], deliveryProtocol: X.400, \
                sourceTransportServers: [BERLIN1]}]\nrecipients:";
    desk.write("x400.yaml", &ORGANIZATION.replace("recipients:", more));
    let run = |address: &str| {
        let told = desk.done(&format!("explain {address} --from BERLIN1 --organization x400.yaml"));
        told.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let unknown = run("X400:s=Nobody;A=contoso;C=us");
    assert!(
        unknown.contains("5.1.1") && unknown.contains("in X.400 domain Ours of the organization (EN-72)"),
        "{unknown}"
    );
    assert!(unknown.contains("set x400ExternalRelay of X.400 domain Ours to true"), "{unknown}");
    let shared = run("X400:C=US;A=Contoso;P=Sales;S=Bo");
    assert!(
        shared.contains("by a delivery agent for protocol X.400") && shared.contains("DeliveryAgent X400:c=US"),
        "{shared}"
    );
    assert!(shared.contains("whether a delivery agent is there now is known to BERLIN1 alone"), "{shared}");
}
