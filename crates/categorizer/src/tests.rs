//! Cases by rule, run against a directory in memory; properties are in [`properties`].

mod properties;

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{
    Address, ByteSize, Domain, Limit, Notify, ObjectName, OriginalRecipient, Recipient, ReversePath, Revision,
};
use routing::RoutingTables;
use topology::send_connector::Usage;
use topology::{
    AcceptedDomain, AcceptedDomainType, Database, DatabaseHome, DeliveryRestrictions, DirectoryRecipient, Guid,
    LinkCost, Organization, OrganizationDraft, RecipientKind, SendConnector, Server, ServerRole, Site, SiteLink,
    TransportServiceSettings, X400AuthoritativeDomain,
};
use uuid::Uuid;

use crate::*;

const SUCCESS: Notify = Notify::On { success: true, failure: true, delay: false };

/// An organization of two sites and a directory.
struct World {
    draft: OrganizationDraft,
    directory: HashMap<String, Lookup>,
    guids: u128,
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn object(text: &str) -> ObjectName {
    text.parse().unwrap()
}

impl World {
    fn accepted(&mut self, domain: &str, domain_type: AcceptedDomainType) {
        let (guid, is_default) = (self.guid(), domain == "contoso.com");
        let (name, domain) = (object(domain), domain.parse().unwrap());
        self.draft.accepted_domains.push(AcceptedDomain {
            guid,
            name,
            domain,
            domain_type,
            address_book_enabled: domain_type.looks_recipients_up(),
            is_default,
        });
    }

    /// Servers A1, A2 in site A and B1 in site B; databases on A1 and B1; contoso.com authoritative, relay.example not;
    /// everything else through a connector on A1.
    fn new() -> Self {
        let mut world = Self { draft: OrganizationDraft::default(), directory: HashMap::new(), guids: 0 };
        for site in ["A", "B"] {
            let (guid, name) = (world.guid(), site.parse().unwrap());
            let hub_site_enabled = false;
            world.draft.sites.push(Site { guid, name, hub_site_enabled, inbound_mail_enabled: true, subnets: vec![] });
        }
        let link = SiteLink {
            guid: world.guid(),
            name: object("AB"),
            sites: vec!["A".parse().unwrap(), "B".parse().unwrap()],
            cost: LinkCost::DEFAULT,
            exchange_cost: None,
            max_message_size: Limit::Unlimited,
        };
        world.draft.site_links.push(link);
        for (server, role) in [("A1", ServerRole::Mailbox), ("A2", ServerRole::Mailbox), ("B1", ServerRole::Mailbox)] {
            world.server(server, &server[..1], role);
        }
        for server in ["A1", "B1"] {
            let home = DatabaseHome::Server(server.parse().unwrap());
            let database = Database { guid: world.guid(), name: object(&format!("DB-{}", &server[..1])), home };
            world.draft.databases.push(database);
        }
        world.accepted("contoso.com", AcceptedDomainType::Authoritative);
        world.accepted("relay.example", AcceptedDomainType::InternalRelay);
        world.connector("Internet", "*", "A1");
        world
    }

    fn guid(&mut self) -> Guid {
        self.guids += 1;
        Guid::from_uuid(Uuid::from_u128(self.guids))
    }

    fn server(&mut self, name: &str, site: &str, role: ServerRole) {
        let server = Server {
            guid: self.guid(),
            name: name.parse().unwrap(),
            fqdn: Domain::parse(&format!("{name}.contoso.com")).unwrap(),
            site: site.parse().unwrap(),
            role,
            dag: None,
            removed_receive_connectors: Vec::new(),
            edge: topology::EdgeSubscription::default(),
            transport: TransportServiceSettings::default(),
            frontend_transport: topology::FrontendTransportSettings::default(),
            mailbox_transport: topology::MailboxTransportSettings::default(),
        };
        self.draft.servers.push(server);
    }

    fn connector(&mut self, name: &str, space: &str, source: &str) {
        let (spaces, sources) = (vec![space.parse().unwrap()], vec![source.parse().unwrap()]);
        let connector = SendConnector::new(self.guid(), object(name), Usage::Internal, spaces, sources);
        self.draft.send_connectors.push(connector);
    }

    /// Adds a recipient; the first address is the primary one.
    fn add(&mut self, addresses: &[&str], kind: RecipientKind) -> &mut Self {
        self.add_limited(addresses, kind, None, None)
    }

    fn add_limited(
        &mut self,
        addresses: &[&str],
        kind: RecipientKind,
        send: Option<u64>,
        receive: Option<u64>,
    ) -> &mut Self {
        let limit = |mib: u64| Limit::At(ByteSize::mib(mib));
        let recipient = Arc::new(DirectoryRecipient {
            guid: self.guid(),
            name: object(addresses[0]),
            primary_address: address(addresses[0]),
            proxy_addresses: addresses[1..].iter().map(|text| address(text)).collect(),
            max_receive_size: receive.map(limit),
            max_send_size: send.map(limit),
            restrictions: DeliveryRestrictions::default(),
            kind,
            provenance: None,
        });
        for known in recipient.addresses() {
            self.directory.insert(known.key(), Lookup::Found(recipient.clone()));
        }
        self
    }

    fn mailbox(&mut self, addresses: &[&str], database: &str) -> &mut Self {
        self.add(addresses, RecipientKind::Mailbox { database: object(database), password: None })
    }

    fn contact(&mut self, primary: &str, external: &str) -> &mut Self {
        self.add(&[primary], RecipientKind::MailContact { external_address: address(external).into() })
    }

    fn group(&mut self, primary: &str, members: &[&str]) -> &mut Self {
        let members = members.iter().map(|text| address(text)).collect();
        self.add(&[primary], RecipientKind::DistributionGroup { members, expansion_server: None })
    }

    fn tables(&self, local: &str) -> Arc<RoutingTables> {
        let organization = Organization::validate(self.draft.clone(), Revision(3)).unwrap();
        Arc::new(RoutingTables::build(Arc::new(organization), &local.parse().unwrap()).unwrap())
    }

    /// Runs a message on A1 to its end.
    fn run(&self, message: Message) -> CategorizationOutcome {
        self.run_on("A1", message)
    }

    fn run_on(&self, local: &str, message: Message) -> CategorizationOutcome {
        let mut categorization = Categorization::new(self.tables(local), message);
        loop {
            let pending = match categorization.step() {
                Step::Done(outcome) => return outcome,
                Step::NeedRecipients(pending) => pending,
            };
            assert!((1..=LOOKUP_BATCH_MAX).contains(&pending.addresses().len()), "PL-43");
            let answer = |address: &Address| self.directory.get(&address.key()).cloned().unwrap_or(Lookup::NotFound);
            let answers: Vec<_> =
                pending.addresses().iter().map(|address| (address.clone(), answer(address))).collect();
            categorization = pending.supply(answers);
        }
    }

    /// The outcome of an authenticated message of 1 KB, in words.
    fn check(&self, recipients: &[&str], expected: &str) {
        assert_eq!(words(&self.run(message(recipients))), expected, "{recipients:?}");
    }
}

fn message(recipients: &[&str]) -> Message {
    Message {
        sender: ReversePath::parse("sender@contoso.com").unwrap(),
        sender_kind: SenderKind::Authenticated,
        recipients: recipients.iter().map(|text| Incoming::Fresh(Recipient::new(address(text)))).collect(),
        size: SizeFacts { current: ByteSize::kib(1), original: None },
        arrival: Arrival::FirstServer,
        detail: Detail::Decision,
    }
}

fn with_notify(text: &str, notify: Notify) -> Incoming {
    Incoming::Fresh(Recipient { notify: Some(notify), ..Recipient::new(address(text)) })
}

fn categorized(outcome: CategorizationOutcome) -> Categorized {
    match outcome {
        CategorizationOutcome::Categorized(categorized) => *categorized,
        CategorizationOutcome::DirectoryUnavailable { .. } => panic!("the directory was there"),
    }
}

/// `key: recipients`, then what was not routed, one after the other, separated by `; `.
fn words(outcome: &CategorizationOutcome) -> String {
    let CategorizationOutcome::Categorized(outcome) = outcome else { return "directory unavailable".to_owned() };
    let recipient = |recipient: &Recipient| {
        let original = recipient.original.as_ref().map(|original| format!(" ({original})")).unwrap_or_default();
        format!("{}{original}", recipient.address)
    };
    let copies = outcome.copies.iter().map(|copy| {
        let names: Vec<String> = copy.recipients.iter().map(|resolved| recipient(&resolved.recipient)).collect();
        format!("{}: {}", copy.route.key, names.join(", "))
    });
    let mut words: Vec<String> = copies.collect();
    words.extend(outcome.unreachable.iter().map(|u| format!("unreachable {}", recipient(&u.recipient.recipient))));
    words.extend(outcome.failed.iter().map(|f| format!("failed {} {}", recipient(&f.recipient), f.failure.status())));
    words.extend(outcome.expanded.iter().map(|e| format!("expanded {}", e.recipient.address)));
    words.extend(outcome.merged.iter().map(|m| format!("merged {}", m.address)));
    words.join("; ")
}

const INTERNET: &str = "DnsConnectorDelivery";

#[test]
fn pl_46_unknown_recipients() {
    // EN-80
    let mut world = World::new();
    world.accepted("away.example", AcceptedDomainType::ExternalRelay);
    world.accepted("*.below.example", AcceptedDomainType::Authoritative);
    for unknown in ["nobody@contoso.com", "nobody@below.example", "nobody@deep.below.example"] {
        world.check(&[unknown], &format!("failed {unknown} 5.1.1"));
    }
    for relayed in ["relay.example", "away.example"] {
        world.check(&[&format!("x@{relayed}")], &format!("{INTERNET} {relayed}: x@{relayed}"));
    }
    world.check(&["x@fabrikam.com"], &format!("{INTERNET} fabrikam.com: x@fabrikam.com"));
    let CategorizationOutcome::Categorized(outcome) = world.run(message(&["nobody@contoso.com"])) else { panic!() };
    assert_eq!(outcome.failed[0].failure.to_string(), "550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found");
}

#[test]
fn pl_44_the_primary_address_replaces_the_one_used() {
    let mut world = World::new();
    world.mailbox(&["Ann@contoso.com", "a.long@contoso.com", "安@contoso.com"], "DB-A");
    let key = "SmtpDeliveryToMailbox DB-A";
    world.check(&["a.long@contoso.com"], &format!("{key}: Ann@contoso.com (rfc822;a.long@contoso.com)"));
    world.check(&["ANN@contoso.com"], &format!("{key}: Ann@contoso.com"));
    world.check(&["安@contoso.com"], &format!("{key}: Ann@contoso.com (utf-8;\\x{{5B89}}@contoso.com)"));
    let mut message = message(&[]);
    let original = Some(OriginalRecipient { kind: "rfc822".into(), address: "old@fabrikam.com".into() });
    message.recipients = vec![Incoming::Fresh(Recipient { original, ..Recipient::new(address("a.long@contoso.com")) })];
    assert_eq!(words(&world.run(message)), format!("{key}: Ann@contoso.com (rfc822;old@fabrikam.com)"));
}

#[test]
fn pl_45_encapsulated_addresses_only_in_the_default_domain() {
    let mut world = World::new();
    world.connector("Fax", "FAX:*", "A1");
    let fax = world.draft.send_connectors.last_mut().unwrap();
    fax.dns_routing_enabled = false;
    fax.smart_hosts = vec!["fax.example".parse().unwrap()];
    world.check(
        &["IMCEAFAX-5551234@contoso.com"],
        "SmartHostConnectorDelivery fax.example: IMCEAFAX-5551234@contoso.com",
    );
    world.check(&["IMCEANOTES-x@contoso.com"], "failed IMCEANOTES-x@contoso.com 5.1.2"); // RT-55
    world.check(&["IMCEASMTP-a@contoso.com"], "failed IMCEASMTP-a@contoso.com 5.1.1");
    // PL-44: an address of Exchange's own is somebody's, or nobody's.
    world.check(&["IMCEAEX-_o=Old_cn=gone@contoso.com"], "failed IMCEAEX-_o=Old_cn=gone@contoso.com 5.1.1");
    world.check(&["IMCEAFAX-5@relay.example"], &format!("{INTERNET} relay.example: IMCEAFAX-5@relay.example"));
    // EN-73: a contact with an address of another type is reached by the same one.
    for (contact, external) in [("fax", "FAX:5551234"), ("notes", "NOTES:x")] {
        let kind = RecipientKind::MailContact { external_address: external.parse().unwrap() };
        world.add(&[&format!("{contact}@contoso.com")], kind);
    }
    world.check(
        &["fax@contoso.com"],
        "SmartHostConnectorDelivery fax.example: IMCEAFAX-5551234@contoso.com (rfc822;fax@contoso.com)",
    );
    world.check(&["notes@contoso.com"], "failed IMCEANOTES-x@contoso.com (rfc822;notes@contoso.com) 5.1.2");
    // A contact that bears its address elsewhere among its own, as in a directory of Exchange, is no loop.
    let kind = RecipientKind::MailContact { external_address: "FAX:777".parse().unwrap() };
    world.add(&["bears@contoso.com", "IMCEAFAX-777@contoso.com"], kind);
    world.check(
        &["bears@contoso.com"],
        "SmartHostConnectorDelivery fax.example: IMCEAFAX-777@contoso.com (rfc822;bears@contoso.com)",
    );
    world.check(&["IMCEAFAX-777@contoso.com"], "SmartHostConnectorDelivery fax.example: IMCEAFAX-777@contoso.com");
    // Whoever has an address of another type has it however it is encoded, and in whatever order (EN-70), in no X.400 domain of ours.
    world.mailbox(&["ann@contoso.com", "IMCEAFAX-5@contoso.com", "IMCEAX400-c=FR+3Bs=Ann@contoso.com"], "DB-A");
    for spelling in ["imceafax-+35@contoso.com", "IMCEAX400-_S=Ann_C=FR@contoso.com"] {
        assert_eq!(reached(&world, spelling), (0, Some("ann@contoso.com".to_owned())), "{spelling}");
    }
    // When another domain has become the default one, what a server has resolved before goes on (PL-48); nobody else's does.
    let old = "IMCEAFAX-9@old.example";
    world.accepted("old.example", AcceptedDomainType::Authoritative);
    world.check(&[old], &format!("failed {old} 5.1.1"));
    let later = Message { arrival: Arrival::LaterServer, ..message(&[old]) };
    assert_eq!(words(&world.run(later)), format!("SmartHostConnectorDelivery fax.example: {old}"));
    // Without a default domain there is nothing that it could stand in.
    world.draft.accepted_domains.clear();
    world.check(&["fax@contoso.com"], "failed fax@contoso.com 5.1.2");
}

#[test]
fn en_72_whom_nobody_has_in_an_x400_domain_of_ours_is_reported_or_sent_on() {
    let mut world = World::new();
    world.connector("X400", "X400:*", "A1");
    let gateway = world.draft.send_connectors.last_mut().unwrap();
    gateway.dns_routing_enabled = false;
    gateway.smart_hosts = vec!["x400.example".parse().unwrap()];
    for (name, domain, external_relay) in
        [("Contoso", "C=US;A=Fabrikam;P=Contoso", false), ("Sales", "C=US;A=Fabrikam;P=Contoso;O=Sales", true)]
    {
        let (guid, name, domain) = (world.guid(), object(name), domain.parse().unwrap());
        world.draft.x400_domains.push(X400AuthoritativeDomain { guid, name, domain, external_relay });
    }
    world.mailbox(&["ann@contoso.com", "IMCEAX400-c=US+3Ba=Fabrikam+3Bp=Contoso+3Bs=Ann@contoso.com"], "DB-A");
    let gateway = "SmartHostConnectorDelivery x400.example: ";
    for (address, expected) in [
        ("IMCEAX400-c=US+3Ba=Fabrikam+3Bp=Contoso+3Bs=Bob@contoso.com", "failed {} 5.1.1"),
        ("IMCEAX400-c=US+3Ba=Fabrikam+3Bp=Contoso+3Bo=Sales+3Bs=Bob@contoso.com", "gateway{}"),
        ("IMCEAX400-c=DE+3Bs=Bob@contoso.com", "gateway{}"),
    ] {
        world.check(&[address], &expected.replace("gateway", gateway).replace("{}", address));
    }
    // EN-70: attributes stand in any order, and in any case.
    for spelling in [
        "IMCEAX400-C=us+3BA=fabrikam+3BP=contoso+3BS=ann@contoso.com",
        "IMCEAX400-_S=Ann_P=Contoso_A=Fabrikam_C=US@contoso.com",
    ] {
        assert_eq!(reached(&world, spelling), (0, Some("ann@contoso.com".to_owned())), "{spelling}");
    }
}

#[test]
fn pl_49_50_contacts_and_their_loops() {
    let mut world = World::new();
    world
        .contact("out@contoso.com", "bob@fabrikam.com")
        .contact("chain@contoso.com", "out@contoso.com")
        .contact("self@partner.example", "self@partner.example")
        .contact("stuck@contoso.com", "stuck@contoso.com")
        .contact("ping@contoso.com", "pong@contoso.com")
        .contact("pong@contoso.com", "ping@contoso.com")
        .contact("lost@contoso.com", "nobody@contoso.com");
    let bob = format!("{INTERNET} fabrikam.com: bob@fabrikam.com");
    world.check(&["out@contoso.com"], &format!("{bob} (rfc822;out@contoso.com)"));
    world.check(&["chain@contoso.com"], &format!("{bob} (rfc822;chain@contoso.com)"));
    world.check(&["self@partner.example"], &format!("{INTERNET} partner.example: self@partner.example"));
    world.check(&["stuck@contoso.com"], "failed stuck@contoso.com 5.4.6");
    world.check(
        &["ping@contoso.com", "pong@contoso.com"],
        "failed ping@contoso.com (rfc822;ping@contoso.com) 5.4.6; failed pong@contoso.com (rfc822;pong@contoso.com) 5.4.6",
    );
    world.check(&["lost@contoso.com"], "failed nobody@contoso.com (rfc822;lost@contoso.com) 5.1.1");
    for at in 0..30 {
        world.contact(&format!("c{at}@contoso.com"), &format!("c{}@contoso.com", at + 1));
    }
    assert!(words(&world.run(message(&["c0@contoso.com"]))).ends_with("5.4.6"));
}

#[test]
fn pl_49_50_groups_nested_looped_and_empty() {
    let mut world = World::new();
    world
        .mailbox(&["ann@contoso.com"], "DB-A")
        .mailbox(&["ben@contoso.com"], "DB-B")
        .group("all@contoso.com", &["ann@contoso.com", "some@contoso.com", "cid@fabrikam.com"])
        .group("some@contoso.com", &["ben@contoso.com", "all@contoso.com", "gone@contoso.com"])
        .group("empty@contoso.com", &[]);
    let via = "(rfc822;all@contoso.com)";
    world.check(
        &["all@contoso.com"],
        &format!(
            "SmtpDeliveryToMailbox DB-A: ann@contoso.com {via}; \
             {INTERNET} fabrikam.com: cid@fabrikam.com {via}; \
             SmtpRelayToMailboxDeliveryGroup Site:B;Version:15: ben@contoso.com {via}; \
             failed gone@contoso.com {via} 5.1.1; expanded all@contoso.com; merged all@contoso.com"
        ),
    );
    world.check(&["empty@contoso.com"], "expanded empty@contoso.com");
}

#[test]
fn one_delivery_for_equal_recipients_and_the_envelope_comes_first() {
    let mut world = World::new();
    world
        .mailbox(&["ann@contoso.com", "a@contoso.com"], "DB-A")
        .group("team@contoso.com", &["a@contoso.com"])
        .contact("friend@contoso.com", "bob@fabrikam.com");
    let ann = "SmtpDeliveryToMailbox DB-A: ann@contoso.com";
    world.check(&["ann@contoso.com", "ANN@contoso.com"], &format!("{ann}; merged ann@contoso.com"));
    world.check(
        &["team@contoso.com", "ann@contoso.com"],
        &format!("{ann}; expanded team@contoso.com; merged ann@contoso.com"),
    );
    world.check(
        &["friend@contoso.com", "bob@fabrikam.com"],
        &format!("{INTERNET} fabrikam.com: bob@fabrikam.com; merged bob@fabrikam.com"),
    );
}

#[test]
fn rt_72_a_group_with_an_expansion_server_goes_there() {
    let mut world = World::new();
    world.mailbox(&["ann@contoso.com"], "DB-A");
    let members = vec![address("ann@contoso.com")];
    let expansion_server = Some("B1".parse().unwrap());
    world.add(&["far@contoso.com"], RecipientKind::DistributionGroup { members, expansion_server });
    world.check(&["far@contoso.com"], "SmtpRelayToServers b1.contoso.com: far@contoso.com");
    let there = world.run_on("B1", message(&["far@contoso.com"]));
    assert_eq!(
        words(&there),
        "SmtpRelayToMailboxDeliveryGroup Site:A;Version:15: ann@contoso.com (rfc822;far@contoso.com); \
         expanded far@contoso.com"
    );
    // PL-48: what A1 stamped is expanded on B1 all the same.
    let stamped = categorized(world.run(message(&["far@contoso.com"]))).copies.remove(0).recipients.remove(0);
    let resumed = Message { recipients: vec![Incoming::Resolved(stamped)], ..message(&[]) };
    assert_eq!(words(&world.run_on("B1", resumed)), words(&there));
}

#[test]
fn success_of_a_group_is_told_at_its_expansion() {
    // RFC 3461 §5.2.7.3
    let mut world = World::new();
    world.mailbox(&["ann@contoso.com"], "DB-A").group("team@contoso.com", &["ann@contoso.com"]);
    let only_success = Notify::On { success: true, failure: false, delay: false };
    let no_success = Notify::On { success: false, failure: true, delay: false };
    for (asked, members) in [(SUCCESS, no_success), (only_success, Notify::Never), (Notify::Never, Notify::Never)] {
        let recipients = vec![with_notify("team@contoso.com", asked)];
        let outcome = categorized(world.run(Message { recipients, ..message(&[]) }));
        assert_eq!(outcome.expanded[0].recipient.notify, Some(asked));
        assert_eq!(outcome.copies[0].recipients[0].recipient.notify, Some(members));
        assert_eq!(outcome.copies[0].recipients[0].origin, Origin::Member(Position(0)));
    }
}

#[test]
fn lm_05_10_14_size_limits() {
    let mut world = World::new();
    world.draft.transport_config.max_send_size = Limit::At(ByteSize::mib(10));
    world.draft.transport_config.max_receive_size = Limit::At(ByteSize::mib(10));
    let mailbox = || RecipientKind::Mailbox { database: object("DB-A"), password: None };
    let contact = |to: &str| RecipientKind::MailContact { external_address: address(to).into() };
    world
        .add_limited(&["big@contoso.com"], mailbox(), Some(50), Some(50))
        .add_limited(&["plain@contoso.com"], mailbox(), None, None)
        .add_limited(&["small@contoso.com"], mailbox(), Some(1), Some(1))
        .add_limited(&["friend@contoso.com"], contact("bob@fabrikam.com"), None, Some(50))
        .add_limited(&["self@partner.example"], contact("self@partner.example"), None, Some(50))
        .add_limited(&["inside@contoso.com"], contact("big@contoso.com"), None, Some(50));
    let status = |from: &str, sender_kind, to: &str, mib| {
        let sender = ReversePath::parse(from).unwrap();
        let size = SizeFacts { current: ByteSize::mib(mib), original: None };
        let outcome = categorized(world.run(Message { sender, sender_kind, size, ..message(&[to]) }));
        outcome.failed.first().map_or_else(|| "ok".to_owned(), |failed| failed.failure.reply().to_string())
    };
    use SenderKind::{Anonymous, Authenticated, System};
    for (from, kind, to, mib, expected) in [
        ("big@contoso.com", Authenticated, "big@contoso.com", 50, "ok"), // LM-10: upward too
        ("big@contoso.com", Authenticated, "big@contoso.com", 51, "5.3.4 RESOLVER.RST.SendSizeLimit;"),
        ("plain@contoso.com", Authenticated, "big@contoso.com", 11, "5.3.4 RESOLVER.RST.SendSizeLimit.Org;"),
        ("big@contoso.com", Authenticated, "plain@contoso.com", 11, "5.3.4 RESOLVER.RST.RecipSizeLimit.Org;"),
        ("plain@contoso.com", Authenticated, "small@contoso.com", 2, "5.2.3 RESOLVER.RST.RecipSizeLimit;"),
        ("small@contoso.com", Authenticated, "big@contoso.com", 2, "5.3.4 RESOLVER.RST.SendSizeLimit;"),
        ("big@contoso.com", Anonymous, "big@contoso.com", 11, "5.3.4 RESOLVER.RST.SendSizeLimit.Org;"), // a forged sender
        ("x@fabrikam.com", Anonymous, "small@contoso.com", 2, "5.2.3 RESOLVER.RST.RecipSizeLimit;"),    // LM-05
        ("x@fabrikam.com", Anonymous, "plain@contoso.com", 10, "ok"),                                   // LM-04
        ("", Anonymous, "plain@contoso.com", 11, "5.3.4 RESOLVER.RST.SendSizeLimit.Org;"),
        ("big@contoso.com", Authenticated, "x@fabrikam.com", 11, "5.3.4 RESOLVER.RST.RecipSizeLimit.Org;"), // LM-05
        ("big@contoso.com", Authenticated, "friend@contoso.com", 11, "5.3.4 RESOLVER.RST.RecipSizeLimit.Org;"),
        ("big@contoso.com", Authenticated, "inside@contoso.com", 11, "ok"), // an alias of an inside recipient is inside
        ("big@contoso.com", Authenticated, "self@partner.example", 11, "5.3.4 RESOLVER.RST.RecipSizeLimit.Org;"),
        ("", System, "small@contoso.com", 99, "ok"), // LM-14
    ] {
        let found = status(from, kind, to, mib);
        assert!(found.contains(expected), "{from} {kind:?} {to} {mib}: {found}");
    }
}

#[test]
fn lm_02_the_lower_size_counts() {
    // SC-75
    let size =
        |current, original| SizeFacts { current: ByteSize::mib(current), original: Some(ByteSize::mib(original)) };
    assert_eq!(size(12, 9).effective(), ByteSize::mib(9));
    assert_eq!(size(9, 12).effective(), ByteSize::mib(9));
}

#[test]
fn lm_14_exempt_mail_passes_connectors_of_any_size() {
    // SC-75
    let mut world = World::new();
    world.draft.send_connectors[0].max_message_size = Limit::At(ByteSize::mib(1));
    let size = SizeFacts { current: ByteSize::mib(5), original: None };
    let ordinary = Message { size, ..message(&["x@fabrikam.com"]) };
    let exempt = Message { sender_kind: SenderKind::System, ..ordinary.clone() };
    assert_eq!(words(&world.run(ordinary)), "failed x@fabrikam.com 5.3.4"); // RT-55
    assert_eq!(words(&world.run(exempt)), format!("{INTERNET} fabrikam.com: x@fabrikam.com"));
}

#[test]
fn lm_12_recipients_are_counted_once_before_expansion() {
    let mut world = World::new();
    world.draft.transport_config.max_recipient_envelope_limit = Limit::At(2);
    world
        .mailbox(&["ann@contoso.com"], "DB-A")
        .group("team@contoso.com", &["ann@contoso.com", "b@fabrikam.com", "c@fabrikam.com", "d@fabrikam.com"]);
    let three = message(&["a@fabrikam.com", "b@fabrikam.com", "c@fabrikam.com"]);
    let outcome = categorized(world.run(three.clone()));
    assert_eq!(outcome.failed.len(), 3);
    assert_eq!(outcome.failed[0].failure.to_string(), "550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients");
    let later = Message { arrival: Arrival::LaterServer, ..three.clone() };
    assert_eq!(categorized(world.run(later)).failed, []);
    let system = Message { sender_kind: SenderKind::System, ..three };
    assert_eq!(categorized(world.run(system)).failed.len(), 3); // LM-14: not exempt from this one
    let expanded = categorized(world.run(message(&["team@contoso.com"])));
    assert_eq!(expanded.failed, []);
    // PL-48: what was resolved before is not counted again.
    let resolved = expanded.copies.into_iter().flat_map(|copy| copy.recipients).map(Incoming::Resolved);
    let recipients = resolved.chain([Incoming::Fresh(Recipient::new(address("e@fabrikam.com")))]).collect();
    assert_eq!(categorized(world.run(Message { recipients, ..message(&[]) })).failed, []);
}

#[test]
fn pl_43_a_directory_that_does_not_answer_defers_the_message() {
    let mut world = World::new();
    world.directory.insert("ann@contoso.com".to_owned(), Lookup::TransientError);
    let outcome = world.run(message(&["x@fabrikam.com", "ann@contoso.com"]));
    assert_eq!(outcome, CategorizationOutcome::DirectoryUnavailable { retry_after: envelope::Span::minutes(1) });
    // No answer at all is no answer.
    let Step::NeedRecipients(pending) = Categorization::new(world.tables("A1"), message(&["a@b.example"])).step()
    else {
        panic!()
    };
    assert!(matches!(pending.supply([]).step(), Step::Done(CategorizationOutcome::DirectoryUnavailable { .. })));
}

#[test]
fn pl_48_resolved_recipients_are_only_routed() {
    let mut world = World::new();
    world.mailbox(&["ann@contoso.com"], "DB-A");
    let first = categorized(world.run(message(&["ann@contoso.com", "x@fabrikam.com"])));
    let resolved = first.copies.iter().flat_map(|copy| copy.recipients.clone()).map(Incoming::Resolved).collect();
    let again = Message { recipients: resolved, ..message(&[]) };
    let Step::Done(outcome) = Categorization::new(world.tables("A1"), again).step() else {
        panic!("nothing is left to ask")
    };
    assert_eq!(categorized(outcome).copies, first.copies);
}

#[test]
fn pl_54_copies_are_chipped_and_rt_31_equal_keys_travel_together() {
    // SC-4: a connector for each recipient.
    let mut world = World::new();
    world.draft.transport_config.max_recipient_envelope_limit = Limit::Unlimited;
    let many: Vec<String> = (0..2001).map(|at| format!("u{at}@fabrikam.com")).collect();
    let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
    all.insert(1, "x@other.example");
    let outcome = categorized(world.run(message(&all)));
    let sizes: Vec<usize> = outcome.copies.iter().map(|copy| copy.recipients.len()).collect();
    assert_eq!(sizes, [1000, 1, 1000, 1]);
    assert_eq!(outcome.copies[0].route.key, outcome.copies[3].route.key);
}

#[test]
fn explanations_are_kept_only_when_asked_for() {
    let world = World::new();
    let asked = Message { detail: Detail::Explanation, ..message(&["x@fabrikam.com"]) };
    let outcome = categorized(world.run(asked));
    assert_eq!(outcome.explained.len(), 1);
    assert_eq!(outcome.explained[0].explanation.selected().unwrap().connector.as_str(), "Internet");
    assert_eq!(categorized(world.run(message(&["x@fabrikam.com"]))).explained, []);
}

#[test]
fn rt_59_an_edge_server_asks_no_directory() {
    let mut world = World::new();
    world.server("EDGE1", "A", ServerRole::Edge);
    world.connector("Inbound", "--", "EDGE1");
    let Step::Done(outcome) = Categorization::new(world.tables("EDGE1"), message(&["ann@contoso.com"])).step() else {
        panic!("an Edge server knows domains only")
    };
    assert_eq!(words(&outcome), format!("{INTERNET} contoso.com: ann@contoso.com"));
    // SC-62: of other types it knows nothing; whose such an address is, the organization knows.
    for inside in ["IMCEAFAX-5@contoso.com", "IMCEAX400-c=US+3Bs=Ann@contoso.com"] {
        let Step::Done(outcome) = Categorization::new(world.tables("EDGE1"), message(&[inside])).step() else {
            panic!("an Edge server knows domains only")
        };
        assert_eq!(words(&outcome), format!("{INTERNET} contoso.com: {inside}"));
    }
}

#[test]
fn a_group_too_large_for_memory_fails() {
    let mut world = World::new();
    let members = vec![address("ann@contoso.com"); EXPANDED_RECIPIENTS_MAX + 1];
    world.add(&["huge@contoso.com"], RecipientKind::DistributionGroup { members, expansion_server: None });
    world.check(&["huge@contoso.com"], "failed huge@contoso.com 5.5.3");
}

#[test]
fn who_may_send_to_a_group() {
    let mut world = World::new();
    world.mailbox(&["ann@contoso.com"], "DB-A").mailbox(&["sender@contoso.com", "sam@contoso.com"], "DB-A");
    world.group("all@contoso.com", &["ann@contoso.com"]);
    let restricted = |world: &mut World, restrictions: DeliveryRestrictions| {
        let Some(Lookup::Found(group)) = world.directory.get("all@contoso.com").cloned() else {
            panic!("it was added")
        };
        let group = DirectoryRecipient { restrictions, ..DirectoryRecipient::clone(&group) };
        world.directory.insert("all@contoso.com".to_owned(), Lookup::Found(Arc::new(group)));
    };
    let failed = |world: &World, kind, sender: &str| {
        let sender = ReversePath::parse(sender).unwrap();
        let CategorizationOutcome::Categorized(done) =
            world.run(Message { sender, sender_kind: kind, ..message(&["all@contoso.com"]) })
        else {
            panic!("the directory answers")
        };
        done.failed.first().map(|failed| failed.failure.clone())
    };
    let only_inside = DeliveryRestrictions { require_sender_authentication: true, ..DeliveryRestrictions::default() };
    restricted(&mut world, only_inside.clone());
    use SenderKind::{Anonymous, Authenticated, System};
    assert_eq!(failed(&world, Anonymous, "a@b.example"), Some(RecipientFailure::SenderNotAuthenticated));
    assert_eq!(failed(&world, Authenticated, "sender@contoso.com"), None);
    // PL-51
    assert_eq!(failed(&world, System, ""), Some(RecipientFailure::ReportToGroup));
    assert_eq!(failed(&world, Anonymous, ""), Some(RecipientFailure::ReportToGroup));
    let of = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<Vec<_>>();
    restricted(&mut world, DeliveryRestrictions { accept_only_from: of(&["sam@contoso.com"]), ..only_inside.clone() });
    assert_eq!(failed(&world, Authenticated, "sender@contoso.com"), None, "by another address of his");
    assert_eq!(failed(&world, Authenticated, "ann@contoso.com"), Some(RecipientFailure::SenderNotAccepted));
    restricted(&mut world, DeliveryRestrictions { reject_from: of(&["sam@contoso.com"]), ..only_inside });
    assert_eq!(failed(&world, Authenticated, "sender@contoso.com"), Some(RecipientFailure::SenderNotAccepted));
    restricted(&mut world, DeliveryRestrictions { accept_only_from: of(&["sam@contoso.com"]), ..Default::default() });
    assert_eq!(
        failed(&world, Anonymous, "sam@contoso.com"),
        Some(RecipientFailure::SenderNotAccepted),
        "anybody could say that"
    );
}

#[test]
fn every_domain_of_ours_has_a_postmaster_and_hears_of_abuse() {
    // RFC 5321 §4.5.1, RFC 2142 §4
    let mut world = World::new();
    let (guid, domain) = (world.guid(), "second.example".parse().unwrap());
    world.draft.accepted_domains.push(AcceptedDomain {
        guid,
        name: object("second"),
        domain,
        domain_type: AcceptedDomainType::Authoritative,
        address_book_enabled: true,
        is_default: false,
    });
    for address in ["Postmaster@second.example", "abuse@second.example", "Abuse@contoso.com"] {
        assert_eq!(reached(&world, address), (1, None), "nobody is postmaster");
    }
    world.mailbox(&["ann@contoso.com", "postmaster@contoso.com"], "DB-A");
    for address in ["Postmaster@second.example", "abuse@second.example", "Abuse@contoso.com"] {
        assert_eq!(reached(&world, address), (0, Some("ann@contoso.com".to_owned())), "{address}");
    }
    world.mailbox(&["bo@contoso.com", "abuse@contoso.com"], "DB-A");
    assert_eq!(reached(&world, "abuse@contoso.com"), (0, Some("bo@contoso.com".to_owned())), "who has it, has it");
}

/// How many failed, and whom the first copy is for.
fn reached(world: &World, address: &str) -> (usize, Option<String>) {
    let CategorizationOutcome::Categorized(done) = world.run(message(&[address])) else { panic!("it answers") };
    (done.failed.len(), done.copies.first().map(|copy| copy.recipients[0].recipient.address.to_string()))
}

#[test]
fn what_stands_behind_a_plus_is_the_owners_where_the_organization_says_so() {
    // RFC 5233 §4
    let mut world = World::new();
    world.mailbox(&["ann@contoso.com"], "DB-A");
    assert_eq!(reached(&world, "ann+lists@contoso.com"), (1, None), "not unless it is asked for");
    world.draft.transport_config.plus_addressing_enabled = true;
    assert_eq!(reached(&world, "ann+lists+more@contoso.com"), (0, Some("ann@contoso.com".to_owned())));
    assert_eq!(reached(&world, "nobody+lists@contoso.com"), (1, None));
    assert_eq!(reached(&world, "+lists@contoso.com"), (1, None));
    world.mailbox(&["list@contoso.com", "ann+lists@contoso.com"], "DB-A");
    assert_eq!(
        reached(&world, "ann+lists@contoso.com"),
        (0, Some("list@contoso.com".to_owned())),
        "who has it, has it"
    );
}
