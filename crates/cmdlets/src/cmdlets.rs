//! The commands as the shell calls them.

use std::rc::Rc;

use envelope::ServerName;
use organization::{Kind, Object};
use shell::{Call, Commands, Failure, Objects, Session, Signature};
use topology::OrganizationDraft;

use crate::audit::{self, AuditLog};
use crate::catalogue::{parts, rows, signatures};
use crate::certificates::{self, Certificates};
use crate::change;
use crate::connectivity::{self, Connectivity};
use crate::edge::{self, Perimeter};
use crate::elsewhere;
use crate::find;
use crate::fixed;
use crate::noun::{NOUNS, Noun};
use crate::on_edge;
use crate::permission;
use crate::premises::Premises;
use crate::queues::{self, Ground, Queues};
use crate::recipients;
use crate::show::shown;
use crate::tracking::{self, Tracking};

/// The documented commands over an organization.
pub struct Cmdlets {
    premises: Box<dyn Premises>,
    queues: Option<Box<dyn Queues>>,
    audit: Option<Box<dyn AuditLog>>,
    certificates: Option<Box<dyn Certificates>>,
    perimeter: Option<Box<dyn Perimeter>>,
    tracking: Option<Box<dyn Tracking>>,
    connectivity: Option<Box<dyn Connectivity>>,
    signatures: Vec<Rc<Signature>>,
}

/// How many objects a command returns unless told otherwise (CM-76).
const RESULT_SIZE: usize = 1000;

impl Cmdlets {
    /// Commands over these premises.
    #[must_use]
    pub fn new(premises: Box<dyn Premises>) -> Self {
        Self {
            premises,
            queues: None,
            audit: None,
            certificates: None,
            perimeter: None,
            tracking: None,
            connectivity: None,
            signatures: signatures(),
        }
    }

    /// With the queues of running servers.
    #[must_use]
    pub fn with_queues(mut self, queues: Box<dyn Queues>) -> Self {
        self.queues = Some(queues);
        self
    }

    /// With the audit log of a server.
    #[must_use]
    pub fn with_audit_log(mut self, log: Box<dyn AuditLog>) -> Self {
        self.audit = Some(log);
        self
    }

    /// With the certificates of servers.
    #[must_use]
    pub fn with_certificates(mut self, certificates: Box<dyn Certificates>) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// With the way to Edge servers.
    #[must_use]
    pub fn with_perimeter(mut self, perimeter: Box<dyn Perimeter>) -> Self {
        self.perimeter = Some(perimeter);
        self
    }

    /// With the message tracking logs of running servers.
    #[must_use]
    pub fn with_tracking(mut self, tracking: Box<dyn Tracking>) -> Self {
        self.tracking = Some(tracking);
        self
    }

    /// With somebody who connects to servers.
    #[must_use]
    pub fn with_connectivity(mut self, connectivity: Box<dyn Connectivity>) -> Self {
        self.connectivity = Some(connectivity);
        self
    }

    /// Commands that ask running servers for something else than their queues; nothing for another command.
    fn of_servers(&mut self, call: &Call<'_>, session: &mut Session<'_>) -> Option<Result<Objects, Failure>> {
        let name = &*call.signature.name;
        if !matches!(name, tracking::GET | connectivity::TEST) {
            return None;
        }
        let local = self.premises.local_server();
        Some(self.premises.configuration().map_err(change::away).and_then(|draft| {
            match (name, &mut self.tracking, &mut self.connectivity) {
                (tracking::GET, Some(tracking), _) => tracking::get(&mut **tracking, &draft, local, call, session),
                (connectivity::TEST, _, Some(who)) => connectivity::test(&mut **who, &draft, local, call),
                _ => Err(without_servers()),
            }
        }))
    }

    fn certificates(&mut self, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
        let (draft, local) = (self.premises.configuration().map_err(change::away)?, self.premises.local_server());
        let Some(certificates) = &mut self.certificates else {
            let message = "Certificates are files of a server, and no server is here to be asked.";
            let failure = Failure::new("ResourceUnavailable", "NoCertificates", message);
            return Err(
                failure.advise("run the shell on that server, with --settings, or by its admin service, with --api")
            );
        };
        if &*call.signature.name == certificates::GET {
            return certificates::get(&mut **certificates, &draft, local, session.now(), call);
        }
        certificates::act::run(&mut **certificates, &draft, local, call, session)
    }

    /// Commands of queues and messages; nothing for another command.
    fn of_queues(&mut self, call: &Call<'_>, session: &mut Session<'_>) -> Option<Result<Objects, Failure>> {
        let work = match &*call.signature.name {
            "AssembleMessage" => {
                let nothing: Objects = Box::new(std::iter::empty());
                return Some(queues::assemble(call, session).map(|()| nothing));
            }
            "Get-Queue" => queues::queues,
            "Get-QueueDigest" => queues::digest,
            "Get-Message" => queues::messages,
            name if name.ends_with("-Queue") || name.ends_with("-Message") => queues::act,
            _ => return None,
        };
        let local = self.premises.local_server();
        Some(self.premises.configuration().map_err(change::away).and_then(|draft| {
            let Some(queues) = &mut self.queues else { return Err(without_servers()) };
            work(&mut Ground { draft, local, queues: &mut **queues }, call, session)
        }))
    }

    fn get(&mut self, noun: &'static Noun, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
        let draft = self.premises.configuration().map_err(change::away)?;
        let objects = change::existing(&mut *self.premises, noun.kind, &draft)?;
        let of_noun = objects.into_iter().filter(|object| noun.means(object));
        let (mut objects, others): (Vec<Object>, Vec<Object>) =
            of_noun.partition(|object| elsewhere::shows(&draft, noun, object));
        let local = self.premises.local_server();
        if let Some(wanted) = call.bound.text("Server") {
            let server = self.server(&wanted, &draft, local.as_ref())?;
            let of_it = |object: &&Object| matches!(object, Object::ReceiveConnector(one) if one.server == server);
            if let Some(object) = others.iter().find(of_it) {
                elsewhere::may_touch(&draft, noun, &call.signature.name, object)?;
            }
            objects.retain(|object| match object {
                Object::ReceiveConnector(connector) => connector.server == server,
                _ => true,
            });
        }
        let identity = call.bound.text("Identity");
        let found = find::several(noun, objects, identity.as_deref(), local.as_ref());
        if let (Err(_), Some(identity)) = (&found, &identity)
            && let Ok(object) = find::one(noun, &others, identity, local.as_ref())
        {
            elsewhere::may_touch(&draft, noun, &call.signature.name, &object)?;
        }
        let mut found = found?;
        let wanted = recipients::Wanted::of(call)?;
        found.retain(|object| wanted.takes(noun, object));
        let limit = match call.bound.text("ResultSize") {
            Some(size) if size.eq_ignore_ascii_case("unlimited") => usize::MAX,
            Some(size) => size.parse().unwrap_or(RESULT_SIZE),
            None => RESULT_SIZE,
        };
        if found.len() > limit {
            session
                .warn(&format!("There are more results; -ResultSize says how many of the {} are shown.", found.len()));
            found.truncate(limit);
        }
        Ok(Box::new(found.into_iter().map(move |object| shown(noun, &object))))
    }

    /// The server that a parameter names: its name, its name in DNS, its DN (CM-55).
    fn server(
        &mut self,
        wanted: &str,
        draft: &OrganizationDraft,
        local: Option<&ServerName>,
    ) -> Result<ServerName, Failure> {
        let Some(noun) = NOUNS.iter().find(|noun| noun.kind == Kind::Server) else {
            return Err(Failure::new("ObjectNotFound", "NoSuchNoun", "There are no servers."));
        };
        let servers = change::existing(&mut *self.premises, noun.kind, draft)?;
        match find::one(noun, &servers, wanted, local)? {
            Object::Server(server) => Ok(server.name.clone()),
            other => Err(Failure::new("ObjectNotFound", "NoServer", format!("{} is no server.", other.name()))),
        }
    }
}

fn without_servers() -> Failure {
    let message = "There is no server here to be asked.";
    let failure = Failure::new("ResourceUnavailable", "NoServers", message);
    failure.advise("run the shell over a directory: with --settings, --api or in the folder of a lab")
}

impl Commands for Cmdlets {
    fn signatures(&self) -> Vec<Rc<Signature>> {
        self.signatures.clone()
    }

    fn invoke(&mut self, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
        on_edge::without_controller(&mut *self.premises, call)?;
        if let Some(verb) = call.signature.name.strip_suffix("-DistributionGroupMember") {
            if let Some(own) = on_edge::here(&mut *self.premises)? {
                return Err(on_edge::without_recipients(&call.signature.name, &own));
            }
            return recipients::of_group(&mut *self.premises, verb, call, session);
        }
        if let Some(verb) = call.signature.name.strip_suffix("-ADPermission") {
            return permission::run(&mut *self.premises, verb, call, session);
        }
        if call.signature.name.ends_with("-ExchangeCertificate") {
            return self.certificates(call, session);
        }
        match (&*call.signature.name, &mut self.audit) {
            ("Get-AdminAuditLogConfig", _) => return Ok(audit::config()),
            ("Search-AdminAuditLog", Some(log)) => return audit::search(&mut **log, call, session),
            ("Search-AdminAuditLog", None) => return Err(without_servers()),
            _ => {}
        }
        if let Some(done) = edge::run(&mut *self.premises, self.perimeter.as_deref_mut(), call, session) {
            return done;
        }
        if let Some(done) = fixed::run(call).or_else(|| self.of_servers(call, session)) {
            return done;
        }
        if let Some(done) = self.of_queues(call, session) {
            return done;
        }
        let Some((verb, noun)) = parts(&call.signature.name) else {
            let message = format!("{} is not in the catalogue.", call.signature.name);
            return Err(Failure::new("ObjectNotFound", "NoSuchCommand", message));
        };
        on_edge::may(&mut *self.premises, call, noun.kind)?;
        let nothing: Objects = Box::new(std::iter::empty());
        match verb {
            "Get" => self.get(noun, call, session),
            "New" => {
                let made = change::create(&mut *self.premises, noun, call, session)?;
                Ok(Box::new(made.into_iter()))
            }
            "Set" => change::change(&mut *self.premises, noun, call, session).map(|()| nothing),
            _ => change::remove(&mut *self.premises, noun, call, session).map(|()| nothing),
        }
    }

    fn view(&self, of: &str) -> Vec<(&'static str, &'static str)> {
        let of = of.trim_start_matches("Deserialized.");
        if let Some(view) = queues::view(of)
            .or_else(|| permission::view(of))
            .or_else(|| audit::view(of))
            .or_else(|| certificates::view(of))
            .or_else(|| edge::view(of))
            .or_else(|| tracking::view(of))
            .or_else(|| connectivity::view(of))
            .or_else(|| fixed::view(of))
        {
            return view;
        }
        NOUNS.iter().find(|noun| noun.of == of).map(|noun| noun.view.to_vec()).unwrap_or_default()
    }

    /// Names of objects, servers, sites and domains, each where it may stand; properties for an empty parameter (SH-76).
    fn candidates(&mut self, command: &str, parameter: &str) -> Vec<String> {
        let Ok(draft) = self.premises.configuration() else { return Vec::new() };
        let named = parts(command);
        match (parameter, named) {
            ("", Some((_, noun))) => {
                let own = rows(noun).iter().map(|row| noun.documented(row.name)).collect::<Vec<_>>();
                own.into_iter().chain(["Identity".to_owned()]).collect()
            }
            ("Identity", Some((_, noun))) => {
                let found = change::existing(&mut *self.premises, noun.kind, &draft).unwrap_or_default();
                found.iter().filter(|object| noun.means(object)).map(Object::name).collect()
            }
            ("SourceTransportServers" | "Server" | "ExpansionServer", _) => {
                draft.servers.iter().map(|server| server.name.to_string()).collect()
            }
            ("AddressSpaces", _) => {
                let domains = draft.accepted_domains.iter().map(|domain| domain.domain.to_string());
                std::iter::once("*".to_owned()).chain(domains).collect()
            }
            ("Database", _) => draft.databases.iter().map(|database| database.name.to_string()).collect(),
            _ => Vec::new(),
        }
    }
}
