//! A look from inside: in each container somebody who broke into its service, with all that the container lets it do. What the
//! service has taken away from itself by Landlock and seccomp does not hold him: he tries what only the container, the router
//! and etcd keep from him, and what a message's way needs has to go.
//!
//! What is expected is written here by role, and compared as a whole: a door more than those is a failure, and so is one less.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use crate::stack::{ETCD, SERVERS, SERVICES, Server, Stack};

/// `CAP_NET_ADMIN` (linux/capability.h).
const NET_ADMIN: &str = "0000000000001000";
const NONE: &str = "0000000000000000";
/// The user of the image and its group, who read and write mailboxes.
const PEOPLE: u32 = 10_001;
/// An address that is not of the containers.
const OUTSIDE: &str = "outside";
/// Containers that are looked at at the same time: most of it is the engine's starting of a process.
const AT_ONCE: usize = 4;

/// Tells about a process in a container, one line for each thing: a word, and what there is.
const LOOK: &str = r#"
echo "user $(id -u):$(id -g)"
while read -r name value; do case $name in CapEff: | CapBnd: | NoNewPrivs: | Seccomp:) echo "$name $value" ;; esac; done </proc/self/status
first() { for file in "$@"; do [ ! -r "$file" ] || { cat "$file"; return; }; done; }
echo "memory $(first /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes)"
echo "processes $(first /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max)"
echo "files $(ulimit -Hn)"
find / \( -path /proc -o -path /sys -o -path /dev \) -prune -o \
    \( -name key.pem -o -name '*.key' -o -name admin.sock -o -name queue -o -name 'DB-*' -o -name data -path '*etcd*' \) -print 2>/dev/null |
    while read -r found; do echo "sees $found"; done
{ echo /; echo /etc; echo /usr/bin; while read -r _ at _; do echo "$at"; done </proc/self/mounts; } | sort -u | while read -r at; do
    case $at in /proc* | /sys* | /dev*) continue ;; esac
    [ ! -d "$at" ] || [ ! -w "$at" ] || echo "writes $at"
done
may() { if "$@" >/dev/null 2>&1; then echo "may $1"; fi; }
may mount -t tmpfs none /dev/shm
may unshare -Ur true
may unshare -n true
may chroot / true
may mknod /dev/shm/null c 1 3
may perl -MSocket -e 'socket(my $raw, PF_INET, SOCK_RAW, 1) or exit 1'
may date -s 2030-01-01
"#;

/// Tries all doors at once, read from its input as `name address port` one a line.
const KNOCK: &str = r#"
use strict; use warnings; use Socket; use Fcntl; use Errno 'EINPROGRESS';
my %under_way;
while (<STDIN>) {
    my ($name, $address, $port) = split;
    socket(my $door, PF_INET, SOCK_STREAM, 0) or die "no socket: $!";
    fcntl($door, F_SETFL, O_NONBLOCK) or die "blocks: $!";
    my $open = connect($door, pack_sockaddr_in($port, inet_aton($address)));
    if ($open) { print "opens $name\n" } elsif ($! == EINPROGRESS) { $under_way{fileno $door} = [$name, $door] }
}
my $until = time + 10;
while (%under_way && time < $until) {
    my $wanted = '';
    vec($wanted, $_, 1) = 1 for keys %under_way;
    select(undef, my $ready = $wanted, undef, 1) > 0 or next;
    for my $number (grep { vec($ready, $_, 1) } keys %under_way) {
        my ($name, $door) = @{delete $under_way{$number}};
        print "opens $name\n" if unpack('i', getsockopt($door, SOL_SOCKET, SO_ERROR)) == 0;
    }
}
print "silent $_->[0]\n" for values %under_way;
"#;

/// What somebody in a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Service(Server, &'static str),
    Admin,
    Centre,
    Etcd,
    Tools,
    Prometheus,
    Internet,
    Router,
    Edge,
}

/// A port on which something answers.
struct Door {
    name: String,
    /// Whose it is; `None` for what is outside of everything.
    of: Option<Role>,
    address: String,
    port: u16,
}

/// A container, and what it is to have.
struct Room {
    container: String,
    role: Role,
    user: u32,
    group: u32,
    /// Keys and state: everything of that kind that is to be seen there.
    sees: BTreeSet<String>,
    writes: BTreeSet<String>,
    memory_mib: u64,
    processes: u32,
    files: u32,
}

/// Each container, with what it has of its own and what it does to others.
pub(crate) async fn everybody_has_what_is_needed(stack: &Stack) {
    let (rooms, doors) = (rooms(), doors(stack));
    let mut opened = BTreeSet::new();
    for some in rooms.chunks(AT_ONCE) {
        for found in join_all(some.iter().map(|room| look_around(stack, room, &doors))).await {
            opened.extend(found);
        }
    }
    let names = doors.iter().map(|door| door.name.as_str());
    let closed: Vec<&str> = names.filter(|name| !opened.contains(*name)).collect();
    assert_eq!(closed, [OUTSIDE], "nobody reaches these, so that nothing was shown by their being closed");
    stack.report(&format!("inside: {} containers tried {} doors each", rooms.len(), doors.len()));
}

/// The admin centre answers this machine by TLS, and its log has the link by which the first account is made.
pub(crate) async fn the_admin_centre_answers(stack: &Stack) {
    let at = format!("{}:8443", stack.within("103.74"));
    let ask = |path: &str| {
        let asked = format!(
            "printf 'GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n' | timeout 20 openssl s_client -quiet -connect {at} 2>&1"
        );
        stack.on_this_machine(asked)
    };
    let door = ask("/sign-in").await;
    assert!(door.contains(" 200 ") && door.contains("This centre is new"), "{door}");
    let logs = stack.compose(&["logs", "--no-color", "centre"]).await;
    let logs = String::from_utf8_lossy(&logs.stdout).into_owned();
    let link = logs.lines().filter_map(|line| Some(line[line.find("/welcome/")?..].trim().to_owned())).next_back();
    let welcome = ask(&link.expect("a link")).await;
    assert!(welcome.contains("Your account") && welcome.contains("Organization Management"), "{welcome}");
    stack.report("the admin centre answers");
}

/// What is in a container and what it may is as expected; the doors that it opens.
async fn look_around(stack: &Stack, room: &Room, doors: &[Door]) -> BTreeSet<String> {
    let list: String = doors.iter().map(|door| format!("{} {} {}\n", door.name, door.address, door.port)).collect();
    let script = format!("{LOOK}\nperl -e \"$1\" <<'END'\n{list}END\n");
    let told = stack.docker(&["exec", &format!("@{}", room.container), "bash", "-c", &script, "bash", KNOCK]).await;
    let (opened, seen): (Vec<&str>, Vec<&str>) = told.lines().partition(|line| line.starts_with("opens "));
    let seen: BTreeSet<String> = seen.into_iter().map(str::to_owned).collect();
    assert_eq!(seen, expected(room), "{}", room.container);
    let opened: BTreeSet<String> =
        opened.into_iter().filter_map(|line| Some(line.strip_prefix("opens ")?.to_owned())).collect();
    if room.role == Role::Router {
        return BTreeSet::new(); // all networks are its own
    }
    let allowed = doors.iter().filter(|door| opens(room.role, door)).map(|door| door.name.clone()).collect();
    assert_eq!(opened, allowed, "what {} reaches", room.container);
    opened
}

/// As the lines of [`LOOK`].
fn expected(room: &Room) -> BTreeSet<String> {
    let capabilities = if room.role == Role::Router { NET_ADMIN } else { NONE };
    let mut lines = BTreeSet::from([
        format!("user {}:{}", room.user, room.group),
        format!("CapEff: {capabilities}"),
        // Nothing that could be had by a program that raises rights.
        format!("CapBnd: {capabilities}"),
        "NoNewPrivs: 1".to_owned(),
        "Seccomp: 2".to_owned(),
        format!("memory {}", room.memory_mib * 1024 * 1024),
        format!("processes {}", room.processes),
        format!("files {}", room.files),
    ]);
    lines.extend(room.sees.iter().map(|path| format!("sees {path}")));
    lines.extend(room.writes.iter().map(|path| format!("writes {path}")));
    lines
}

/// Whether a message's way, or looking after it, leads from there through that door. Nothing else does.
fn opens(from: Role, door: &Door) -> bool {
    let Some(to) = door.of else { return false };
    if from == to {
        return true;
    }
    let told = matches!(door.port, 9717 | 9525 | 9476 | 9475 | 9477);
    match (from, to) {
        // What services and etcd say of themselves.
        (Role::Prometheus, Role::Service(..) | Role::Admin) => told,
        (Role::Prometheus, Role::Etcd) => door.port == 2381,
        (Role::Tools, Role::Admin) => true,
        (Role::Centre, Role::Admin) => door.port == 5477,
        (Role::Tools, Role::Service(..)) if told => true,
        // Clients.
        (Role::Tools, Role::Service(_, "frontend-transport")) => matches!(door.port, 2525 | 5587),
        (Role::Internet, Role::Service(_, "frontend-transport")) => door.port == 2525,
        // Mail within the organization.
        (
            Role::Service(_, "frontend-transport" | "transport" | "mailbox-submission") | Role::Admin,
            Role::Service(_, "transport"),
        ) => door.port == 7525,
        // Failed logons.
        (Role::Service(_, "frontend-transport"), Role::Service(_, "frontend-transport")) => door.port == 5717,
        (Role::Service(here, "transport"), Role::Service(there, "frontend-transport")) => {
            door.port == 5717 && here.site() == there.site()
        }
        (Role::Service(here, "transport"), Role::Service(there, "mailbox-delivery")) => {
            door.port == 5475 && here.site() == there.site()
        }
        (Role::Admin, Role::Service(_, "mailbox-delivery")) => door.port == 5475,
        (Role::Service(..) | Role::Admin, Role::Etcd) => door.port == 2379,
        // The world: names, traces, mail.
        (Role::Service(server, service), Role::Internet) => match door.port {
            5300 => matches!(service, "frontend-transport" | "transport"),
            4317 => true,
            _ => sends(server, service),
        },
        (Role::Admin, Role::Internet) => door.port == 4317,
        // The perimeter: Berlin alone, and EdgeSync from inside (EN-27, EN-30).
        (Role::Internet, Role::Edge) => door.port == 2525,
        (Role::Edge, Role::Internet) => true,
        (Role::Service(server, "transport"), Role::Edge) | (Role::Edge, Role::Service(server, "transport")) => {
            door.port == 7525 && server.site() == SERVERS[0].site()
        }
        (Role::Admin, Role::Edge) => door.port == 5477,
        _ => false,
    }
}

/// Source servers of Send connectors, and front ends through which one sends (deploy/lab/two-sites.yaml).
fn sends(server: Server, service: &str) -> bool {
    match service {
        "transport" => server.name != "oslo2",
        "frontend-transport" => server.name.starts_with("berlin"),
        _ => false,
    }
}

fn doors(stack: &Stack) -> Vec<Door> {
    let mut doors = Vec::new();
    let mut add = |name: &str, of: Option<Role>, address: String, ports: &[u16]| {
        for port in ports {
            doors.push(Door { name: format!("{name}:{port}"), of, address: address.clone(), port: *port });
        }
    };
    for server in SERVERS {
        for service in SERVICES {
            let ports: &[u16] = match service {
                "frontend-transport" => &[2525, 5587, 5717, 9717],
                "transport" => &[7525, 2525, 465, 9525],
                "mailbox-submission" => &[9476],
                _ => &[5475, 9475],
            };
            let address = stack.address(server, service, 0).ip().to_string();
            add(&format!("{}-{service}", server.name), Some(Role::Service(server, service)), address, ports);
        }
    }
    add("admin", Some(Role::Admin), stack.within("103.50"), &[5477, 9477]);
    add("centre", Some(Role::Centre), stack.within("103.74"), &[8443]);
    for (at, member) in ETCD.into_iter().enumerate() {
        add(member, Some(Role::Etcd), stack.within(&format!("103.{}", 21 + at)), &[2379, 2380, 2381]);
    }
    add("edge1", Some(Role::Edge), stack.within("104.10"), &[2525, 7525, 5477, 9525, 9477]);
    add("prometheus", Some(Role::Prometheus), stack.within("103.42"), &[9090]);
    add("names", Some(Role::Internet), stack.within("0.53"), &[5300]);
    add("traces", Some(Role::Internet), stack.within("0.4"), &[4317]);
    add("mx.bank.example", Some(Role::Internet), stack.within("1.4"), &[2500]);
    // An address for documentation (RFC 5737): it is in no network of this machine.
    doors.push(Door { name: OUTSIDE.to_owned(), of: None, address: "192.0.2.1".to_owned(), port: 443 });
    doors
}

fn rooms() -> Vec<Room> {
    let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<String>>();
    let room = |container: &str, role, user, sees: &[&str], writes: &[&str]| Room {
        container: container.to_owned(),
        role,
        user,
        group: user,
        sees: set(sees),
        writes: set(writes),
        memory_mib: 256,
        processes: 128,
        files: 4096,
    };
    let mut rooms = Vec::new();
    for (at, server) in SERVERS.into_iter().enumerate() {
        let first = 10_100 + 100 * u32::try_from(at).expect("one of four");
        rooms.extend(SERVICES.map(|service| of_service(server, service, first)));
    }
    let identity = "/etc/postroad/identity";
    let mut admin = room("admin", Role::Admin, 10_105, &[], &["/var/lib/postroad"]);
    admin.sees =
        ["admin/key.pem", "admin/etcd/key.pem", "organization.key"].map(|key| format!("{identity}/{key}")).into();
    admin.sees.insert("/var/lib/postroad/admin.sock".to_owned());
    admin.processes = 600;
    rooms.push(admin);
    let keys = [&*format!("{identity}/administrator/key.pem"), "/var/lib/postroad/tls/key.pem"];
    rooms.push(Room { processes: 600, ..room("centre", Role::Centre, 10_106, &keys, &["/var/lib/postroad"]) });
    for (member, user) in ETCD.into_iter().zip(10_501..) {
        let keys = ["/etc/etcd/client/key.pem", "/etc/etcd/peer/key.pem", "/var/lib/etcd/data"];
        rooms.push(Room { memory_mib: 512, ..room(member, Role::Etcd, user, &keys, &["/var/lib/etcd"]) });
    }
    let mut tools = room("tools", Role::Tools, PEOPLE, &["/etc/postroad/identity/administrator/key.pem"], &["/tmp"]);
    for (server, name) in SERVERS.into_iter().zip(["Berlin1", "Berlin2", "Oslo1", "Oslo2"]) {
        let mailboxes = format!("/lab/servers/{}/state/mailboxes", server.name.to_uppercase());
        tools.sees.insert(format!("{mailboxes}/DB-{name}"));
        tools.writes.insert(mailboxes);
    }
    tools.processes = 600;
    rooms.push(tools);
    rooms.push(Room { memory_mib: 512, ..room("prometheus", Role::Prometheus, 10_602, &[], &["/prometheus"]) });
    let of_hosts = ["/authority/ca/key.pem", "/authority/organization.key"];
    rooms.push(Room { processes: 600, ..room("internet", Role::Internet, PEOPLE, &of_hosts, &["/lab"]) });
    rooms.push(room("router", Role::Router, 0, &[], &["/run"]));
    let mut edge = room("edge1", Role::Edge, 10_601, &[], &["/var/lib/postroad"]);
    let keys = ["transport/key.pem", "admin/key.pem", "smtp/key.pem", "organization.key"];
    edge.sees = keys.map(|key| format!("{identity}/{key}")).into();
    edge.sees.extend(["/var/lib/postroad/queue", "/var/lib/postroad/admin.sock"].map(str::to_owned));
    rooms.push(Room { memory_mib: 512, processes: 600, files: 16_384, ..edge });
    rooms
}

fn of_service(server: Server, service: &'static str, first: u32) -> Room {
    let mut keys = vec![format!("{service}/key.pem"), format!("{service}/etcd/key.pem")];
    let mut sees = BTreeSet::new();
    let mut writes = BTreeSet::from(["/var/lib/postroad".to_owned()]);
    let (mut memory_mib, mut files, mut group) = (256, 4096, None);
    let user = match service {
        "frontend-transport" => {
            keys.push("smtp/key.pem".to_owned());
            (memory_mib, files) = (512, 16_384);
            first + 1
        }
        "transport" => {
            keys.extend(["smtp/key.pem", "organization.key"].map(str::to_owned));
            sees.insert("/var/lib/postroad/queue".to_owned());
            (memory_mib, files) = (1024, 16_384);
            first + 2
        }
        _ => {
            let (site, number) = server.name.split_at(server.name.len() - 1);
            let site = format!("{}{}", site[..1].to_uppercase(), &site[1..]);
            sees.insert(format!("/var/lib/mailboxes/DB-{site}{number}"));
            writes.insert("/var/lib/mailboxes".to_owned());
            group = Some(PEOPLE);
            first + if service == "mailbox-submission" { 3 } else { 4 }
        }
    };
    // The test's small disk is a volume of its own.
    if (server.name, service) == ("berlin2", "transport") {
        writes.insert("/var/lib/postroad/queue".to_owned());
    }
    sees.extend(keys.into_iter().map(|key| format!("/etc/postroad/identity/{key}")));
    let container = format!("{}-{service}", server.name);
    let group = group.unwrap_or(user);
    Room {
        container,
        role: Role::Service(server, service),
        user,
        group,
        sees,
        writes,
        memory_mib,
        processes: 600,
        files,
    }
}

/// What the identity of each service may do in etcd, asked from its container's network with its container's files.
pub(crate) async fn etcd_hears_each_identity_as_itself(stack: &Stack) {
    join_all(SERVICES.map(|service| async move {
        let tries = tries(service);
        let told = etcdctl(stack, &format!("{}-{service}", ASKING.name), &tries).await;
        let expected: BTreeMap<&str, &str> = tries.iter().map(|(words, end)| (words.as_str(), *end)).collect();
        let found: BTreeMap<&str, &str> = tries.iter().map(|(words, _)| words.as_str()).zip(told.lines()).collect();
        assert_eq!(found, expected, "{service} in etcd");
    }))
    .await;
    stack.report("inside: each identity is itself in etcd");
}

/// The server whose services ask.
const ASKING: Server = SERVERS[1];

/// Commands of etcdctl, and what has to become of each.
fn tries(service: &str) -> Vec<(String, &'static str)> {
    let presence = |who: &str| format!("/postroad/contoso.example/runtime/servers/{who}");
    let own = presence(&format!("{}/{service}", ASKING.name));
    let showing = |folder: &str| {
        let folder = format!("/etc/postroad/identity/{folder}");
        format!("--cert {folder}/cert.pem --key {folder}/key.pem")
    };
    let itself = showing(&format!("{service}/etcd"));
    let mut tries = vec![
        (format!("{itself} get {own}"), "ok"),
        (format!("{itself} put {} gone", presence("oslo1/transport")), "denied"),
        (format!("{itself} del {}", presence("berlin1/frontend-transport")), "denied"),
        (format!("{itself} put /postroad/contoso.example/v1/config/current x"), "denied"),
        (format!("{itself} put /postroad/contoso.example/v1/recipient/x x"), "denied"),
        (format!("{itself} get /postroad/fabrikam.example/v1/config/current"), "denied"),
        (format!("{itself} user list"), "denied"),
        // What it shows other services is nobody in etcd, and neither is what it shows the world.
        (format!("{} get {own}", showing(service)), "denied"),
    ];
    match service {
        "frontend-transport" => tries.push((format!("{} get {own}", showing("smtp")), "denied")),
        "transport" => tries.push((format!("get {own}"), "no answer")),
        _ => {}
    }
    tries
}

/// What becomes of each command, one line each, in the network and with the volumes and the user of a container.
async fn etcdctl(stack: &Stack, container: &str, tries: &[(String, &'static str)]) -> String {
    let mut script = String::from(
        r#"try() {
            said=$(etcdctl --endpoints https://etcd1.contoso.example:2379 --cacert /etc/postroad/identity/ca.pem \
                --dial-timeout 4s --command-timeout 8s "$@" 2>&1) && { echo ok; return; }
            case "$said" in
                *'permission denied'* | *'user name is empty'*) echo denied ;;
                *'deadline exceeded'*) echo 'no answer' ;;
                *) echo "$said" | tail -n 1 ;;
            esac
        }
"#,
    );
    for (words, _) in tries {
        script += &format!("try {words}\n");
    }
    let told = stack.docker(&["inspect", "--format", "{{.Id}} {{.Config.User}}", &format!("@{container}")]).await;
    let (id, user) = told.trim().split_once(' ').expect("two words");
    let (network, volumes) = (format!("container:{id}"), format!("{id}:ro"));
    let words = ["run", "--rm", "--network", &network, "--volumes-from", &volumes, "--user", user];
    let closed = ["--read-only", "--cap-drop", "ALL", "--env", "ETCDCTL_API=3", "--entrypoint", "/bin/sh"];
    stack.docker(&[&words[..], &closed[..], &[&stack.image("postroad-etcd"), "-c", &script]].concat()).await
}
