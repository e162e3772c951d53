//! The admin service as administrators have it: by mutual TLS and by its Unix socket, by role groups, with everything written
//! down.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test, whose certificates are of now")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use admin::Admin;
use admin_api::queues::{
    ExportedContent, GatewayEntry, GatewayState, MessageEntry, MessagesRequest, NotDone, Operated, Operation, Outcome,
    PeerEntry, QueueEntry, Target,
};
use admin_api::{Administrator, Api, AuditTrail, CertificateOrder, QueueHandler, RemoteDirectory, RemoteSecrets};
use async_trait::async_trait;
use authority::{Revocation, RoleGroup, Subject};
use directory::{
    Administration, Author, Change, CommitError, Configuration, HistoryError, Precondition, Presences, ReadError,
    Recipients, Sealer, WatchEvent,
};
use envelope::{Address, ByteSize, ObjectName, Revision, ServerName, Service, Timestamp};
use futures::StreamExt;
use futures::stream::BoxStream;
use logs::audit::{self, AuditQuery};
use logs::{Log, LogSettings};
use net::CertificateAuthority;
use organization::{Document, Kind, Object, PasswordSource, Secrets};
use rpc::{Credentials, Offer, PeerAddress};
use runtime::Settings;
use testkit::{World, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use topology::{RecipientKind, SendConnector};

const ORGANIZATION: &str = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
databases: [{name: DB1, server: MAIL1}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
sendConnectors: [{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1]}]
receiveConnectors: [{server: MAIL1, name: Extra, bindings: ['127.0.0.1:2599'], remoteIPRanges: [127.0.0.1]}]
recipients: [{name: anna, address: anna@contoso.com, database: DB1, password: secret}]
";

/// An organization with an admin service that runs.
struct Scene {
    world: World,
    settings: Settings,
    at: PeerAddress,
    drain: CancellationToken,
    ended: JoinHandle<()>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let world = World::new(ORGANIZATION).await;
        let settings = change(world.settings("MAIL1"));
        let node = world.node_with(settings.clone(), Service::Admin).await;
        let drain = CancellationToken::new();
        let admin = Admin::build(node, drain.clone()).await.unwrap();
        let (server, fqdn) = ("MAIL1".parse().unwrap(), "mail1.contoso.com".parse().unwrap());
        let at = PeerAddress { server, fqdn, address: admin.address().unwrap() };
        let ended = tokio::spawn(async move { admin.run().await.unwrap() });
        Self { world, settings, at, drain, ended }
    }

    /// As an administrator of these role groups.
    async fn api(&self, groups: &[RoleGroup]) -> Api {
        Api::connect(&self.at, &administrator(self.world.authority(), groups)).await.unwrap()
    }

    async fn directory(&self, groups: &[RoleGroup]) -> RemoteDirectory {
        RemoteDirectory::new(self.api(groups).await)
    }

    /// Drains, so that everything is written.
    async fn stop(self) -> World {
        self.drain.cancel();
        self.ended.await.unwrap();
        self.world
    }
}

fn administrator(authority: &CertificateAuthority, groups: &[RoleGroup]) -> Credentials {
    let name = ObjectName::parse("anna").unwrap();
    let groups: BTreeSet<RoleGroup> = groups.iter().copied().collect();
    let own = authority.issue_administrator(&name, &groups, SystemTime::now().into()).unwrap();
    Credentials::new(own, authority.certificate_pem().to_owned())
}

fn author() -> Author {
    Author::new("somebody else", "postroad test")
}

/// The connector as it is, on another port.
async fn moved(directory: &dyn Configuration, port: u16) -> Change {
    let organization = directory.snapshot().await.unwrap();
    let connector = SendConnector { port, ..organization.send_connectors()[0].clone() };
    let mut change = Change::by(author());
    change.puts.push(Object::SendConnector(Box::new(connector)));
    change.preconditions.push(Precondition::Revision(organization.revision()));
    change
}

use RoleGroup::{
    HygieneManagement, OrganizationManagement, RecipientManagement, ServerManagement, ViewOnlyOrganizationManagement,
};

#[tokio::test]
async fn what_is_asked_over_the_api_is_answered_as_by_the_backend() {
    let scene = Scene::new().await;
    let (remote, backend) = (scene.directory(&[OrganizationManagement]).await, scene.world.directory());
    let (there, here) = (remote.snapshot().await.unwrap(), backend.snapshot().await.unwrap());
    // Default Receive connectors stand where they sort, in place of after the others.
    let sorted = |organization: &topology::Organization| {
        let mut objects = organization::objects(organization.draft(), &[]);
        objects.sort_by_key(Object::place);
        objects
    };
    assert_eq!((there.revision(), sorted(&there)), (here.revision(), sorted(&here)));
    let addresses = ["anna@contoso.com", "nobody@contoso.com"].map(|text| Address::parse(text).unwrap());
    assert_eq!(remote.recipients(&addresses).await, backend.recipients(&addresses).await);
    let name = ObjectName::parse("ANNA").unwrap();
    assert_eq!(remote.recipient_by_name(&name).await, backend.recipient_by_name(&name).await);
    assert_eq!(remote.list_recipients(None, 10).await, backend.list_recipients(None, 10).await);
    let presences = until("the admin service to be there", async || {
        Some(remote.presences().await.unwrap()).filter(|there| !there.is_empty())
    });
    assert_eq!(presences.await[0].service, Service::Admin);
    assert_eq!(remote.revisions(5).await, backend.revisions(5).await);
    assert_eq!(remote.salvage().await.unwrap().objects.len(), backend.salvage().await.unwrap().objects.len());
    // What was, and what is not.
    let before = there.revision();
    remote.commit(moved(&remote, 2525).await).await.unwrap();
    let then = remote.at(before).await.unwrap().snapshot().await.unwrap();
    assert_eq!(then.send_connectors()[0].port, 25);
    assert_eq!(remote.snapshot().await.unwrap().send_connectors()[0].port, 2525);
    let error = remote.at(Revision(9_999)).await.err().unwrap();
    assert!(matches!(error, HistoryError::NotYet { revision: Revision(9_999), .. }), "{error}");
    // A change against what is no more, and one that is not valid, say so as the backend does.
    let mut late = moved(&remote, 26).await;
    late.preconditions = vec![Precondition::Revision(before)];
    assert!(matches!(remote.commit(late).await, Err(CommitError::Conflict(_))));
    let mut invalid = Change::by(author());
    invalid.deletes.push((Kind::Site, there.draft().sites[0].guid));
    let Err(CommitError::Invalid(problems)) = remote.commit(invalid).await else { panic!("it is not valid") };
    assert!(problems.to_string().contains("Berlin"), "{problems}");
}

#[tokio::test]
async fn a_watch_tells_of_each_change_and_of_who_is_there() {
    let scene = Scene::new().await;
    let remote = scene.directory(&[ViewOnlyOrganizationManagement]).await;
    let mut events = remote.watch(remote.snapshot().await.unwrap().revision());
    let mut presences = remote.watch_presences();
    let revision = scene.world.directory().commit(moved(scene.world.directory().as_ref(), 2525).await).await.unwrap();
    let Some(WatchEvent::Snapshot(newer)) = events.next().await else { panic!("a newer configuration") };
    assert_eq!(newer.revision(), revision);
    assert!(presences.next().await.is_some());
}

#[tokio::test]
async fn each_role_group_does_what_it_may_and_nothing_else() {
    let scene = Scene::new().await;
    let receive = |organization: &topology::Organization| {
        let connectors = &organization.draft().receive_connectors;
        let extra = connectors.iter().find(|connector| connector.name.as_str() == "Extra").unwrap();
        Object::ReceiveConnector(Box::new(topology::ReceiveConnector { comment: "changed".into(), ..extra.clone() }))
    };
    let recipient = |_: &topology::Organization| {
        let yaml = ORGANIZATION.replace("anna@contoso.com", "ann@contoso.com");
        let (draft, recipients) = Document::parse(&yaml).unwrap().to_draft(&organization::WithoutSecrets).unwrap();
        organization::objects(&draft, &recipients).pop().unwrap()
    };
    let send = |organization: &topology::Organization| {
        let connector = SendConnector { port: 2525, ..organization.send_connectors()[0].clone() };
        Object::SendConnector(Box::new(connector))
    };
    type Made<'a> = &'a dyn Fn(&topology::Organization) -> Object;
    let changes: [(Made<'_>, &[RoleGroup]); 3] = [
        (&send, &[OrganizationManagement]),
        (&receive, &[OrganizationManagement, ServerManagement, HygieneManagement]),
        (&recipient, &[OrganizationManagement, RecipientManagement]),
    ];
    for (object, may) in changes {
        for group in RoleGroup::ALL {
            let remote = scene.directory(&[group]).await;
            let organization = remote.snapshot().await.unwrap();
            let mut change = Change::by(author());
            change.puts.push(object(&organization));
            let place = change.puts[0].place();
            match remote.commit(change).await {
                Ok(_) => assert!(may.contains(&group), "{group} changed {place}"),
                Err(CommitError::Refused(why)) => {
                    assert!(!may.contains(&group), "{group} could not change {place}: {why}");
                    assert!(why.contains("(rule `role-group`)"), "{why}");
                }
                Err(error) => panic!("{group} {place}: {error}"),
            }
        }
    }
    // Who may not change recipients is not told the verifiers of their passwords.
    for (group, tells) in [(RecipientManagement, true), (ViewOnlyOrganizationManagement, false)] {
        let listed = scene.directory(&[group]).await.list_recipients(None, 1).await.unwrap();
        let RecipientKind::Mailbox { password, .. } = &listed[0].kind else { panic!("a mailbox") };
        assert!(password.is_none() || tells, "{group}");
    }
    let refused = scene.api(&[ServerManagement]).await.search_audit(AuditQuery::default(), 5).await.unwrap_err();
    assert!(refused.to_string().contains("may not read the audit log"), "{refused}");
    // A service is no administrator, not even the admin service of another server.
    let services = net::NodeIdentity {
        server: ServerName::parse("MAIL1").unwrap(),
        fqdn: "mail1.contoso.com".parse().unwrap(),
        services: Service::ALL.into(),
    };
    let own = scene.world.authority().issue(&services, SystemTime::now().into()).unwrap();
    let own = Credentials::new(own, scene.world.authority().certificate_pem().to_owned());
    let service = RemoteDirectory::new(Api::connect(&scene.at, &own).await.unwrap());
    let Err(ReadError::Unavailable(why)) = service.snapshot().await else { panic!("no service reads it here") };
    assert!(why.contains("may not call this; it is for administrators"), "{why}");
}

#[tokio::test]
async fn every_change_is_written_down_with_its_author_and_what_it_was() {
    let scene = Scene::new().await;
    let remote = scene.directory(&[OrganizationManagement]).await;
    let revision = remote.commit(moved(&remote, 587).await).await.unwrap();
    let view = scene.directory(&[ViewOnlyOrganizationManagement]).await;
    view.commit(moved(&view, 25).await).await.unwrap_err();
    let subject = Subject::Server(ServerName::parse("MAIL9").unwrap());
    let revocation = Revocation { subject, issued_until: Timestamp::from_millis(1_000) };
    remote.revoke(revocation.clone(), &author()).await.unwrap();
    // Who changed it is whom the certificate names, whatever the caller says.
    let revisions = remote.revisions(1).await.unwrap();
    let author = revisions[0].author.as_ref().unwrap();
    assert_eq!((author.who.as_str(), author.through.as_str()), ("anna", "postroad test, admin API of MAIL1"));
    let revoked = remote.revocations().await.unwrap();
    assert_eq!((&revoked[0].revocation, revoked[0].author.who.as_str()), (&revocation, "anna"));
    let api = scene.api(&[OrganizationManagement]).await;
    let lines = until("the audit log to be written", async || {
        Some(api.search_audit(AuditQuery::default(), 10).await.unwrap()).filter(|lines| lines.len() == 3)
    });
    let lines = lines.await;
    let told: Vec<Vec<&str>> = lines
        .iter()
        .rev()
        .map(|line| {
            ["cmdlet", "object-modified", "modified-properties", "succeeded", "client"]
                .map(|name| line.get(name))
                .to_vec()
        })
        .collect();
    assert_eq!(told[0], ["Set-SendConnector", "sendConnectors[\"Out\"]", "port: 25 -> 587", "True", "127.0.0.1"]);
    assert_eq!(told[1], ["Set-SendConnector", "sendConnectors[\"Out\"]", "port: 587 -> 25", "False", "127.0.0.1"]);
    assert_eq!(told[2][..2], ["Revoke-Certificate", "server MAIL9"]);
    assert_eq!(lines[2].get("revision"), revision.to_string());
    assert!(lines[1].get("error").contains("may not change Send connectors"), "{}", lines[1].get("error"));
    let query = AuditQuery { success: Some(false), ..AuditQuery::default() };
    assert_eq!(api.search_audit(query, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_to_be_read_sealed_or_revoked_is_written_down_once_a_minute() {
    let scene = Scene::new().await;
    let api = scene.api(&[RecipientManagement]).await;
    let remote = RemoteDirectory::new(api.clone());
    for _ in 0..3 {
        assert!(api.search_audit(AuditQuery::default(), 5).await.is_err());
        assert!(remote.revocations().await.is_err());
    }
    let subject = Subject::Server(ServerName::parse("MAIL9").unwrap());
    let revocation = Revocation { subject, issued_until: Timestamp::from_millis(1_000) };
    remote.revoke(revocation, &author()).await.unwrap_err();
    let connector = remote.snapshot().await.unwrap().send_connectors()[0].clone();
    let secrets = RemoteSecrets::new(api.clone(), std::path::PathBuf::new(), &[]);
    let seal = move || secrets.credential(&connector, "relay", PasswordSource::Plain("hunter2"));
    tokio::task::spawn_blocking(seal).await.unwrap().unwrap_err();
    let at = PeerAddress { address: scene.at.address, ..scene.at.clone() };
    assert!(Administrator::through(&api).queues(&at).await.is_err());
    let reader = scene.api(&[OrganizationManagement]).await;
    let lines = until("the audit log to be written", async || {
        Some(reader.search_audit(AuditQuery::default(), 20).await.unwrap()).filter(|lines| lines.len() >= 5)
    });
    let mut told: Vec<String> = lines
        .await
        .iter()
        .map(|line| ["caller", "cmdlet", "object-modified", "succeeded"].map(|name| line.get(name)).join(" "))
        .collect();
    told.sort();
    let expected = [
        "anna Get-ExchangeCertificate certificates False",
        "anna Get-Queue queues False",
        "anna Protect-Credential Send connectors False",
        "anna Revoke-Certificate certificates False",
        "anna Search-AdminAuditLog the audit log False",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn users_of_the_server_come_by_the_socket_as_whom_the_kernel_knows_them() {
    let scene = Scene::new().await;
    let remote = RemoteDirectory::new(Api::local(&scene.settings.admin_socket()).await.unwrap());
    remote.commit(moved(&remote, 587).await).await.unwrap();
    let who = remote.revisions(1).await.unwrap()[0].author.clone().unwrap().who;
    assert_eq!(who, net::user_name(net::own_user()));
    let api = Api::local(&scene.settings.admin_socket()).await.unwrap();
    let lines = until("the audit log to be written", async || {
        Some(api.search_audit(AuditQuery::default(), 10).await.unwrap()).filter(|lines| !lines.is_empty())
    });
    assert_eq!(lines.await[0].get("client"), "local");
    let path = scene.settings.admin_socket();
    scene.stop().await;
    assert!(!path.exists(), "the socket goes with the service");
}

#[tokio::test]
async fn a_credential_is_sealed_by_the_service_and_opened_for_nobody() {
    let scene = Scene::new().await;
    let api = scene.api(&[OrganizationManagement]).await;
    let mut connector = RemoteDirectory::new(api.clone()).snapshot().await.unwrap().send_connectors()[0].clone();
    connector.smart_hosts = vec!["a.example".parse().unwrap()];
    let secrets = Arc::new(RemoteSecrets::new(api.clone(), std::path::PathBuf::new(), &[]));
    let (asking, of) = (Arc::clone(&secrets), connector.clone());
    let seal = move || asking.credential(&of, "relay", PasswordSource::Plain("hunter2"));
    let sealed = tokio::task::spawn_blocking(seal).await.unwrap().unwrap();
    let sealer = Sealer::load(&scene.settings.organization_key).unwrap();
    assert_eq!(*sealer.unseal(&sealed, &connector).unwrap().password, "hunter2");
    // Who may not change Send connectors applies a file with those that are stored nevertheless.
    let stored = SendConnector { authentication_credential: Some(sealed.clone()), ..connector.clone() };
    let stored = Object::SendConnector(Box::new(stored));
    let other = RemoteSecrets::new(scene.api(&[RecipientManagement]).await, std::path::PathBuf::new(), &[stored]);
    let (of, given) = (connector.clone(), sealed.clone());
    let kept = tokio::task::spawn_blocking(move || other.sealed(&of, given)).await.unwrap();
    assert_eq!(kept, Ok(sealed.clone()));
    let elsewhere = SendConnector { smart_hosts: vec!["evil.example".parse().unwrap()], ..connector };
    let (asking, given) = (Arc::clone(&secrets), sealed.clone());
    let refused = tokio::task::spawn_blocking(move || asking.sealed(&elsewhere, given)).await.unwrap().unwrap_err();
    assert!(refused.contains("give user and password again"), "{refused}");
    let server = RemoteSecrets::new(scene.api(&[ServerManagement]).await, std::path::PathBuf::new(), &[]);
    let of = RemoteDirectory::new(api).snapshot().await.unwrap().send_connectors()[0].clone();
    let seal = move || server.credential(&of, "relay", PasswordSource::Plain("hunter2"));
    let refused = tokio::task::spawn_blocking(seal).await.unwrap().unwrap_err();
    assert!(refused.contains("role-group"), "{refused}");
}

/// A Transport with one queue.
struct OneQueue;

#[async_trait]
impl QueueHandler for OneQueue {
    fn queues(&self) -> Vec<QueueEntry> {
        vec![QueueEntry {
            number: 7,
            name: "fabrikam.com".into(),
            delivery_type: "DnsConnectorDelivery".into(),
            next_hop_domain: "fabrikam.com".into(),
            next_hop_connector: "".into(),
            connector: None,
            status: "Retry".into(),
            message_count: 1,
            deferred_message_count: 0,
            connections: 0,
            retry_count: 2,
            next_retry: None,
            last_error: None,
            incoming_rate: 0.0,
            outgoing_rate: 0.0,
            targets: Vec::new(),
            first_failure: None,
            last_failure: None,
            next_hop_category: "External".into(),
            tls_domain: None,
        }]
    }

    fn messages(&self, _: MessagesRequest) -> BoxStream<'static, MessageEntry> {
        futures::stream::empty().boxed()
    }

    fn peers(&self) -> Vec<PeerEntry> {
        Vec::new()
    }

    async fn gateways(&self) -> Vec<GatewayEntry> {
        let state = GatewayState::Agents { free: 2, at_work: 1 };
        let drop = GatewayState::Drop {
            directory: "/drop/Fax".into(),
            held: Some(ByteSize::kib(1)),
            trouble: Some("it is full".into()),
        };
        [state, drop].map(|state| GatewayEntry { connector: topology::Guid::ZERO, state }).into()
    }

    async fn operate(&self, _: Operation, target: Target) -> Operated {
        let outcome = match target {
            Target { queue: 7, message: None } => Outcome::Done { messages: 0 },
            Target { queue: 7, .. } => Outcome::Pending,
            _ => Outcome::Refused("there is no such queue".into()),
        };
        let known = if target.queue == 7 { ("fabrikam.com", "Retry") } else { ("", "") };
        Operated { outcome, queue_name: known.0.into(), status: known.1.into(), ..Operated::unknown(target) }
    }

    async fn redirect(&self, target: Option<&ServerName>) -> Result<(), NotDone> {
        target.map_or(Ok(()), |target| Err(NotDone(format!("{target} is not there").into())))
    }

    async fn export(&self, target: Target) -> (Operated, Result<ExportedContent, NotDone>) {
        let content = match target.message {
            Some(1) => Ok(futures::stream::iter([Ok("X-Sender: <>\r\n".into()), Ok("\r\nBody\r\n".into())]).boxed()),
            _ => Err(NotDone("only a suspended message is exported".into())),
        };
        (Operated::unknown(target), content)
    }
}

/// A Transport of MAIL1 with one queue, and where it writes what is done to it.
async fn one_queue(scene: &Scene) -> (PeerAddress, std::path::PathBuf) {
    let node = scene.world.node("MAIL1", Service::Transport).await;
    let listener = node.listen().await.unwrap();
    let address = listener.local().unwrap();
    let folder = scene.world.settings("MAIL1").state.join("transport-alone");
    let log = LogSettings { folder: folder.clone(), prefix: audit::PREFIX, version: "0" };
    let log = Arc::new(Log::new(log, || ()));
    let trail = AuditTrail::new(log, Arc::new(|| Timestamp::from_millis(1_795_335_330_250)), "MAIL1");
    let mut offer = Offer::new(CancellationToken::new());
    admin_api::offer::queues(&mut offer, Arc::new(OneQueue), trail);
    node.announce(address);
    let serving = offer.serve(listener, &node.credentials).unwrap();
    tokio::spawn(async move {
        // It is announced for as long as it is there.
        let _there = node;
        serving.await
    });
    (PeerAddress { address, ..scene.at.clone() }, folder)
}

#[tokio::test]
async fn what_is_done_to_queues_is_ruled_about_and_written_by_whoever_heard_it() {
    let scene = Scene::new().await;
    let (at, folder) = one_queue(&scene).await;
    let api = scene.api(&[ServerManagement]).await;
    let through = Administrator::through(&api);
    until("the admin service to know Transport", async || through.queues(&at).await.ok()).await;
    let queue = |queue| Target { queue, message: None };
    let message = |message| Target { queue: 7, message: Some(message) };
    let done = through.operate(&at, Operation::SuspendQueue, &[queue(7), queue(9)], "postroad test").await.unwrap();
    assert_eq!(done[0].outcome, Outcome::Done { messages: 0 });
    assert_eq!(done[1].outcome, Outcome::Refused("there is no such queue".into()));
    let removal = Operation::RemoveMessage { with_ndr: false };
    let removed = through.operate(&at, removal, &[message(4)], "postroad test").await.unwrap();
    assert_eq!((&removed[0].outcome, &*removed[0].queue_name), (&Outcome::Pending, "fabrikam.com"));
    let refused = through.redirect(&at, Some(&"MAIL9".parse().unwrap()), "postroad test").await.unwrap();
    assert_eq!(refused, Err(NotDone("MAIL9 is not there".into())));
    let exported = through.export(&at, message(1), "postroad test").await.unwrap().unwrap();
    let octets: Vec<_> = exported.content.map(Result::unwrap).collect().await;
    assert_eq!(octets.concat(), b"X-Sender: <>\r\n\r\nBody\r\n");
    let refused = through.export(&at, message(2), "postroad test").await.unwrap().err().unwrap();
    assert_eq!(refused, NotDone("only a suspended message is exported".into()));
    // An operation of messages needs one, and nobody does more than the bound at once.
    assert!(through.operate(&at, removal, &[queue(7)], "postroad test").await.is_err());
    // Who may only look does nothing, and that he wanted to is written.
    let view = Administrator::through(&scene.api(&[ViewOnlyOrganizationManagement]).await);
    let refused = view.operate(&at, Operation::RetryQueue, &[queue(7)], "postroad test").await.unwrap_err();
    assert!(refused.to_string().contains("may not change queues; that is for"), "{refused}");
    // The admin service heard all of it, so it wrote all of it, and Transport nothing.
    let reader = scene.api(&[OrganizationManagement]).await;
    let lines = until("the audit log to be written", async || {
        Some(reader.search_audit(AuditQuery::default(), 20).await.unwrap()).filter(|lines| lines.len() == 7)
    });
    let lines = lines.await;
    let fields = ["caller", "through", "cmdlet", "object-modified", "modified-properties", "succeeded", "revision"];
    let told: Vec<Vec<&str>> = lines.iter().rev().map(|line| fields.map(|name| line.get(name)).to_vec()).collect();
    let queue_line = [
        "anna",
        "postroad test",
        "Suspend-Queue",
        "queues[\"MAIL1\\fabrikam.com\"]",
        "Status: Retry -> Suspended",
        "True",
        "",
    ];
    assert_eq!(told[0], queue_line);
    assert_eq!(lines[5].get("error"), "there is no such queue");
    let cmdlets: Vec<&str> = told.iter().map(|line| line[2]).collect();
    let expected =
        ["Suspend-Queue", "Suspend-Queue", "Remove-Message", "Redirect-Message", "Export-Message", "Export-Message"];
    assert_eq!(cmdlets, [&expected[..], &["Retry-Queue"]].concat());
    assert_eq!(
        told[2][3..5],
        ["messages[\"MAIL1\\fabrikam.com\\4\"]", "Status: Retry -> PendingRemove; WithNDR: false"]
    );
    assert_eq!((lines[0].get("object-modified"), lines[0].get("succeeded")), ("servers[\"MAIL1\"]", "False"));
    assert_eq!(audit::search(&folder, &AuditQuery::default(), 5).unwrap(), []);
    // Asked directly, Transport is who has heard it; nobody is believed to be another.
    let own = administrator(scene.world.authority(), &[ServerManagement]);
    let directly = Administrator::new(Arc::new(own));
    directly.operate(&at, Operation::ResumeQueue, &[queue(7)], "postroad queue").await.unwrap();
    let written =
        until("Transport to write it", async || audit::search(&folder, &AuditQuery::default(), 5).unwrap().pop());
    let written = written.await;
    assert_eq!(fields.map(|name| written.get(name))[..3], ["anna", "postroad queue", "Resume-Queue"]);
    assert_eq!(written.get("client"), "127.0.0.1");
}

#[tokio::test]
async fn queues_of_other_servers_are_seen_through_the_admin_service() {
    let scene = Scene::new().await;
    let (at, _) = one_queue(&scene).await;
    let through = Administrator::through(&scene.api(&[ServerManagement]).await);
    let queues = until("the admin service to know Transport", async || through.queues(&at).await.ok());
    assert_eq!(queues.await, OneQueue.queues());
    assert_eq!(through.messages(&at, MessagesRequest::default()).await.unwrap().count().await, 0);
    // Nobody is asked whom the service does not know, and nobody asks through it what he may not.
    let elsewhere = PeerAddress { address: scene.at.address, ..at.clone() };
    assert!(through.queues(&elsewhere).await.unwrap_err().to_string().contains("knows of"));
    let recipients = Administrator::through(&scene.api(&[RecipientManagement]).await);
    assert!(recipients.queues(&at).await.unwrap_err().to_string().contains("may not read queues"));
    assert_eq!(through.gateways(&at).await.unwrap(), OneQueue.gateways().await);
    assert!(recipients.gateways(&at).await.is_err());
    // Directly likewise.
    let directly = |groups: &[RoleGroup]| Administrator::new(Arc::new(administrator(scene.world.authority(), groups)));
    assert_eq!(directly(&[ViewOnlyOrganizationManagement]).queues(&at).await.unwrap().len(), 1);
    assert!(directly(&[RecipientManagement]).queues(&at).await.is_err());
    // A certificate of before role groups looks, as it did.
    assert_eq!(directly(&[]).queues(&at).await.unwrap().len(), 1);
}

#[tokio::test]
async fn certificates_of_the_server_are_made_and_taken_in_where_their_keys_stay() {
    // TA-36, TA-38
    let scene = Scene::new().await;
    let api = scene.api(&[ServerManagement]).await;
    let before = api.certificates(&[]).await.unwrap().len();
    let domain = "mail.contoso.com".parse::<envelope::Domain>().unwrap();
    let order = CertificateOrder { domains: vec![domain.clone()], ..CertificateOrder::default() };
    let (made, pem) = api.make_certificate(&order, "postroad test").await.unwrap();
    assert!(pem.contains("BEGIN CERTIFICATE") && !pem.contains("PRIVATE"));
    assert_eq!((made.subject.as_str(), made.enabled, made.self_signed), ("CN=MAIL1", false, true));
    assert_eq!(api.certificates(&[domain]).await.unwrap(), std::slice::from_ref(&made));
    api.enable_certificate(&made.thumbprint, "postroad test").await.unwrap();
    let (request, pem) =
        api.make_certificate(&CertificateOrder { request: true, ..order }, "postroad test").await.unwrap();
    assert!(request.pending && pem.contains("CERTIFICATE REQUEST"));
    assert_eq!(api.export_certificate(&request.thumbprint).await.unwrap(), pem);
    let refused = api.import_certificate(b"no certificate", "postroad test").await.unwrap_err().to_string();
    assert!(refused.contains("it is no certificate in PEM or DER, and"), "{refused}");
    assert_eq!(api.certificates(&[]).await.unwrap().len(), before + 2);
    // Nobody but administrators of servers; who may read may look.
    let view = scene.api(&[ViewOnlyOrganizationManagement]).await;
    let refused = view.remove_certificate(&made.thumbprint, "postroad test").await.unwrap_err().to_string();
    assert!(refused.contains("may not change servers"), "{refused}");
    assert_eq!(view.certificates(&[]).await.unwrap().len(), before + 2);
    let recipients = scene.api(&[RecipientManagement]).await;
    assert!(recipients.export_certificate(&made.thumbprint).await.is_err());
    for gone in [&made, &request] {
        api.remove_certificate(&gone.thumbprint, "postroad test").await.unwrap();
    }
    let auditor = scene.api(&[OrganizationManagement]).await;
    let lines = until("the audit log to be written", async || {
        let query = AuditQuery { cmdlets: vec!["Remove-ExchangeCertificate".to_owned()], ..AuditQuery::default() };
        Some(auditor.search_audit(query, 20).await.unwrap()).filter(|lines| lines.len() == 3)
    });
    let told: Vec<String> = lines.await.iter().rev().map(|line| line.get("object-modified").to_owned()).collect();
    assert_eq!(told[1..], [format!("MAIL1\\{}", made.thumbprint), format!("MAIL1\\{}", request.thumbprint)]);
}
