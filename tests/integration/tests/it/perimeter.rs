//! An Edge server between the internet and two sites, as `deploy/lab/perimeter.yaml` has it: mail in and out, what the organization
//! tells it, who tells it when somebody is away, and what whoever has broken into it can do.

use std::collections::BTreeSet;

use directory::RecipientDigest;
use envelope::Address;
use net::Service;

use crate::support::{
    Lab, deliver_by_connector, peer_address, peers, run_postroad, stranger, submit_by_connector,
    submit_content_by_connector, submit_from_outside, test_message,
};

const LAB: &str = include_str!("../../../../deploy/lab/perimeter.yaml");

/// The lab, in which what waits for minutes elsewhere waits for a second.
fn quick() -> String {
    let own = LAB.find("&laptop").expect("the first server has thresholds")
        ..LAB.find("  - {name: BERLIN2").expect("and the next one is this");
    LAB.replace(&LAB[own], "QUICK\n").replace("*laptop", "QUICK")
}

/// Says something to the shell of a server.
async fn shell(lab: &Lab, server: &str, line: &str) -> String {
    told(lab, server, &["shell", "-c", line]).await
}

/// What a command says by the settings of a server.
async fn told(lab: &Lab, server: &str, command: &[&str]) -> String {
    let settings = lab.server(server).settings_path();
    let output = run_postroad(&[command, &["--settings", settings.to_str().unwrap()]].concat()).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Waits until the Edge server refuses an address of ours, or takes it.
async fn until_known(lab: &Lab, address: &str, known: bool) {
    testkit::until(&format!("EDGE1 knows of {address}: {known}"), async || {
        let message = test_message("bob@fabrikam.example", address);
        let taken = submit_from_outside(lab, "EDGE1", &message).await.is_ok();
        (taken == known).then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_in_and_goes_out_by_the_edge_server_alone() {
    let lab = Lab::start(&quick()).await;
    // In: to the site of the subscription, and by it to another one (RT-58).
    for (server, database, mailbox, hops) in [("BERLIN2", "DB-Berlin2", "ben", 2), ("OSLO1", "DB-Oslo1", "olga", 3)] {
        let message = test_message("bob@fabrikam.example", &format!("{mailbox}@contoso.example"));
        submit_from_outside(&lab, "EDGE1", &message).await.unwrap();
        lab.inbox(server, database, mailbox).wait_for(&message.message_id()).await;
        // One trace from the internet to the mailbox, although the message has another id inside.
        let mut way = lab.wait_for_spans(&message.message_id(), "receive", hops).await;
        way.extend(lab.wait_for_spans(&message.message_id(), "deliver", 1).await);
        let traces: BTreeSet<&str> = way.iter().map(|span| span.trace_id.as_str()).collect();
        assert_eq!(traces.len(), 1, "{way:?}");
        assert!(
            way.iter().any(|span| span.server == "EDGE1") && way.iter().any(|span| span.server == server),
            "{way:?}"
        );
    }
    for (stranger, reply) in [("nobody@contoso.example", "550 5.1.1"), ("x@elsewhere.example", "550 5.7.1")] {
        let refused = submit_from_outside(&lab, "EDGE1", &test_message("bob@fabrikam.example", stranger)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(reply), "{refused}");
    }

    // Out: from another site by that site (EN-27), to hosts that MX records name, and to a smart host with a password that the Edge
    // server has under a key of its own.
    let outbox = lab.inbox("OSLO1", "DB-Oslo1", "olga");
    for (name, to) in [("one", "sales@fabrikam.example"), ("two", "orders@partner.example")] {
        let message = test_message("olga@contoso.example", to);
        outbox.send(name, &message.content());
        let delivery = lab.wait_for_delivery(&message.message_id()).await;
        assert_eq!(delivery.hello, "edge1.contoso.example");
        assert_eq!(delivery.user.as_deref(), to.contains("partner").then_some("contoso"));
        // One trace from the mailbox to the host outside.
        let received = lab.wait_for_spans(&message.message_id(), "receive", 3).await;
        assert!(received.iter().any(|span| span.server == "EDGE1"), "{received:?}");
        let sent = lab.wait_for_spans(&message.message_id(), "send", 1).await;
        assert!(received.iter().all(|span| span.trace_id == sent[0].trace_id), "{received:?} {sent:?}");
    }
    both_halves_are_told(&lab).await;
    links_are_cut(&lab).await;
    lab.finish().await;
}

/// `explain` across the perimeter: what the organization decides, and what the Edge server does by its own directory.
async fn both_halves_are_told(lab: &Lab) {
    let (outside, inside) = ("sales@fabrikam.example", "ben@contoso.example");
    let there = "then, on Edge server EDGE1, by what it was told";
    for from in ["OSLO1", "BERLIN1"] {
        let said = told(lab, "BERLIN1", &["explain", outside, "--from", from]).await;
        let (organization, edge) = said.split_once(there).unwrap_or_else(|| panic!("{said}"));
        let hop = if from == "OSLO1" { "SmtpRelayToRemoteActiveDirectorySite" } else { "SmtpRelayWithinAdSiteToEdge" };
        assert!(organization.contains(hop) && edge.contains("DnsConnectorDelivery fabrikam.example"), "{said}");
    }
    // From outside, asked on either side.
    for server in ["BERLIN1", "EDGE1"] {
        let said = told(lab, server, &["explain", inside, "--from", "EDGE1"]).await;
        let (edge, organization) =
            said.split_once("then, in the organization, on BERLIN").unwrap_or_else(|| panic!("{said}"));
        assert!(edge.contains("EdgeSync - Inbound to Berlin") && organization.contains("DB-Berlin2"), "{said}");
        let way = "Goes inside by Send connector EdgeSync - Inbound to Berlin, to a Mailbox server of site Berlin";
        assert!(edge.contains(way) && edge.contains("EDGE1 counts as there"), "{said}");
    }
    let line = told(lab, "BERLIN1", &["explain", outside, "--json"]).await;
    assert!(line.contains(r#""then":[{"recipient":"sales@fabrikam.example""#) && !line.contains("elsewhere"), "{line}");
    // What was once is not to be had of the other side: it is said where to ask.
    let servers = told(lab, "BERLIN1", &["servers", "--json"]).await;
    let revision =
        servers.split("\"directoryRevision\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).unwrap();
    let said = told(lab, "BERLIN1", &["explain", outside, "--revision", revision]).await;
    assert!(said.contains("This is the organization's half.") && !said.contains(there), "{said}");
}

/// What waits says why, and goes on by itself.
async fn links_are_cut(lab: &Lab) {
    let out = test_message("ben@contoso.example", "sales@fabrikam.example");
    lab.world.cut("EDGE1", "internet").await.unwrap();
    lab.inbox("BERLIN2", "DB-Berlin2", "ben").send("cut-one", &out.content());
    lab.wait_for_queue("EDGE1", "DnsConnectorDelivery", 1).await;
    let waits = "reset by peer";
    testkit::until("the queue says why", async || {
        told(lab, "EDGE1", &["queue", "--messages"]).await.contains(waits).then_some(())
    })
    .await;
    // In a lab the Edge server is asked from inside, too.
    let inside = told(lab, "BERLIN1", &["queue", "--messages"]).await;
    assert!(inside.contains("EDGE1") && inside.contains(waits), "{inside}");
    let servers = told(lab, "BERLIN1", &["servers"]).await;
    assert!(servers.contains("EDGE1   ") && servers.contains(" of its own directory"), "{servers}");
    lab.world.heal("EDGE1", "internet").await.unwrap();
    lab.wait_for_delivery(&out.message_id()).await;

    lab.world.cut("EDGE1", "Berlin").await.unwrap();
    let (into, out) = (
        test_message("bob@fabrikam.example", "ben@contoso.example"),
        test_message("ben@contoso.example", "sales@fabrikam.example"),
    );
    submit_from_outside(lab, "EDGE1", &into).await.unwrap();
    lab.inbox("BERLIN2", "DB-Berlin2", "ben").send("cut-two", &out.content());
    lab.wait_for_queue("EDGE1", "SmtpRelayToRemoteActiveDirectorySite", 1).await;
    // Either server of the site may have taken it out of the mailbox (RT-68).
    let inside = testkit::until("a message for the Edge server in Berlin", async || {
        let mut found = None;
        for server in ["BERLIN1", "BERLIN2"] {
            let counts = lab.counts(server, Service::Transport).await.unwrap();
            let waiting = counts.labelled(&telemetry::catalogue::QUEUE_LENGTH, &["SmtpRelayWithinAdSiteToEdge"]);
            found = found.or((waiting == Some(1)).then_some(server));
        }
        found
    })
    .await;
    for server in ["EDGE1", inside] {
        testkit::until("the queue says why", async || {
            let said = told(lab, server, &["queue", "--messages", "--server", server]).await;
            said.contains(waits).then_some(())
        })
        .await;
    }
    lab.world.heal("Berlin", "EDGE1").await.unwrap();
    lab.inbox("BERLIN2", "DB-Berlin2", "ben").wait_for(&into.message_id()).await;
    lab.wait_for_delivery(&out.message_id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_organization_has_the_edge_server_knows_whoever_is_away() {
    let mut lab = Lab::start(&quick()).await;
    // EN-30: a recipient comes, and goes.
    until_known(&lab, "nils@contoso.example", false).await;
    shell(&lab, "BERLIN1", "New-MailContact -Name nils -PrimarySmtpAddress nils@contoso.example -ExternalEmailAddress nils@fabrikam.example").await;
    let done = shell(&lab, "BERLIN1", "Start-EdgeSynchronization | Format-List").await;
    assert!(done.contains("Success"), "{done}");
    until_known(&lab, "nils@contoso.example", true).await;
    let told = shell(&lab, "BERLIN1", "Test-EdgeSynchronization | Format-List").await;
    assert!(told.contains(": Normal") && !told.contains("NotSynchronized"), "{told}");
    let known = "Test-EdgeSynchronization -VerifyRecipient nils@contoso.example | Format-List";
    assert!(shell(&lab, "BERLIN2", known).await.contains(": Synchronized"));
    let nobody = "Test-EdgeSynchronization -VerifyRecipient nobody@contoso.example | Format-List";
    assert!(shell(&lab, "BERLIN1", nobody).await.contains(": NotFound"));

    // EN-14
    let settings = lab.server("EDGE1").settings_path();
    let line = "Remove-SendConnector Partner -Confirm:$false";
    let refused = run_postroad(&["shell", "--settings", settings.to_str().unwrap(), "-c", line]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("EN-14"), "{said}");

    // PL-84: a server comes to the site, and goes.
    let settings = lab.server("BERLIN1").settings_path();
    let file = lab.server("BERLIN1").folder.join("organization.yaml");
    let (settings, file) = (settings.to_str().unwrap(), file.to_str().unwrap());
    let exported = run_postroad(&["export", "--settings", settings]).await;
    let exported = String::from_utf8(exported.stdout).unwrap();
    let grown = exported
        .replace("\nservers:\n", "\nservers:\n- {name: BERLIN3, fqdn: berlin3.contoso.example, site: Berlin}\n");
    assert_ne!(grown, exported);
    for (text, known) in [(&grown, true), (&exported, false)] {
        std::fs::write(file, text).unwrap();
        let applied = run_postroad(&["apply", file, "--yes", "--settings", settings]).await;
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        let done = shell(&lab, "BERLIN1", "Start-EdgeSynchronization | Format-List").await;
        assert!(done.contains("Success"), "{done}");
        assert_eq!(shell(&lab, "EDGE1", "Get-ExchangeServer").await.contains("BERLIN3"), known);
    }

    the_next_synchronizes_for_one_that_is_cut_off(&lab).await;
    // EN-32: who synchronized is gone; the next one does, by itself.
    lab.kill("BERLIN1", Service::Admin).await;
    shell(&lab, "BERLIN1", "Set-AcceptedDomain contoso -Name Contoso2; New-AcceptedDomain -Name second -DomainName second.example -DomainType InternalRelay").await;
    testkit::until("the new domain on EDGE1", async || {
        shell(&lab, "EDGE1", "Get-AcceptedDomain").await.contains("second.example").then_some(())
    })
    .await;

    // One Transport of the site is away: mail goes to the other (EN-21, PL-83).
    lab.stop("BERLIN1", Service::Transport).await;
    let message = test_message("bob@fabrikam.example", "ben@contoso.example");
    submit_from_outside(&lab, "EDGE1", &message).await.unwrap();
    lab.inbox("BERLIN2", "DB-Berlin2", "ben").wait_for(&message.message_id()).await;

    // The Edge server is away: mail waits inside, and goes when it is back.
    lab.kill("EDGE1", Service::Transport).await;
    let message = test_message("ben@contoso.example", "sales@fabrikam.example");
    lab.inbox("BERLIN2", "DB-Berlin2", "ben").send("out", &message.content());
    lab.wait_for_queue("BERLIN2", "SmtpRelayWithinAdSiteToEdge", 1).await;
    lab.start_again("EDGE1", Service::Transport).await;
    lab.wait_for_delivery(&message.message_id()).await;
    lab.finish().await;
}

/// EN-32: the first by name is there, and does not reach the Edge server. The next one does its work, and gives it back.
async fn the_next_synchronizes_for_one_that_is_cut_off(lab: &Lab) {
    lab.world.cut("BERLIN1", "EDGE1").await.unwrap();
    shell(lab, "BERLIN1", "New-AcceptedDomain -Name cut -DomainName cut.example").await;
    testkit::until("the new domain on EDGE1", async || {
        shell(lab, "EDGE1", "Get-AcceptedDomain").await.contains("cut.example").then_some(())
    })
    .await;
    let changes = told(lab, "EDGE1", &["revisions"]).await;
    let newest = changes.lines().find(|line| line.contains("EdgeSync")).unwrap_or_default();
    assert!(newest.contains("BERLIN2"), "{changes}");
    lab.world.heal("EDGE1", "BERLIN1").await.unwrap();
    let log = lab.server("BERLIN1").log_path(Service::Admin);
    testkit::until("BERLIN1 synchronizes again", async || {
        let said = std::fs::read_to_string(&log).unwrap();
        let since = said.split("can be reached again").nth(1)?;
        since.contains("an Edge server was synchronized").then_some(())
    })
    .await;
}

const ANNA_X400: &str = "IMCEAX400-c=DE+3Bs=Anna@contoso.example";

/// PL-45: by the Edge server, and by whoever has broken into it, to somebody who has such an address, in whatever order it is written;
/// to no gateway.
async fn addresses_of_other_types_lead_to_recipients_alone(lab: &Lab, inside: &rpc::Peers) {
    let at = peer_address(lab, "BERLIN1", Service::Transport);
    let mut anna = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    for address in [ANNA_X400, "imceax400-_S=Anna_C=DE@contoso.example"] {
        let message = test_message("bob@fabrikam.example", address);
        submit_from_outside(lab, "EDGE1", &message).await.unwrap();
        anna.wait_for(&message.message_id()).await;
        let message = test_message("bob@fabrikam.example", address);
        submit_by_connector(inside, &at, &message).await.unwrap();
        anna.wait_for(&message.message_id()).await;
    }
    let nobody = test_message("bob@fabrikam.example", "IMCEAFAX-5551234@contoso.example");
    let refused = submit_from_outside(lab, "EDGE1", &nobody).await.unwrap_err().to_string();
    assert!(refused.contains("550 5.1.1"), "{refused}");
    let refused = submit_by_connector(inside, &at, &nobody).await.unwrap_err().to_string();
    assert!(refused.contains("Unable to relay"), "{refused}");
}

/// EN-82: what the organization says of a domain, its Edge server does.
async fn who_is_looked_up_is_the_domains_to_say(lab: &Lab) {
    shell(lab, "BERLIN1", "New-AcceptedDomain relay -DomainName relay.example -DomainType InternalRelay").await;
    until_known(lab, "nobody@relay.example", true).await;
    shell(lab, "BERLIN1", "Set-AcceptedDomain relay -AddressBookEnabled $true").await;
    until_known(lab, "nobody@relay.example", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_a_domain_that_is_new_on_the_edge_server_is_refused_as_unknown() {
    // Many recipients, so that it takes a while to tell them; one of them has an address in a domain that is not accepted yet.
    let mut contacts = String::from(
        "\nrecipients:\n  - {name: zoe, primaryAddress: zoe@contoso.example, proxyAddresses: [zoe@new.example], database: DB-Berlin1, password: demo-zoe}\n",
    );
    for number in 0..3000 {
        contacts.push_str(&format!(
            "  - {{name: c{number}, address: c{number}@contoso.example, externalAddress: c{number}@fabrikam.example}}\n"
        ));
    }
    let lab = Lab::start(&quick().replacen("\nrecipients:\n", &contacts, 1)).await;
    let message = test_message("bob@fabrikam.example", "zoe@new.example");
    let refused = submit_from_outside(&lab, "EDGE1", &message).await.unwrap_err().to_string();
    assert!(refused.contains("550 5.7.1"), "{refused}");
    let file = directory::EmbeddedSettings::new(lab.server("EDGE1").folder.join("directory.db"));
    let edge = directory::open_embedded(&file, "edge1.contoso.example").unwrap();
    let zoe = Address::parse("zoe@new.example").unwrap();
    let known = async |only_with_domain: bool| {
        let organization = edge.snapshot().await.unwrap();
        let salt = organization.servers().iter().find_map(|server| server.edge.recipient_salt.clone()).unwrap();
        let is_ours = organization.accepted_domain(&zoe.domain()).is_some() || !only_with_domain;
        let known = edge.knows_digest(&salt, &RecipientDigest::of(&salt, &zoe)).await.unwrap();
        is_ours.then_some(known)
    };
    let done = shell(&lab, "BERLIN1", "Start-EdgeSynchronization | Format-List").await;
    assert!(done.contains("Success"), "{done}");
    assert_eq!(known(false).await, Some(Some(false)), "addresses elsewhere are not told");
    // DS-21: who gets mail for postmaster in the organization is told; in whose name the Edge server reports is its own.
    shell(&lab, "BERLIN1", "Set-TransportConfig -ExternalPostmasterAddress anna@contoso.example; New-AcceptedDomain -Name new -DomainName new.example").await;
    // EN-30: from the first moment in which the domain is one of ours there, in the directory that its services follow.
    let known = testkit::until("the domain is ours on EDGE1", || known(true)).await;
    assert_eq!(known, Some(true));
    testkit::until("EDGE1 follows", async || submit_from_outside(&lab, "EDGE1", &message).await.ok()).await;
    lab.inbox("BERLIN1", "DB-Berlin1", "zoe").wait_for(&message.message_id()).await;
    let role = test_message("bob@fabrikam.example", "abuse@new.example");
    submit_from_outside(&lab, "EDGE1", &role).await.unwrap();
    lab.inbox("BERLIN1", "DB-Berlin1", "anna").wait_for(&role.message_id()).await;
    let own = shell(&lab, "EDGE1", "\"postmaster: $((Get-TransportConfig).ExternalPostmasterAddress).\"").await;
    assert!(own.contains("postmaster: ."), "{own}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_server_in_wrong_hands_reaches_its_site_with_strangers_mail_and_nobody_else() {
    let proxies = "proxyAddresses: [postmaster@contoso.example";
    let lab = Lab::start(&quick().replace(proxies, &format!("{proxies}, {ANNA_X400}"))).await;
    // With what lies on it, and believing whomever it meets inside.
    let identity = lab.server("EDGE1").identity_path();
    let own = net::KeyedCertificate::load_from(&identity.join("transport")).unwrap();
    let inside = stranger(&lab, "BERLIN1", own);
    let message = test_message("boss@contoso.example", "anna@contoso.example");

    // Its own site: taken, as anonymous mail, and what it says in our name is gone.
    let at = peer_address(&lab, "BERLIN1", Service::Transport);
    let mut content = b"X-MS-Exchange-Organization-SCL: -1\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n\
        Authentication-Results: contoso.example; dmarc=pass\r\nAuthentication-Results: berlin1.contoso.example; spf=pass\r\n"
        .to_vec();
    content.extend_from_slice(&message.content());
    submit_content_by_connector(&inside, &at, &message, content).await.unwrap();
    let mut anna = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    anna.wait_for(&message.message_id()).await;
    let folder = lab.server("BERLIN1").folder.join("state/mailboxes/DB-Berlin1/anna/Maildir/new");
    let delivered =
        std::fs::read_dir(folder).unwrap().flatten().map(|file| std::fs::read_to_string(file.path()).unwrap());
    let delivered = delivered.collect::<Vec<String>>().concat();
    assert!(delivered.contains("AuthAs: Anonymous") && !delivered.contains("AuthAs: Internal"), "{delivered}");
    assert!(!delivered.contains("-SCL: -1"), "{delivered}");
    assert!(!delivered.contains("Authentication-Results"), "{delivered}");

    // No relay.
    let relayed = test_message("boss@contoso.example", "x@elsewhere.example");
    let refused = submit_by_connector(&inside, &at, &relayed).await.unwrap_err();
    assert!(refused.to_string().contains("Unable to relay"), "{refused}");
    addresses_of_other_types_lead_to_recipients_alone(&lab, &inside).await;
    who_is_looked_up_is_the_domains_to_say(&lab).await;

    // A mailbox service, another site, an admin service.
    let at = peer_address(&lab, "BERLIN1", Service::MailboxDelivery);
    let refused = deliver_by_connector(&inside, &at, &message).await.unwrap_err();
    assert!(refused.to_string().contains("hands in mail alone"), "{refused}");
    let at = peer_address(&lab, "OSLO1", Service::Transport);
    assert!(submit_by_connector(&inside, &at, &message).await.is_err());
    let own = net::KeyedCertificate::load_from(&identity.join("admin")).unwrap();
    let authority = std::fs::read_to_string(lab.server("BERLIN1").identity_path().join("ca.pem")).unwrap();
    let at = peer_address(&lab, "BERLIN1", Service::Admin);
    let api = admin_api::Api::connect(&at, &rpc::Credentials::new(own, authority)).await;
    if let Ok(api) = api {
        let asked = directory::Configuration::snapshot(&admin_api::RemoteDirectory::new(api)).await;
        let refused = asked.unwrap_err().to_string();
        assert!(refused.contains("hands in mail alone"), "{refused}");
    }
    // And nobody inside but Transports of the site reaches it.
    let at = peer_address(&lab, "EDGE1", Service::Transport);
    assert!(submit_by_connector(&peers(&lab, "OSLO1", "transport"), &at, &message).await.is_err());
    lab.finish().await;
}
