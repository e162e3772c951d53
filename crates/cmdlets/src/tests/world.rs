//! An organization in memory, and a shell over it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use envelope::{Revision, ServerName};
use organization::{Kind, Object, Secrets, WithoutSecrets};
use shell::{Console, Machine, Stream};
use topology::{DirectoryRecipient, Guid, Organization, OrganizationDraft};

use super::audit::Written;
use super::certificates::Shelf;
use super::edge::Wall;
use super::queues::{Asked, Servers};
use super::servers::{Greets, Tracked};
use crate::{Cmdlets, Premises, Refused};

/// Two sites, the connectors A, B and C of the samples, and some recipients.
pub(super) const ORGANIZATION: &str = include_str!("organization.yaml");

struct Memory {
    draft: Arc<OrganizationDraft>,
    recipients: Arc<Vec<DirectoryRecipient>>,
    commits: Rc<RefCell<usize>>,
}

impl Premises for Memory {
    fn configuration(&mut self) -> Result<Arc<OrganizationDraft>, String> {
        Ok(self.draft.clone())
    }
    fn recipients(&mut self) -> Result<Arc<Vec<DirectoryRecipient>>, String> {
        Ok(self.recipients.clone())
    }
    fn commit(&mut self, puts: Vec<Object>, deletes: Vec<(Kind, Guid)>, _: &str) -> Result<(), Refused> {
        let mut objects = organization::objects(&self.draft, &self.recipients);
        objects.retain(|object| !deletes.contains(&(object.kind(), object.guid())));
        for put in puts {
            objects.retain(|known| (known.kind(), known.guid()) != (put.kind(), put.guid()));
            objects.push(put);
        }
        let (mut draft, recipients) = organization::assemble(objects);
        draft.settle();
        draft.complete();
        Organization::validate(draft.clone(), Revision(1)).map_err(Refused::Invalid)?;
        *self.commits.borrow_mut() += 1;
        (self.draft, self.recipients) = (Arc::new(draft), Arc::new(recipients));
        Ok(())
    }
    fn secrets(&self) -> &dyn Secrets {
        &WithoutSecrets
    }
    fn local_server(&self) -> Option<ServerName> {
        ServerName::parse("MBX01").ok()
    }
}

/// What was written.
#[derive(Default)]
pub(super) struct Seen {
    pub out: String,
    pub errors: String,
    pub files: Vec<(String, Vec<u8>)>,
}

struct Screen(Rc<RefCell<Seen>>);

impl Console for Screen {
    fn now(&mut self) -> time::OffsetDateTime {
        time::OffsetDateTime::UNIX_EPOCH
    }
    fn write(&mut self, stream: Stream, text: &str) {
        let mut seen = self.0.borrow_mut();
        match stream {
            Stream::Error => seen.errors.push_str(text),
            Stream::Warning => seen.out.push_str(&format!("WARNING: {text}\n")),
            _ => seen.out.push_str(text),
        }
    }
    fn ask(&mut self, _: &str, _: bool) -> Option<String> {
        None
    }
    fn width(&self) -> usize {
        120
    }
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        match path.strip_suffix(".EdgeSubscription.xml") {
            Some(server) => Ok(server.as_bytes().to_vec()),
            None if path.ends_with("EdgeSubscription.xml") => Ok(b"Edge2".to_vec()),
            None if path.ends_with(".p7b") => Ok(vec![0x30]),
            None => Err(format!("{path} is not there")),
        }
    }
    fn save(&mut self, path: &str, octets: &[u8], _: bool) -> Result<(), String> {
        if path.starts_with("nowhere/") {
            return Err(format!("{path}: there is no such folder"));
        }
        self.0.borrow_mut().files.push((path.to_owned(), octets.to_vec()));
        Ok(())
    }
    fn keep(&mut self, path: &str, octets: &[u8], replace: bool) -> Result<(), String> {
        if !replace && path == "there.xml" {
            return Err(format!("{path} is there already"));
        }
        self.save(path, octets, false)
    }
    fn environment(&self, name: &str) -> Option<String> {
        match name {
            "POSTROAD_CREDENTIAL_USER" => Some("relay".to_owned()),
            "POSTROAD_CREDENTIAL_PASSWORD" => Some("secret".to_owned()),
            _ => None,
        }
    }
    fn guid(&mut self) -> String {
        String::new()
    }
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// A shell over the organization, what it writes, how often something was committed, and what was asked of servers.
pub(super) struct Session {
    pub machine: Machine,
    pub seen: Rc<RefCell<Seen>>,
    pub commits: Rc<RefCell<usize>>,
    pub asked: Asked,
}

impl Session {
    pub(super) fn over(yaml: &str) -> Self {
        let asked = Asked::default();
        let (servers, log, shelf) = (Servers(asked.clone()), asked.clone(), Shelf(asked.clone()));
        let (wall, tracked) = (Wall(asked.clone()), Tracked(asked.clone()));
        Self {
            asked,
            ..Self::with(yaml, |cmdlets| {
                let cmdlets = cmdlets.with_queues(Box::new(servers)).with_audit_log(Box::new(Written(log)));
                let cmdlets = cmdlets.with_certificates(Box::new(shelf)).with_perimeter(Box::new(wall));
                cmdlets.with_tracking(Box::new(tracked)).with_connectivity(Box::new(Greets))
            })
        }
    }

    /// Over an organization of which no server runs.
    pub(super) fn without_servers(yaml: &str) -> Self {
        Self::with(yaml, |cmdlets| cmdlets)
    }

    fn with(yaml: &str, given: impl FnOnce(Cmdlets) -> Cmdlets) -> Self {
        let contents = organization::load(yaml, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        let commits = Rc::new(RefCell::new(0));
        let memory = Memory {
            draft: Arc::new(contents.organization.draft().clone()),
            recipients: Arc::new(contents.recipients),
            commits: commits.clone(),
        };
        let seen = Rc::new(RefCell::new(Seen::default()));
        let machine = Machine::new(Box::new(Screen(seen.clone())), Box::new(given(Cmdlets::new(Box::new(memory)))));
        Self { machine, seen, commits, asked: Asked::default() }
    }

    /// What is shown and what fails.
    pub(super) fn run(&mut self, text: &str) -> (String, String) {
        *self.seen.borrow_mut() = Seen::default();
        self.machine.run(text);
        let seen = self.seen.borrow();
        let out: Vec<&str> = seen.out.lines().map(str::trim_end).collect();
        (out.join("\n").trim_matches('\n').to_owned(), seen.errors.clone())
    }
}
