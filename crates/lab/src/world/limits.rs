//! What the kernel gives a user, a session or a process only so much of, and a large lab needs: looked at before anything starts. A
//! service that is given none later ends somewhere else, or hears of changes late and says so in a log among hundreds.
//!
//! | what | whose limit | who takes it |
//! |---|---|---|
//! | instances of inotify | a user's: 128 unless told otherwise (inotify(7)) | each process one for the directory's file, one for outboxes |
//! | threads | the session's (`pids.max`), a user's, the machine's | each process |
//! | open files | a process's, which may ask for more (getrlimit(2)) | the lab: listeners of links, connections that they carry |
//!
//! Not looked at: ports, for each server has an address of its own, and what links take is some two for each server of 28,000.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use envelope::{ServerName, SiteName};
use inotify::Inotify;
use net::Service;
use nix::sys::resource::{Resource as Limit, getrlimit};
use nix::unistd::geteuid;
use runtime::descriptors;

use super::layout::ServerLayout;
use crate::plan::Processes;

/// Settings of the kernel (proc(5)).
const SETTINGS: &str = "/proc/sys";
/// A new limit is told as a multiple of the usual one.
const INOTIFY_STEP: u64 = 128;
/// Threads of a process beside those of the runtime, of which there is one for each processor, and half of one for each service: seen
/// were 5 to 9 with one service and 16 with twenty, of processes that stand still.
const THREADS_BESIDE: u64 = 6;
/// Files of the lab beside those of servers: internet, traces, page, what every process has.
const FILES_BESIDE: u64 = 128;
/// And for each server: two listeners, and connections on their way through.
const FILES_OF_SERVER: u64 = 6;

/// What a lab needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    processes: u64,
    inotify: u64,
    threads: u64,
    /// Of the lab itself.
    files: u64,
}

/// What there is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// `fs.inotify.max_user_instances`.
    inotify_limit: u64,
    /// Those that may still be had, as far as was looked.
    inotify_left: u64,
    /// Threads that may still be had.
    threads_left: u64,
    /// By whose word.
    threads_by: String,
    /// What the lab may have open.
    files: u64,
}

/// What there is too little of, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this lab is larger than this machine lets it be; nothing was started{}", self.told())]
pub struct TooLarge {
    needs: Needs,
    room: Room,
    /// What it would need with a process for each site, where that is less.
    by_site: Option<Needs>,
}

/// Who runs in one process.
struct Together {
    services: u64,
    submits: bool,
    own_directory: bool,
}

impl Needs {
    /// Of these servers, with so many processors.
    pub(super) fn of(servers: &[ServerLayout], processes: Processes, etcd: bool, processors: u64) -> Self {
        let all = together(servers, processes);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        // With etcd nobody watches a file, but for Edge servers, which have one of their own.
        let watched = |one: &Together| u64::from(!etcd || one.own_directory) + u64::from(one.submits);
        Self {
            processes: count(all.len()),
            // The lab's page follows the directory, too.
            inotify: all.iter().map(watched).sum::<u64>() + u64::from(!etcd),
            threads: all.iter().map(|one| processors + THREADS_BESIDE + one.services / 2).sum(),
            files: FILES_BESIDE + count(servers.len()) * FILES_OF_SERVER,
        }
    }

    /// Looks whether that is there.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn fit(self, room: Room, by_site: Self) -> Result<(), TooLarge> {
        let fits = self.inotify <= room.inotify_left && self.threads <= room.threads_left && self.files <= room.files;
        let by_site = (by_site.processes < self.processes).then_some(by_site);
        if fits { Ok(()) } else { Err(TooLarge { needs: self, room, by_site }) }
    }
}

/// The processes of a lab.
fn together(servers: &[ServerLayout], processes: Processes) -> Vec<Together> {
    let mut all: BTreeMap<(&SiteName, Option<&ServerName>, Option<Service>), Together> = BTreeMap::new();
    for server in servers {
        for service in server.services.keys() {
            let of_server = (processes != Processes::Site || server.is_edge).then_some(&server.name);
            let of_service = (processes == Processes::Service).then_some(*service);
            let one = all.entry((&server.site, of_server, of_service)).or_insert(Together {
                services: 0,
                submits: false,
                own_directory: server.is_edge,
            });
            one.services += 1;
            one.submits |= *service == Service::MailboxSubmission;
        }
    }
    all.into_values().collect()
}

impl TooLarge {
    fn told(&self) -> String {
        let Self { needs, room, by_site } = self;
        let mut text = String::new();
        let mut line = |short: bool, told: String, of_site: Option<u64>, left: u64, otherwise: String| {
            if !short {
                return;
            }
            let fewer = match of_site.filter(|of_site| *of_site <= left) {
                Some(of_site) => {
                    format!("write `lab: {{processes: site}}` into the lab file, which takes {of_site}, or ")
                }
                None => String::new(),
            };
            text += &format!("\n  {told}: {fewer}{otherwise}");
        };
        let Room { inotify_limit, inotify_left, threads_left, threads_by, files } = room;
        let of_site = |what: fn(&Needs) -> u64| by_site.as_ref().map(what);
        let wanted = inotify_limit.saturating_add(needs.inotify.saturating_sub(*inotify_left));
        line(
            needs.inotify > *inotify_left,
            format!(
                "{} processes need {} instances of inotify, and of the {inotify_limit} that a user may have \
                 (fs.inotify.max_user_instances) {inotify_left} are left",
                needs.processes, needs.inotify
            ),
            of_site(|needs| needs.inotify),
            *inotify_left,
            format!(
                "as root `sysctl fs.inotify.max_user_instances={}`",
                wanted.div_ceil(INOTIFY_STEP).saturating_mul(INOTIFY_STEP)
            ),
        );
        line(
            needs.threads > *threads_left,
            format!(
                "{} processes have some {} threads, and {threads_left} are left by {threads_by}",
                needs.processes, needs.threads
            ),
            of_site(|needs| needs.threads),
            *threads_left,
            format!("raise {threads_by}"),
        );
        line(
            needs.files > *files,
            format!("the lab itself needs some {} open files and may have {files}", needs.files),
            None,
            0,
            format!("raise the hard limit, `ulimit -Hn {}` as root", needs.files.next_power_of_two()),
        );
        text
    }
}

impl Room {
    /// What this machine has for them, after the lab asked for all the files that it may have.
    pub(super) fn here(needs: &Needs) -> Self {
        descriptors::raise_limit();
        let files = descriptors::limit();
        let (threads_left, threads_by) = threads();
        let inotify_left = inotify(needs.inotify);
        let inotify_limit = number(&Path::new(SETTINGS).join("fs/inotify/max_user_instances"));
        // A kernel that does not say has given what was tried.
        Self { inotify_limit: inotify_limit.unwrap_or(inotify_left), inotify_left, threads_left, threads_by, files }
    }
}

/// One for each processor works for the runtime of a process.
pub(super) fn processors() -> u64 {
    available_parallelism().map_or(1, |number| u64::try_from(number.get()).unwrap_or(u64::MAX))
}

/// So many of them as the kernel gives. Others of this user, whom a container may hide, have some, so that the limit alone says little.
fn inotify(wanted: u64) -> u64 {
    let tried: Vec<Inotify> = (0..wanted).map_while(|_| Inotify::init().ok()).collect();
    u64::try_from(tried.len()).unwrap_or(u64::MAX)
}

/// How many threads may still be had, and whose limit says so.
fn threads() -> (u64, String) {
    // `0.20 0.18 0.12 1/80 11206`: of so many threads of the machine one runs.
    let told = fs::read_to_string("/proc/loadavg").ok();
    let running = told.and_then(|text| text.split('/').nth(1)?.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    let of_machine = |name: &str| {
        let limit = number(&Path::new(SETTINGS).join(name))?;
        Some((limit.saturating_sub(running), name.replace('/', ".")))
    };
    let of_user = || {
        let (soft, _) = getrlimit(Limit::RLIMIT_NPROC).ok()?;
        // It does not hold for root.
        (!geteuid().is_root()).then(|| (soft, "`ulimit -u`".to_owned()))
    };
    let known = [of_machine("kernel/threads-max"), of_machine("kernel/pid_max"), of_user(), of_group()];
    known.into_iter().flatten().min().unwrap_or((u64::MAX, String::new()))
}

/// The least of the control groups around this process (version 2): a user's session, or a container.
fn of_group() -> Option<(u64, String)> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let groups = Path::new("/sys/fs/cgroup");
    let group = groups.join(own.lines().find_map(|line| line.strip_prefix("0::/"))?);
    let left = |group: &Path| {
        let path = group.join("pids.max");
        let left = number(&path)?.saturating_sub(number(&group.join("pids.current"))?);
        Some((left, format!("{} (TasksMax= of systemd, --pids-limit of a container)", path.display())))
    };
    group.ancestors().take_while(|group| group.starts_with(groups)).filter_map(left).min()
}

/// A file that holds one.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use organization::load;

    use super::*;
    use crate::world::layout::lay_out;

    /// That many servers in that many sites, and an Edge server for each of so many sites.
    fn servers(sites: usize, servers: usize, edges: usize) -> Vec<ServerLayout> {
        let mut text = "acceptedDomains: [{name: a, domainName: a.example, default: true}]\nsites:\n".to_owned();
        text.extend((0..sites).map(|site| format!("  - {{name: S{site}}}\n")));
        if sites > 1 {
            text += "siteLinks:\n";
        }
        text.extend((1..sites).map(|site| format!("  - {{name: L{site}, sites: [S0, S{site}], cost: 1}}\n")));
        text += "servers:\n";
        let server =
            |server| format!("  - {{name: M{server}, fqdn: m{server}.a.example, site: S{}}}\n", server % sites);
        text.extend((0..servers).map(server));
        let edge = |edge| format!("  - {{name: E{edge}, fqdn: e{edge}.a.example, site: S{edge}, role: Edge}}\n");
        text.extend((0..edges).map(edge));
        let contents = load(&text, envelope::Revision(1)).unwrap_or_else(|wrong| panic!("{wrong}"));
        lay_out(&contents.organization, "127.80.0.0".parse().unwrap(), Path::new("lab")).unwrap()
    }

    #[test]
    fn what_a_lab_needs_follows_from_its_processes() {
        use Processes::{Server, Service, Site};
        for (size, processes, etcd, expected) in [
            // Each of four services hears of changes, Submission of outboxes too, and the page.
            ((1, 1, 0), Service, false, (4, 6)),
            ((1, 1, 0), Service, true, (4, 1)),
            ((1, 1, 0), Server, false, (1, 3)),
            ((2, 40, 0), Service, false, (160, 201)),
            ((2, 80, 0), Server, false, (80, 161)),
            ((2, 80, 0), Server, true, (80, 80)),
            ((2, 80, 0), Site, false, (2, 5)),
            ((60, 300, 0), Site, false, (60, 121)),
            // Transport and the admin service of an Edge server, whose directory is a file; and the admin service of its site.
            ((1, 1, 1), Service, false, (7, 9)),
            ((1, 1, 1), Service, true, (7, 3)),
            ((1, 1, 1), Site, false, (2, 4)),
        ] {
            let (sites, all, edges) = size;
            let needs = Needs::of(&servers(sites, all, edges), processes, etcd, 2);
            assert_eq!((needs.processes, needs.inotify), expected, "{size:?} {processes:?}, etcd: {etcd}");
        }
    }

    fn room(inotify_left: u64, threads_left: u64, files: u64) -> Room {
        Room { inotify_limit: 128, inotify_left, threads_left, threads_by: "kernel.threads-max".to_owned(), files }
    }

    #[test]
    fn a_lab_that_is_too_large_is_told_by_how_much_and_what_to_do() {
        use Processes::{Server, Service, Site};
        let inotify = "  80 processes need 161 instances of inotify, and of the 128 that a user may have \
            (fs.inotify.max_user_instances)";
        for (size, processes, room, expected) in [
            ((2, 40), Server, room(128, 10_000, 4096), None),
            ((2, 80), Server, room(161, 10_000, 4096), None),
            (
                (2, 80),
                Server,
                room(128, 10_000, 4096),
                Some(format!(
                    "{inotify} 128 are left: write `lab: {{processes: site}}` into the lab file, which takes 5, or as root \
                     `sysctl fs.inotify.max_user_instances=256`"
                )),
            ),
            // A site each: less by less than is needed.
            (
                (80, 80),
                Server,
                room(100, 10_000, 4096),
                Some(format!("{inotify} 100 are left: as root `sysctl fs.inotify.max_user_instances=256`")),
            ),
            (
                (80, 80),
                Site,
                room(0, 10_000, 4096),
                Some(format!("{inotify} 0 are left: as root `sysctl fs.inotify.max_user_instances=384`")),
            ),
            (
                (2, 20),
                Service,
                room(128, 500, 4096),
                Some(
                    "  80 processes have some 640 threads, and 500 are left by kernel.threads-max: write `lab: {processes: site}` \
                     into the lab file, which takes 56, or raise kernel.threads-max"
                        .to_owned(),
                ),
            ),
            (
                (2, 20),
                Service,
                room(128, 10_000, 200),
                Some(
                    "  the lab itself needs some 248 open files and may have 200: raise the hard limit, `ulimit -Hn 256` as root"
                        .to_owned(),
                ),
            ),
        ] {
            let (sites, all) = size;
            let needs = |processes| Needs::of(&servers(sites, all, 0), processes, false, 2);
            let told = needs(processes).fit(room.clone(), needs(Site)).err().map(|error| error.to_string());
            let head = "this lab is larger than this machine lets it be; nothing was started\n";
            assert_eq!(told, expected.map(|line| format!("{head}{line}")), "{size:?} {processes:?} {room:?}");
        }
    }

    #[test]
    fn a_lab_too_large_in_everything_is_told_everything() {
        let needs = |processes| Needs::of(&servers(2, 80, 0), processes, false, 2);
        let error = needs(Processes::Service).fit(room(0, 0, 0), needs(Processes::Site)).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 4, "{error}");
    }

    #[test]
    fn this_machine_says_what_it_has() {
        let needs = Needs { processes: 1, inotify: 2, threads: 1, files: 1 };
        let room = Room::here(&needs);
        assert!(room.inotify_limit > 0 && room.inotify_left <= 2, "{room:?}");
        assert!(room.threads_left > 1 && !room.threads_by.is_empty() && room.files > 1, "{room:?}");
    }
}
