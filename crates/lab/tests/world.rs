//! A world of processes, with this very program in place of the services: it has its own `main`, because it is called
//! both as a test (by cargo and nextest) and as `program <service> --settings <file>` (by the world).
//!
//! What is looked at: settings, certificates and configuration are there before a service starts; readiness is waited
//! for; stop, kill and restart work by process id; nothing runs afterwards.

#![expect(clippy::unwrap_used, reason = "a test with a main of its own")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use envelope::{Address, Domain, ReversePath, ServerName, Timestamp};
use lab::plan::LabFile;
use lab::world::WorldOptions;
use lab::{LabStatus, Submission, TestMessage, World, WorldError};
use net::Service;

const LAB: &str = "
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sites: [{name: Berlin}, {name: Paris}]
siteLinks: [{name: Line, sites: [Berlin, Paris]}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
  - {name: PARIS1, fqdn: paris1.contoso.example, site: Paris}
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts: [{name: mx.fabrikam.example}]
";

const TESTS: [&str; 2] = ["a_world_starts_and_ends", "a_service_that_ends_is_reported_with_its_log"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [service, "--settings", path] => serve(service, Path::new(path)),
        ["up", "--settings", first, "--and", second] => {
            let first = first.to_string();
            let other = std::thread::spawn(move || serve("up", Path::new(&first)));
            serve("up", Path::new(second));
            other.join().unwrap();
        }
        [first, ..] if *first == "--list" => {
            if !arguments.iter().any(|argument| argument == "--ignored") {
                TESTS.iter().for_each(|name| println!("{name}: test"));
            }
        }
        arguments => {
            let wanted = |name: &&&str| {
                let mut filters = arguments.iter().filter(|argument| !argument.starts_with("--")).peekable();
                filters.peek().is_none() || filters.any(|filter| name.contains(filter))
            };
            TESTS.iter().filter(wanted).for_each(|name| run(name));
        }
    }
}

fn run(name: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match name {
        "a_world_starts_and_ends" => runtime.block_on(a_world_starts_and_ends()),
        _ => runtime.block_on(a_service_that_ends_is_reported_with_its_log()),
    }
    println!("{name}: ok");
}

/// What a service does, as far as a world can see: it reads its files, says that it is ready, and waits to be ended.
fn serve(service: &str, path: &Path) {
    let settings = runtime::Settings::load(path).unwrap();
    if service != "up" {
        net::KeyedCertificate::load_from(&settings.identity.join(service)).unwrap();
    }
    net::KeyedCertificate::load_from(&settings.identity.join("smtp")).unwrap();
    assert!(settings.identity.join("ca.pem").exists());
    assert!(settings.trusted_roots.as_ref().is_some_and(|roots| roots.exists()));
    directory::Sealer::load(&settings.organization_key).unwrap();
    assert!(settings.otlp.is_some() && settings.dns.len() == 1);
    if service == "up" {
        // All of a server: each is looked at in a thread of its own.
        let serving = ["frontend-transport", "transport", "mailbox-submission", "mailbox-delivery"].map(|service| {
            let path = path.to_owned();
            std::thread::spawn(move || serve(service, &path))
        });
        serving.into_iter().for_each(|thread| thread.join().unwrap());
        return;
    }
    let service: Service = service.parse().unwrap();
    let addresses = settings.service(service);
    let has_smtp = matches!(service, Service::FrontendTransport | Service::Transport);
    assert_eq!(!addresses.smtp.is_empty(), has_smtp);
    if std::env::var("RUST_LOG").is_ok_and(|filter| filter == "broken") {
        println!("the spool cannot be read");
        std::process::exit(3);
    }
    let listener = TcpListener::bind(addresses.metrics.unwrap()).unwrap();
    for (number, stream) in listener.incoming().enumerate() {
        let (mut stream, mut request) = (stream.unwrap(), [0; 1024]);
        let _length = stream.read(&mut request).unwrap();
        // Not ready at first.
        let answer = if number == 0 { "503 Service Unavailable\r\n\r\nstarting" } else { "200 OK\r\n\r\nready" };
        stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
    }
}

fn options(directory: &Path) -> WorldOptions {
    WorldOptions::new(directory, directory, &std::env::current_exe().unwrap())
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn pid_of(status: &LabStatus, server: usize, service: &str) -> Option<u32> {
    let processes = &status.servers[server].processes;
    processes.iter().find(|process| process.service == service).map(|process| process.pid)
}

async fn a_world_starts_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let file = LabFile::parse(LAB).unwrap();
    let mut world = World::start(&file, options(directory.path())).await.unwrap();
    let status = LabStatus::read(directory.path()).unwrap();
    assert_eq!(status, world.status());
    let pids: Vec<u32> =
        status.servers.iter().flat_map(|server| &server.processes).map(|process| process.pid).collect();
    assert_eq!(pids.len(), 8);
    assert!(pids.iter().all(|pid| is_running(*pid)));

    let embedded = directory::EmbeddedSettings::new(directory.path().join("directory.db"));
    let snapshot = directory::open_embedded(&embedded, "contoso.example").unwrap().snapshot().await.unwrap();
    assert_eq!(snapshot.servers().len(), 2);

    let server = ServerName::parse("BERLIN1").unwrap();
    world.kill_service(&server, Service::Transport).await.unwrap();
    let killed = pid_of(&status, 0, "transport").unwrap();
    assert!(!is_running(killed) && pid_of(&LabStatus::read(directory.path()).unwrap(), 0, "transport").is_none());
    assert!(matches!(world.kill_service(&server, Service::Transport).await, Err(WorldError::Unknown { .. })));
    world.start_services(&[(server.clone(), Service::Transport)]).await.unwrap();
    world.stop_service(&server, Service::FrontendTransport).await.unwrap();
    let restarted = pid_of(&world.status(), 0, "transport").unwrap();
    assert!(restarted != killed && is_running(restarted));
    assert!(!is_running(pid_of(&status, 0, "frontend-transport").unwrap()));

    the_internet_is_there(&world).await;
    world.stop().await;
    assert!(!pids.iter().chain([&restarted]).any(|pid| is_running(*pid)));
    assert!(LabStatus::read(directory.path()).is_err());

    // Once more in the same directory: the configuration is there already. This time with one process for each server.
    let together = LabFile::parse(&format!("{LAB}lab: {{processes: server}}\n")).unwrap();
    let mut world = World::start(&together, options(directory.path())).await.unwrap();
    let status = LabStatus::read(directory.path()).unwrap();
    let (first, other) = (pid_of(&status, 0, "transport").unwrap(), pid_of(&status, 1, "transport").unwrap());
    let all_of = |server: usize| status.servers[server].processes.iter().map(|process| process.pid).collect::<Vec<_>>();
    assert_eq!((all_of(0), all_of(1)), (vec![first; 4], vec![other; 4]));
    assert!(first != other && is_running(first) && is_running(other));
    world.kill_service(&server, Service::Transport).await.unwrap();
    assert!(!is_running(first) && world.status().servers[0].processes.is_empty());
    world.stop().await;
    assert!(!is_running(other));
    a_site_is_one_process(directory.path()).await;
}

/// Both servers in one site, and that one process.
async fn a_site_is_one_process(directory: &Path) {
    let text = format!("{}lab: {{processes: site}}\n", LAB.replace("site: Paris}", "site: Berlin}"));
    let mut world = World::start(&LabFile::parse(&text).unwrap(), options(directory)).await.unwrap();
    let status = LabStatus::read(directory).unwrap();
    let pid = pid_of(&status, 0, "transport").unwrap();
    let all = status.servers.iter().flat_map(|server| &server.processes).map(|process| process.pid);
    assert_eq!(all.collect::<Vec<_>>(), vec![pid; 8]);
    assert_eq!(status.servers[1].processes[0].log, directory.join("sites/Berlin.log"));
    // Whoever kills a service of one of them kills what its process runs.
    let second = ServerName::parse("PARIS1").unwrap();
    world.kill_service(&second, Service::MailboxDelivery).await.unwrap();
    assert!(!is_running(pid) && world.status().servers.iter().all(|server| server.processes.is_empty()));
    world.start_services(&[(second, Service::Transport)]).await.unwrap();
    assert_ne!(pid_of(&world.status(), 0, "frontend-transport").unwrap(), pid);
    world.stop().await;
}

async fn the_internet_is_there(world: &World) {
    let host = world.internet().host_address(&Domain::parse("mx.fabrikam.example").unwrap()).unwrap();
    let recipients = vec![Address::parse("bob@fabrikam.example").unwrap()];
    let message = TestMessage::new("Hello", ReversePath::Null, recipients.clone(), Timestamp::from_millis(0));
    let submission = Submission::new(host, ReversePath::Null, recipients, message.content());
    lab::client::submit(&submission).await.unwrap();
    let wanted = Some(message.message_id());
    let soon = Duration::from_secs(60);
    world.deliveries().wait_for(|delivery| delivery.message_id == wanted, soon).await.unwrap();
}

async fn a_service_that_ends_is_reported_with_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let options = WorldOptions { log_filter: Some("broken".to_owned()), ..options(directory.path()) };
    let started = World::start(&LabFile::parse(LAB).unwrap(), options).await;
    let Err(error @ WorldError::NotReady(_)) = started else { panic!("it cannot be ready") };
    let text = error.to_string();
    assert!(text.contains("it has ended with exit status: 3") && text.ends_with("the spool cannot be read"), "{text}");
    assert!(LabStatus::read(directory.path()).is_err());
}
