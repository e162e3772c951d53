//! Changing: the wizard for each type, a rejected change, the plan, two administrators at once, undo (AC-12…28, WA-10…15, WA-80…83).

use organization::{Change, Object};

use super::world::{Browser, World};
use crate::estate::{Handling, QueueView};

/// The wizard to its end: what it asks in its order.
async fn wizard(anna: &mut Browser, name: &str, usage: &str, network: &[(&str, &str)], credential: bool) -> String {
    let mut to = anna.get("/send-connectors/new").await.header("location").unwrap().to_owned();
    anna.get(&to).await;
    let mut step = async |form: &[(&str, &str)]| {
        let reply = anna.post(&to, form).await;
        assert_eq!(reply.status, 303, "{to}: {}", reply.text());
        to = reply.header("location").unwrap().to_owned();
        to.clone()
    };
    step(&[("name", name), ("usage", usage), ("comment", ""), ("do", "next")]).await;
    let mut form = network.to_vec();
    form.push(("do", "next"));
    let next = step(&form).await;
    if network.contains(&("dnsRoutingEnabled", "false")) {
        assert!(next.ends_with("/3"), "AC-12: authentication is a step of smart hosts");
        if credential {
            let password = ("authenticationCredential:password", "a secret word");
            let mechanism = ("smartHostAuthMechanism", "BasicAuthRequireTLS");
            step(&[mechanism, ("authenticationCredential:user", "joe"), password, ("do", "next")]).await;
        } else {
            step(&[("smartHostAuthMechanism", "None"), ("do", "next")]).await;
        }
    } else {
        assert!(next.ends_with("/4"), "{next}");
    }
    step(&[
        ("addressSpaces", "fabrikam.example\r\n*.fabrikam.example;5"),
        ("isScopedConnector.there", "1"),
        ("do", "next"),
    ])
    .await;
    step(&[("sourceTransportServers.there", "1"), ("sourceTransportServers", "BERLIN1"), ("fqdn", ""), ("do", "next")])
        .await;
    step(&[("requireTLS.there", "1"), ("tlsAuthLevel", ""), ("maxMessageSize", ""), ("do", "next")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wizard_makes_a_connector_of_each_type() {
    // AC-12…23, WA-80
    let world = World::new();
    let mut anna = world.anna().await;
    let mx: &[(&str, &str)] = &[
        ("dnsRoutingEnabled", "true"),
        ("smartHosts", "left.over.example"),
        ("useExternalDNSServersEnabled.there", "1"),
    ];
    let hosts: &[(&str, &str)] = &[("dnsRoutingEnabled", "false"), ("smartHosts", "relay.fabrikam.example\n192.0.2.7")];
    for (usage, network, size) in [
        ("Custom", mx, "35MB"),
        ("Internal", hosts, "unlimited"),
        // AC-17, AC-18 as WA-15 has it: the shell allows it, and so does this.
        ("Internal", mx, "unlimited"),
        ("Internet", mx, "35MB"),
        ("Partner", hosts, "35MB"),
    ] {
        let name = format!("{usage} {}", network.len());
        let plan = wizard(&mut anna, &name, usage, network, false).await;
        let page = anna.get(&plan).await;
        assert!(page.text().contains(&format!("<h1>New Send connector {name}</h1>")), "{}", page.text());
        assert!(world.memory.connector(&name).is_none(), "nothing is made before");
        let (to, _) = anna.follow(&format!("{plan}/do"), &[("do", "apply")]).await;
        assert!(to.starts_with("/revisions/"), "{to}");
        let made = world.memory.connector(&name).unwrap();
        assert_eq!(made.usage.to_string(), usage);
        assert!(made.enabled, "AC-23: enabled at once");
        assert_eq!(made.smart_hosts.len(), if network == hosts { 2 } else { 0 });
        assert_eq!(made.dns_routing_enabled, network == mx);
        assert_eq!(
            made.max_message_size.to_string().to_lowercase().starts_with("unlimited"),
            size == "unlimited",
            "SC-23"
        );
        assert_eq!(
            made.address_spaces.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["SMTP:fabrikam.example;1", "SMTP:*.fabrikam.example;5"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wizard_restricts_by_advice_as_the_exchange_admin_center_does() {
    // AC-13, AC-17, AC-18, WA-15
    let world = World::new();
    let mut anna = world.anna().await;
    for (usage, restricted) in
        [("Internal", "value=\"true\""), ("Partner", "value=\"false\""), ("Custom", ""), ("Internet", "")]
    {
        let to = anna.get("/send-connectors/new").await.header("location").unwrap().to_owned();
        let page = anna.get(&to).await.text();
        assert!(!page.contains("checked"), "AC-13: no type is chosen for anybody");
        let reply = anna.post(&to, &[("name", "X"), ("usage", usage), ("do", "next")]).await;
        let page = anna.get(reply.header("location").unwrap()).await.text();
        let options: Vec<&str> = page.split("<label class=\"option\">").skip(1).collect();
        for option in options {
            let option = option.split("</label>").next().unwrap();
            let expected = !restricted.is_empty() && option.contains(restricted);
            assert_eq!(option.contains("the EAC offers this only after creation"), expected, "{usage}: {option}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_says_what_is_wrong_where_it_is_wrong_and_keeps_what_was_typed() {
    // WA-41, AC-13, AC-15, AC-20, AC-22
    let world = World::new();
    let mut anna = world.anna().await;
    let to = anna.get("/send-connectors/new").await.header("location").unwrap().to_owned();
    anna.get(&to).await;
    for (form, expected) in [
        (vec![("name", ""), ("usage", "Custom")], "give it a name"),
        (vec![("name", "partner"), ("usage", "Custom")], "already (V-26)"),
        (vec![("name", "Mine")], "choose a type"),
    ] {
        let reply = anna.post(&to, &form).await;
        assert_eq!(reply.status, 422);
        let text = reply.text();
        assert!(
            text.contains(expected) && text.contains("role=\"alert\"") && text.contains("aria-invalid")
                || text.contains("choose a type"),
            "{text}"
        );
        assert!(text.contains(&format!("value=\"{}\"", form[0].1)), "what was typed stays");
    }
    let base = to.trim_end_matches('1').to_owned();
    anna.post(&to, &[("name", "Mine"), ("usage", "Custom"), ("do", "next")]).await;
    let two = format!("{base}2");
    for (hosts, expected) in [
        ("", "name at least one smart host"),
        ("relay.example:26", "no port of its own"),
        ("-bad-", "neither an IP address nor a host name"),
    ] {
        let reply = anna.post(&two, &[("dnsRoutingEnabled", "false"), ("smartHosts", hosts), ("do", "next")]).await;
        assert!(reply.status == 422 && reply.text().contains(expected), "{hosts}: {}", reply.text());
    }
    anna.post(&two, &[("dnsRoutingEnabled", "false"), ("smartHosts", "relay.example"), ("do", "next")]).await;
    let reply = anna.post(&format!("{base}3"), &[("smartHostAuthMechanism", "BasicAuth"), ("do", "next")]).await;
    assert!(reply.text().contains("give a user name and a password (V-9)"));
    anna.post(&format!("{base}3"), &[("smartHostAuthMechanism", "None"), ("do", "next")]).await;
    let reply =
        anna.post(&format!("{base}4"), &[("addressSpaces", "good.example\n*bad.example"), ("do", "next")]).await;
    assert!(reply.status == 422 && reply.text().contains("line 2"), "{}", reply.text());
    anna.post(&format!("{base}4"), &[("addressSpaces", "good.example"), ("do", "next")]).await;
    let reply = anna.post(&format!("{base}5"), &[("sourceTransportServers.there", "1"), ("do", "next")]).await;
    assert!(reply.text().contains("choose at least one server (AC-22)"));
    // Back keeps values (AC-12).
    let (_, page) = anna.follow(&format!("{base}5"), &[("sourceTransportServers.there", "1"), ("do", "back")]).await;
    assert!(page.text().contains("good.example"));
    // A step that was not reached yet cannot be opened.
    assert_eq!(anna.get(&format!("{base}6")).await.status, 303);
    let mut ben = world.with("ben", "Organization Management").await;
    assert_eq!(ben.get(&two).await.status, 404, "a draft is one person's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_answer() {
    // WA-67, WA-81
    let world = World::new();
    let mut anna = world.anna().await;
    let hosts: &[(&str, &str)] = &[("dnsRoutingEnabled", "false"), ("smartHosts", "relay.fabrikam.example")];
    let plan = wizard(&mut anna, "Secret", "Custom", hosts, true).await;
    let mut answers = vec![anna.get(&plan).await.text()];
    let (revision, page) = anna.follow(&format!("{plan}/do"), &[("do", "apply")]).await;
    answers.push(page.text());
    for to in [
        "/send-connectors/Secret",
        "/send-connectors/Secret/edit",
        "/send-connectors/new?copy=Secret",
        &revision,
        "/audit",
        "/send-connectors.json",
    ] {
        answers.push(anna.get(to).await.text());
    }
    for answer in answers {
        assert!(!answer.contains("a secret word"), "{answer}");
    }
    assert!(world.memory.connector("Secret").unwrap().authentication_credential.is_some());
    assert!(!format!("{:?}", world.memory.notes.lock()).contains("a secret word"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_rejected_with_its_rule_and_changes_only_what_was_changed() {
    // AC-24…26, V-2, V-12
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/send-connectors/Internet/edit").await;
    let reply = anna
        .post("/send-connectors/Internet/edit", &[("tlsAuthLevel", "CertificateValidation"), ("requireTLS.there", "1")])
        .await;
    assert_eq!(reply.status, 422);
    assert!(reply.text().contains("f-tlsAuthLevel-error"), "{}", reply.text());
    let reply = anna
        .post("/send-connectors/Internet/edit", &[("smartHosts", "relay.example"), ("dnsRoutingEnabled", "true")])
        .await;
    assert_eq!(reply.status, 422, "V-2");
    let reply = anna.post("/send-connectors/Internet/edit", &[("port", "99999")]).await;
    assert!(reply.status == 422 && reply.text().contains("0 to 65535"), "{}", reply.text());
    let (plan, page) =
        anna.follow("/send-connectors/Internet/edit", &[("maxMessageSize", "10 MB"), ("comment", "<b>")]).await;
    let text = page.text();
    assert!(text.contains("<del><span>") || text.contains("<del>35MB</del>"), "{text}");
    assert!(text.contains("<ins>10MB</ins>") && text.contains("&lt;b&gt;") && !text.contains("<ins><b>"));
    anna.post(&format!("{plan}/do"), &[("do", "apply")]).await;
    let now = world.memory.connector("Internet").unwrap();
    assert_eq!((now.comment.as_str(), now.port), ("<b>", 25));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_at_once_the_second_sees_both_changes_and_loses_nothing() {
    // WA-12, WA-82
    let world = World::new();
    let mut anna = world.anna().await;
    let mut ben = world.with("ben", "Organization Management").await;
    anna.get("/send-connectors/Partner/edit").await;
    ben.get("/send-connectors/Partner/edit").await;
    let (first, _) = anna.follow("/send-connectors/Partner/edit", &[("comment", "by Anna")]).await;
    let (second, _) = ben.follow("/send-connectors/Partner/edit", &[("port", "2525")]).await;
    anna.post(&format!("{first}/do"), &[("do", "apply")]).await;
    let reply = ben.post(&format!("{second}/do"), &[("do", "apply")]).await;
    assert_eq!(reply.status, 409);
    let text = reply.text();
    assert!(text.contains("by Anna") && text.contains("2525") && text.contains("<strong>anna</strong>"), "{text}");
    assert_eq!(world.memory.connector("Partner").unwrap().port, 25, "nothing of the second was done");
    let (again, page) = ben.follow(&format!("{second}/do"), &[("do", "again")]).await;
    assert!(page.text().contains("2525") && !page.text().contains("by Anna"), "{}", page.text());
    ben.post(&format!("{again}/do"), &[("do", "apply")]).await;
    let now = world.memory.connector("Partner").unwrap();
    assert_eq!((now.comment.as_str(), now.port), ("by Anna", 2525));
    // The plan of another is nobody's business, and a plan is made once (WA-43).
    assert_eq!(anna.get(&again).await.status, 404);
    let twice = ben.post(&format!("{again}/do"), &[("do", "apply")]).await;
    assert_eq!(twice.header("location"), Some("/revisions/9"));
    assert_eq!(world.memory.organization().revision().0, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_mail_without_a_way_is_typed_and_can_be_undone_with_the_same_identity() {
    // WA-11, WA-83
    let world = World::of(&super::world::ORGANIZATION.replace("- {name: Partner", "- {name: Only"));
    let mut anna = world.anna().await;
    let guid = world.memory.connector("Internet").unwrap().guid;
    anna.get("/send-connectors/Internet").await;
    let (plan, page) = anna.follow("/send-connectors/Internet/do", &[("do", "remove")]).await;
    assert!(page.text().contains("no way any more") && page.text().contains("Type “apply”"), "{}", page.text());
    let reply = anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "yes")]).await;
    assert_eq!(reply.status, 422);
    assert!(world.memory.connector("Internet").is_some());
    let (to, page) = anna.follow(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert!(to == "/revisions/8" && page.text().contains("Put Internet back …"), "{to}");
    assert!(world.memory.connector("Internet").is_none());
    let (undo, _) = anna.follow("/revisions/7/restore", &[]).await;
    anna.post(&format!("{undo}/do"), &[("do", "apply")]).await;
    assert_eq!(world.memory.connector("Internet").unwrap().guid, guid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_copied_disabled_enabled_and_renamed() {
    // AC-24, AC-28
    let world = World::new();
    let mut anna = world.anna().await;
    let to = anna.get("/send-connectors/new?copy=Partner").await.header("location").unwrap().to_owned();
    let page = anna.get(&to).await.text();
    assert!(page.contains("name=\"name\" value=\"\""), "a copy needs a name of its own");
    anna.get("/send-connectors/Partner").await;
    for (verb, expected) in [("disable", false), ("enable", true)] {
        let (plan, _) = anna.follow("/send-connectors/Partner/do", &[("do", verb)]).await;
        anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
        assert_eq!(world.memory.connector("Partner").unwrap().enabled, expected);
    }
    let guid = world.memory.connector("Partner").unwrap().guid;
    let (plan, _) = anna.follow("/send-connectors/Partner/edit", &[("name", "Bank")]).await;
    anna.post(&format!("{plan}/do"), &[("do", "apply")]).await;
    assert_eq!(world.memory.connector("Bank").unwrap().guid, guid);
    assert_eq!(
        anna.get(&format!("/send-connectors/{guid}")).await.header("location"),
        Some("/send-connectors/Bank"),
        "WA-03"
    );
    assert_eq!(anna.get("/send-connectors/Partner").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_is_edited_by_forms_of_the_schema() {
    // AC-31…46, AC-50…52
    let world = World::new();
    let mut anna = world.anna().await;
    for (to, form) in [
        (
            "/receive-connectors/new",
            vec![
                ("name", "Relay"),
                ("bindings", "0.0.0.0:2526"),
                ("remoteIPRanges", "192.0.2.0/28"),
                ("transportRole", "FrontendTransport"),
                ("server", "BERLIN1"),
            ],
        ),
        (
            "/domains/new",
            vec![
                ("name", "Fabrikam"),
                ("domainName", "fabrikam.example"),
                ("domainType", "InternalRelay"),
                ("addressBookEnabled.there", "1"),
                ("addressBookEnabled", "true"),
                ("default.there", "1"),
                ("default", "true"),
            ],
        ),
        ("/site-links/Berlin-Oslo/edit", vec![("exchangeCost", "25")]),
        ("/sites/Oslo/edit", vec![("hubSiteEnabled.there", "1"), ("hubSiteEnabled", "true")]),
        (
            "/servers/OSLO1/edit",
            vec![("transport.maxPerDomainOutboundConnections", "20"), ("transport.maxOutboundConnections", "777")],
        ),
        ("/settings/edit", vec![("maxSendSize", "20MB")]),
    ] {
        anna.get(to).await;
        let (plan, page) = anna.follow(to, &form).await;
        assert!(!page.text().contains("<button disabled>Apply"), "{to}: {}", page.text());
        let reply = anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
        assert_eq!(reply.status, 303, "{to}: {}", reply.text());
    }
    let now = world.memory.organization();
    assert_eq!(now.default_domain().unwrap().to_string(), "fabrikam.example", "AC-46: one is the default");
    let looked_up = |world: &World| world.memory.organization().accepted_domains()[1].address_book_enabled;
    assert!(!looked_up(&world), "EN-82: as the form of an authoritative domain has it, it goes with the type");
    for told in ["true", "false"] {
        let form = [("addressBookEnabled.there", "1"), ("addressBookEnabled", told)];
        let (plan, _) = anna.follow("/domains/Fabrikam/edit", &form).await;
        anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
        assert_eq!(looked_up(&world).to_string(), told);
    }
    let reply = anna.post("/domains/Fabrikam/do", &[("do", "remove")]).await;
    assert!(reply.text().contains("stays (EN-81)"), "{}", reply.text());
    assert_eq!(now.site_links()[0].effective_cost().get(), 25);
    let page = anna.get("/receive-connectors/new").await.text();
    assert!(page.contains("name=\"authMechanism\" value=\"Tls\" checked"), "what is the default is ticked: {page}");
    let reply = anna
        .post(
            "/receive-connectors/new",
            &[
                ("name", "Again"),
                ("bindings", "0.0.0.0:2526"),
                ("remoteIPRanges", "192.0.2.0/28"),
                ("server", "BERLIN1"),
            ],
        )
        .await;
    assert_eq!(reply.status, 422, "AC-36");
}

fn queue(number: u64, domain: &str, status: &str, messages: u64) -> QueueView {
    QueueView {
        number,
        name: domain.to_owned(),
        delivery_type: "DnsConnectorDelivery".to_owned(),
        domain: domain.to_owned(),
        status: status.to_owned(),
        messages,
        last_error: (status == "Retry").then(|| "421 4.3.2 closing".to_owned()),
        ..QueueView::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_on_some_servers_is_told_though_another_is_away() {
    // WA-42
    let world = World::new();
    *world.memory.queues.lock() = vec![
        ("BERLIN1".to_owned(), queue(1, "a.example", "Retry", 10)),
        ("OSLO1".to_owned(), queue(9, "c.example", "Retry", 7)),
    ];
    let mut anna = world.anna().await;
    anna.get("/queues").await;
    for (idle, done) in [("BERLIN1", "OSLO1"), ("OSLO1", "BERLIN1")] {
        *world.memory.idle.lock() = vec![idle.to_owned()];
        world.memory.acts.lock().clear();
        let reply = anna.post("/queues/act", &[("do", "yes-retry"), ("messages", "17")]).await;
        let page = reply.text();
        assert_eq!(reply.status, 200, "{page}");
        assert!(page.contains("not all was done") && page.contains("it went away"), "{page}");
        assert!(page.contains(&format!("<strong>{done}</strong>")) && page.contains("1 of 1 done"), "{page}");
        assert_eq!(world.memory.acts.lock().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_is_typed_where_nobody_knows_what_a_change_does_and_a_look_is_written_down() {
    // WA-11, WA-68
    let world = World::new();
    let mut anna = world.anna().await;
    *world.memory.impact_unknown.lock() = Some("the servers did not answer in time".to_owned());
    anna.get("/send-connectors/Partner").await;
    let (plan, page) = anna.follow("/send-connectors/Partner/do", &[("do", "disable")]).await;
    let page = page.text();
    assert!(page.contains("Type “apply”, because"), "{page}");
    assert!(page.contains("the servers did not answer in time"), "{page}");
    assert_eq!(anna.post(&format!("{plan}/do"), &[("do", "apply")]).await.status, 422);
    assert!(world.memory.connector("Partner").unwrap().enabled);
    let looked = |(who, cmdlet, _, _): &super::world::Noted| who == "anna" && cmdlet == "Get-MessageTrackingLog";
    assert!(world.memory.notes.lock().iter().any(looked));
    let reply = anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert_eq!(reply.status, 303);
    assert!(!world.memory.connector("Partner").unwrap().enabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_counts_while_nobody_knows_who_is_revoked() {
    let world = World::new();
    let mut anna = world.anna().await;
    assert_eq!(anna.get("/people").await.status, 200);
    let why = "who is revoked has not been known for 61 s";
    *world.memory.revoked_unknown.lock() = Some(why.to_owned());
    assert_eq!(anna.get("/people").await.header("location").map(|to| to.starts_with("/sign-in")), Some(true));
    let page = anna.get("/sign-in").await.text();
    assert!(page.contains("Your certificate does not count") && page.contains(why), "{page}");
    let mut ben = Browser::new(&world.centre);
    ben.certificate = Some(b"ben:Organization Management".to_vec());
    ben.get("/sign-in").await;
    let reply = ben.post("/sign-in", &[("by", "certificate")]).await;
    assert!(reply.status != 303 && reply.text().contains(why), "{} {}", reply.status, reply.text());
    // It comes back, and she is there as before.
    *world.memory.revoked_unknown.lock() = None;
    assert_eq!(anna.get("/people").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_on_what_was_shown_with_its_number() {
    // WA-23, WA-84, AC-66, AC-67
    let world = World::new();
    *world.memory.queues.lock() = vec![
        ("BERLIN1".to_owned(), queue(1, "a.example", "Retry", 10)),
        ("BERLIN1".to_owned(), queue(2, "b.example", "Ready", 5)),
        ("OSLO1".to_owned(), queue(9, "c.example", "Retry", 7)),
    ];
    let mut anna = world.anna().await;
    let page = anna.get("/queues?status=Retry").await.text();
    assert!(page.contains("17 messages in 2 queues.") && !page.contains("b.example"));
    let confirm = anna.post("/queues/act", &[("filter.status", "Retry"), ("do", "retry")]).await.text();
    assert!(confirm.contains("17 messages in 2 queues.") && confirm.contains("Retry: 2 queues"), "{confirm}");
    assert!(world.memory.acts.lock().is_empty(), "asked, not done");
    // More than was shown: it is agreed to again.
    world.memory.queues.lock()[0].1.messages = 11;
    let again =
        anna.post("/queues/act", &[("filter.status", "Retry"), ("do", "yes-retry"), ("messages", "17")]).await.text();
    assert!(again.contains("It is not what was shown any more") && world.memory.acts.lock().is_empty());
    anna.post("/queues/act", &[("filter.status", "Retry"), ("do", "yes-retry"), ("messages", "18")]).await;
    assert_eq!(
        *world.memory.acts.lock(),
        [("anna".to_owned(), Handling::Retry, 1), ("anna".to_owned(), Handling::Retry, 1)]
    );
    // Chosen rows are meant alone.
    anna.post("/queues/act", &[("queue", "OSLO1\\9"), ("do", "yes-suspend"), ("messages", "7")]).await;
    assert_eq!(world.memory.acts.lock().last(), Some(&("anna".to_owned(), Handling::Suspend, 1)));
    // A server that is away is not empty.
    world.memory.away.lock().push("OSLO1".to_owned());
    let page = anna.get("/queues").await.text();
    assert!(page.contains("<strong>OSLO1</strong> is shown as of"), "{page}");
    // More than a hundred messages: their number is typed.
    world.memory.queues.lock()[0].1.messages = 500;
    let form = [("queue", "BERLIN1\\1"), ("do", "yes-remove"), ("messages", "500")];
    let page = anna.post("/queues/act", &form).await.text();
    assert!(page.contains("Type the number of messages, 500"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_if_is_answered_now_then_and_under_a_plan() {
    // WA-90 and "the same under the change you are just editing"
    let world = World::new();
    let mut anna = world.anna().await;
    let page = anna.get("/explain?recipient=clerk@partner.example&from=BERLIN1").await.text();
    assert!(page.contains("By connector Partner") && page.contains("eliminated by RT-50"), "{page}");
    anna.get("/send-connectors/Partner").await;
    let (plan, _) = anna.follow("/send-connectors/Partner/do", &[("do", "disable")]).await;
    let id = plan.trim_start_matches("/plans/");
    let page = anna.get(&format!("/explain?recipient=clerk@partner.example&plan={id}")).await.text();
    assert!(page.contains("By connector Internet") && page.contains("As it would be under the plan"), "{page}");
    let Some(Object::SendConnector(connector)) =
        crate::pages::edit::named(&world.memory.organization(), organization::Kind::SendConnector, "Partner")
    else {
        panic!()
    };
    world.memory.changed("ben", &[Change::Delete(Object::SendConnector(connector))]);
    assert!(anna.get("/explain?recipient=clerk@partner.example").await.text().contains("By connector Internet"));
    assert!(
        anna.get("/explain?recipient=clerk@partner.example&revision=7").await.text().contains("By connector Partner")
    );
    let page = anna.get("/topology?recipient=clerk@partner.example&from=BERLIN1").await.text();
    assert!(
        page.contains("class=\"drawing map\"") && page.contains("<caption>Sites</caption>"),
        "WA-51: a picture has its table"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_drawn_before_the_last_change_takes_nothing_of_it_back() {
    // WA-43: a form sends all of its fields, also those that its person did not touch.
    let world = World::new();
    let mut ben = world.anna().await;
    let page = ben.get("/send-connectors/Partner/edit").await.text();
    assert!(page.contains("name=\"base\" value=\"7\""));
    let Some(old) =
        crate::pages::edit::named(&world.memory.organization(), organization::Kind::SendConnector, "Partner")
    else {
        panic!()
    };
    let Object::SendConnector(mut connector) = old.clone() else { panic!() };
    connector.port = 2525;
    world.memory.changed("anna", &[Change::Update { from: old, to: Object::SendConnector(connector) }]);
    let (plan, page) =
        ben.follow("/send-connectors/Partner/edit", &[("base", "7"), ("port", "25"), ("comment", "by Ben")]).await;
    assert!(!page.text().contains(">2525<"), "{}", page.text());
    ben.post(&format!("{plan}/do"), &[("do", "apply")]).await;
    let now = world.memory.connector("Partner").unwrap();
    assert_eq!((now.comment.as_str(), now.port), ("by Ben", 2525));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_does_not_add_up_for_long_is_the_first_thing_that_needs_attention() {
    let world = World::new();
    let mut anna = world.anna().await;
    let taken = |accepted, ended, waiting| {
        *world.memory.ledger.lock() = Some(crate::estate::Ledger { accepted, ended, waiting });
    };
    taken(10, 4, 6);
    assert!(anna.get("/").await.text().contains("</span> yes</span>"));
    // Figures of different moments: mail that came in between.
    taken(10, 4, 5);
    let page = anna.get("/").await.text();
    assert!(page.contains("1 in motion") && !page.contains("has a gap"), "{page}");
    world.pass(40);
    taken(12, 4, 6);
    assert!(anna.get("/").await.text().contains("2 in motion"), "another gap begins anew");
    world.pass(61);
    let page = anna.get("/").await.text();
    assert!(page.contains("The ledger of BERLIN1 has a gap of 2"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_that_nobody_looked_at_and_no_form_says_that_no_word_is_needed() {
    // WA-10, WA-11
    let world = World::of(&super::world::ORGANIZATION.replace("- {name: Partner", "- {name: Only"));
    let mut anna = world.anna().await;
    anna.get("/send-connectors/Internet").await;
    let plan =
        anna.post("/send-connectors/Internet/do", &[("do", "remove")]).await.header("location").unwrap().to_owned();
    let reply = anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert_eq!(reply.header("location"), Some(plan.as_str()), "it is looked at first");
    anna.get(&plan).await;
    let reply = anna.post(&format!("{plan}/do"), &[("do", "apply"), ("typed", "false")]).await;
    assert_eq!(reply.status, 422);
    assert!(world.memory.connector("Internet").is_some());
}
