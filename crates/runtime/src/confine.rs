//! What a process takes away from itself before it begins: files that its services do not need, calls of the system that
//! they never make, new privileges, core dumps, and its memory being read by others of its user. Whoever breaks into a
//! service has what that service has.
//!
//! By Landlock (files, signals) and seccomp (system calls), both by the role of the services that run in the process. Where
//! the kernel lacks one, the process goes on without it and says so aloud. Called before the first thread is started: what is
//! taken away is taken from the threads that come.
//!
//! | service | reads | writes |
//! |---|---|---|
//! | all | own certificates, settings, libraries, trusted roots, DNS | logs, what is remembered of the directory |
//! | Front End Transport | the certificate for SMTP, the authority of directories for log-ons, the keytab | |
//! | Transport | the same, the organization's key | queue, Drop, Pickup and Replay directories, the folder of its socket |
//! | Mailbox Transport Submission, Delivery | | mailbox databases |
//! | admin | the organization's key | the folder of its socket, the certificates for SMTP |

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use net::Service;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use crate::expiry::AUTHORITY_FILE;
use crate::places;
use crate::private::repair;
use crate::settings::{DirectorySettings, Settings};

/// Rights that this program knows (Linux 6.10, 6.12); older kernels enforce those that they know.
const FILES: ABI = ABI::V5;
const SCOPES: ABI = ABI::V6;
/// Bit of the numbers of x32 calls, by which a filter of numbers could be passed.
const X32: i64 = 0x4000_0000;
/// The calls that x32 has under numbers of its own.
const X32_OWN: std::ops::RangeInclusive<i64> = 512..=547;

/// What the system needs of every program: libraries, names, time zones, certificates, itself.
const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/passwd",
    "/etc/group",
    "/etc/hostname",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/os-release",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/krb5.conf",
    "/etc/krb5.conf.d",
    "/etc/gss",
];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/tty"];

/// Calls that no service makes. What is not in the list of this machine's kernel does not exist there.
const FORBIDDEN: &[i64] = &[
    // Other programs, and other processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Another view of the file system or of the machine.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_syslog,
    // The kernel itself, and ways into it that mail does not need.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    libc::SYS_memfd_secret,
    libc::SYS_mbind,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Rights.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_mknodat,
];

/// Those that one kind of machine has besides.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[i64] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_chown, libc::SYS_lchown, libc::SYS_mknod];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[i64] = &[];

/// Kinds of sockets that a service has: no raw packets, and none of those by which kernels were broken into.
const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// What was done, to be logged once there is a log.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// What the kernel lacks, or refused: one sentence each.
    pub lacking: Vec<String>,
    /// What is enforced.
    pub enforced: Vec<&'static str>,
    /// What was closed to others before: no more is seen of it afterwards.
    pub closed: Vec<String>,
}

/// Writes into the log how a process with so many services is confined.
pub fn tell(confinement: Option<&Confinement>, services: usize) {
    match confinement {
        Some(confinement) => confinement.tell(),
        None => tracing::warn!("this process is not confined: whoever breaks into it has all that its user has"),
    }
    if services > 1 {
        tracing::warn!(
            "all services run in one process, with one memory and the keys of all: `postroad up` is for trying out. Run each \
             service by itself where mail matters"
        );
    }
}

impl Confinement {
    fn tell(&self) {
        self.closed.iter().for_each(|closed| tracing::warn!("{closed}"));
        for lacking in &self.lacking {
            tracing::warn!("this process is confined less than it could be: {lacking}");
        }
        tracing::info!(enforced = self.enforced.join(", "), "this process has given up what its services do not need");
    }

    fn note(&mut self, what: &'static str, done: Result<(), String>) {
        match done {
            Ok(()) => self.enforced.push(what),
            Err(error) => self.lacking.push(format!("{what}: {error}")),
        }
    }
}

/// A server whose services this process runs.
#[derive(Clone, Debug)]
pub struct Inmate {
    /// Of the server.
    pub settings: Settings,
    /// From where they were read.
    pub file: PathBuf,
    /// Which services.
    pub services: Vec<Service>,
}

/// Confines this process, which runs services of these servers. Folders that it writes to are made first. A process of several servers
/// has what all of them need.
#[must_use]
pub fn confine(inmates: &[Inmate]) -> Confinement {
    let closed = inmates.iter().flat_map(|inmate| repair(&inmate.settings.state)).collect();
    let mut done = Confinement { closed, ..Confinement::default() };
    done.note("no core dumps", no_dumps());
    done.note("no new privileges", prctl::set_no_new_privs().map_err(|error| error.to_string()));
    done.note("files and signals by Landlock", files(inmates));
    done.note("system calls by seccomp", calls());
    done
}

fn no_dumps() -> Result<(), String> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| error.to_string())?;
    prctl::set_dumpable(false).map_err(|error| error.to_string())
}

fn files(inmates: &[Inmate]) -> Result<(), String> {
    let mut all_places = Places::default();
    for Inmate { settings, file, services } in inmates {
        let Places { reads, writes } = places(settings, file, services);
        make(settings, &writes);
        all_places.reads.extend(reads);
        all_places.writes.extend(writes);
    }
    let Places { reads, writes } = all_places;
    let states = inmates.iter().map(|inmate| &inmate.settings.state);
    let all = AccessFs::from_all(FILES);
    let devices = AccessFs::ReadFile | AccessFs::WriteFile;
    let enforce = || -> Result<RulesetStatus, RulesetError> {
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::from_all(SCOPES))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(FILES)))?
            .add_rules(path_beneath_rules(DEVICES, devices))?
            .add_rules(path_beneath_rules(&reads, AccessFs::ReadFile | AccessFs::ReadDir))?
            // A folder that is made is made durable in the one above it.
            .add_rules(path_beneath_rules(states, AccessFs::ReadDir))?
            .add_rules(path_beneath_rules(&writes, all))?;
        Ok(ruleset.restrict_self()?.ruleset)
    };
    match enforce() {
        Ok(RulesetStatus::FullyEnforced) => Ok(()),
        Ok(RulesetStatus::PartiallyEnforced) => Err("this kernel knows a part of it (Linux 6.12 knows all)".to_owned()),
        Ok(RulesetStatus::NotEnforced) => {
            Err("this kernel has no Landlock, or it is not turned on (lsm=landlock,…)".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What is there stays as it is: a mailbox may be for a reader of mail as well. Whoever needs a folder that cannot be made says so.
fn make(settings: &Settings, writes: &BTreeSet<PathBuf>) {
    // Whom a Drop directory is for says who makes it (EN-65); so it is with the folder in which agents find Transport.
    let socket = settings.service(Service::Transport).socket;
    let of_others = [settings.drop.as_deref(), socket.as_deref().and_then(Path::parent)];
    for folder in writes.iter().filter(|folder| !of_others.contains(&Some(folder.as_path()))) {
        let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    }
}

/// Files and folders of the settings, by what is done with them.
#[derive(Debug, Default)]
struct Places {
    reads: BTreeSet<PathBuf>,
    writes: BTreeSet<PathBuf>,
}

fn places(settings: &Settings, file: &Path, services: &[Service]) -> Places {
    let identity = &settings.identity;
    let mut reads = BTreeSet::from([file.to_owned(), identity.join(AUTHORITY_FILE)]);
    let mut writes = BTreeSet::from([settings.state.join("logs"), settings.remembered()]);
    reads.extend(settings.trusted_roots.clone());
    reads.extend(settings.otlp_ca.clone());
    // Who lets users log on asks the directory that keeps their passwords; what reads it is a command's.
    if services.iter().any(|service| matches!(service, Service::FrontendTransport | Service::Transport)) {
        reads.extend(settings.ldap.values().filter_map(|source| source.ca.clone()));
        reads.extend(settings.kerberos.iter().map(|kerberos| kerberos.keytab.clone()));
        // Another krb5.conf than the system's; its library takes a list.
        let configured = std::env::var_os("KRB5_CONFIG").filter(|_| settings.kerberos.is_some());
        reads.extend(configured.iter().flat_map(std::env::split_paths));
    }
    match &settings.directory {
        // SQLite makes and removes files beside its own.
        DirectorySettings::Embedded { path } => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            writes.insert(folder.unwrap_or(Path::new(".")).to_owned());
        }
        DirectorySettings::Etcd { ca, identity, password_file, .. } => {
            reads.extend([ca, identity, password_file].into_iter().flatten().cloned());
        }
    }
    for service in services {
        reads.insert(identity.join(service.as_str()));
        match service {
            Service::FrontendTransport => drop(reads.insert(identity.join("smtp"))),
            Service::Transport => {
                reads.insert(identity.join("smtp"));
                reads.insert(settings.organization_key.clone());
                writes.insert(settings.spool());
                writes.extend(
                    settings.service(Service::Transport).socket.and_then(|path| Some(path.parent()?.to_owned())),
                );
                writes.extend([&settings.drop, &settings.pickup, &settings.replay].into_iter().flatten().cloned());
            }
            Service::MailboxSubmission | Service::MailboxDelivery => drop(writes.insert(settings.mailboxes.clone())),
            Service::Admin => {
                reads.insert(settings.organization_key.clone());
                writes.extend(settings.admin_socket().parent().map(Path::to_owned));
                // Administrators have certificates for SMTP made, taken in and taken away by it, and no others.
                writes.extend([places::folder(settings), places::pending_folder(settings)]);
            }
        }
    }
    Places { reads, writes }
}

fn calls() -> Result<(), String> {
    let program = filter().map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}

/// What is forbidden fails with `EPERM`; a kind of socket that is not needed does as well.
fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|call| (*call, Vec::new())).collect();
    let other: Vec<SeccompCondition> = FAMILIES
        .iter()
        .map(|family| {
            let family = u64::try_from(*family).unwrap_or_default();
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
        })
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other)?]);
    if cfg!(target_arch = "x86_64") {
        let x32: Vec<(i64, Vec<SeccompRule>)> = rules.iter().map(|(call, rules)| (call | X32, rules.clone())).collect();
        rules.extend(x32);
        rules.extend(X32_OWN.map(|call| (call | X32, Vec::new())));
    }
    let arch = std::env::consts::ARCH.try_into()?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let text = "server = 'MAIL1'\nforest = 'contoso.com'\nstate = '/s'\nmailboxes = '/m'\n[directory]\nkind = 'etcd'\n\
                    endpoints = ['https://etcd:2379']\n[identity]\npath = '/i'";
        Settings::parse(text, Path::new("server.toml")).unwrap()
    }

    fn has(paths: &BTreeSet<PathBuf>, path: &str) -> bool {
        paths.iter().any(|granted| Path::new(path).starts_with(granted))
    }

    #[test]
    fn each_service_has_its_own_and_nothing_of_the_others() {
        for (service, smtp, queue, mailboxes) in [
            (Service::FrontendTransport, true, false, false),
            (Service::Transport, true, true, false),
            (Service::MailboxSubmission, false, false, true),
            (Service::MailboxDelivery, false, false, true),
        ] {
            let places = places(&settings(), Path::new("/etc/server.toml"), &[service]);
            for other in Service::ALL {
                let readable = has(&places.reads, &format!("/i/{other}/key.pem"));
                assert_eq!(readable, other == service, "{service} and the key of {other}");
            }
            assert_eq!(has(&places.reads, "/i/smtp/key.pem"), smtp, "{service}");
            assert_eq!(has(&places.writes, "/s/queue/1.log"), queue, "{service}");
            assert_eq!(has(&places.reads, "/i/organization.key"), service == Service::Transport, "{service}");
            assert_eq!(has(&places.writes, "/m/DB1/ann/new/1"), mailboxes, "{service}");
            assert!(has(&places.writes, "/s/logs/x") && !has(&places.writes, "/i/x") && !has(&places.reads, "/i"));
            assert!(has(&places.reads, "/etc/server.toml") && !has(&places.reads, "/etc/shadow"));
        }
    }

    #[test]
    fn the_admin_service_writes_certificates_for_smtp_and_no_others() {
        let places = places(&settings(), Path::new("/etc/server.toml"), &[Service::Admin]);
        assert!(has(&places.writes, "/i/smtp/AA/key.pem") && has(&places.writes, "/i/smtp-pending/AA/key.pem"));
        for other in ["/i/admin/key.pem", "/i/transport/key.pem", "/i/ca.pem", "/i/organization.key", "/i/smtpx"] {
            assert!(!has(&places.writes, other), "{other}");
        }
    }

    #[test]
    fn a_filter_can_be_made() {
        assert!(filter().unwrap().len() > FORBIDDEN.len());
    }
}
