//! The estate as one person may use it: the only way by which pages reach it. Each question and each act is ruled by `authority`, as
//! the admin service rules what it is asked; what is refused is written down and not done.

use std::sync::Arc;

use authority::{Act, Feature, Refusal};
use envelope::{Revision, ServerName};
use inquiry::{KnownRecipients, Subject};
use organization::{Change, Kind, Object, Plan, Properties, Wrong};
use topology::{Organization, OrganizationDraft};

use crate::estate::{
    Audit, AuditView, CertificateView, Estate, Export, Handling, HealthView, Impact, ImportView, LetterView, Letters,
    Made, NotMade, Note, QueueView, Serving, ShownView, TrackView, Tracking,
};
use crate::known::{Known, Last};
use crate::person::Person;

/// Why something is not told or not done.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The person may not.
    Refused(Refusal),
    /// Nobody can tell just now, or it cannot be done.
    Away(String),
}

impl From<String> for Denied {
    fn from(why: String) -> Self {
        Self::Away(why)
    }
}

/// The estate for one person.
pub(crate) struct Ruled<'a> {
    estate: &'a dyn Estate,
    known: &'a Arc<Known>,
    person: &'a Person,
}

impl<'a> Ruled<'a> {
    pub(crate) fn new(estate: &'a dyn Estate, known: &'a Arc<Known>, person: &'a Person) -> Self {
        Self { estate, known, person }
    }

    /// Why the person may not, if so: for what is shown shut (WA-06). Nothing is written down. He is told it as everybody with his
    /// role groups is: what they see is drawn once.
    pub(crate) fn why_not(&self, act: Act) -> Option<String> {
        let refusal = self.estate.authority().rule(&self.person.principal, act).err()?.to_string();
        let of = refusal.strip_prefix(self.person.name()).and_then(|rest| rest.strip_prefix(", of "));
        Some(of.map(|of| format!("you, of {of}")).unwrap_or(refusal))
    }

    fn may(&self, act: Act, cmdlet: &str, object: &str) -> Result<(), Denied> {
        self.estate.authority().rule(&self.person.principal, act).map_err(|refusal| {
            self.note(cmdlet, object, Some(&refusal.to_string()));
            Denied::Refused(refusal)
        })
    }

    /// Writes down what the person does.
    pub(crate) fn note(&self, cmdlet: &str, object: &str, refused: Option<&str>) {
        let from = self.person.from.to_string();
        self.estate.note(Note { who: self.person.name(), from: &from, cmdlet, object, refused });
    }

    pub(crate) async fn organization(&self) -> Result<Arc<Organization>, Denied> {
        self.may(Act::Read(Feature::Organization), "Get-OrganizationConfig", Feature::Organization.as_str())?;
        Ok(self.estate.organization().await?)
    }

    pub(crate) async fn at(&self, revision: Revision) -> Result<Arc<Organization>, Denied> {
        self.may(Act::Read(Feature::Organization), "Get-OrganizationConfig", Feature::Organization.as_str())?;
        Ok(self.estate.at(revision).await?)
    }

    pub(crate) async fn history(&self, limit: usize) -> Result<Vec<Made>, Denied> {
        self.may(Act::Read(Feature::Organization), "Get-OrganizationConfig", Feature::Organization.as_str())?;
        Ok(self.estate.history(limit).await?)
    }

    pub(crate) async fn services(&self) -> Result<Vec<Serving>, Denied> {
        self.may(Act::Read(Feature::Organization), "Get-OrganizationConfig", Feature::Organization.as_str())?;
        Ok(self.estate.services().await?)
    }

    /// The same as it is known.
    pub(crate) async fn services_known(&self) -> Result<Last<Vec<Serving>>, Denied> {
        self.may(Act::Read(Feature::Organization), "Get-OrganizationConfig", Feature::Organization.as_str())?;
        Ok(self.known.services().await)
    }

    pub(crate) async fn known(&self, subjects: &[Subject]) -> Result<KnownRecipients, Denied> {
        self.may(Act::Read(Feature::Recipients), "Get-Recipient", Feature::Recipients.as_str())?;
        Ok(self.estate.known(subjects).await?)
    }

    /// The object that properties make. The inner error says what is wrong with them. Whoever may not change such objects has
    /// nothing sealed.
    pub(crate) async fn object(
        &self,
        kind: Kind,
        properties: Properties,
        organization: Arc<Organization>,
    ) -> Result<Result<Object, Vec<Wrong>>, Denied> {
        if kind == Kind::SendConnector {
            self.may(Act::Change(Feature::SendConnectors), "Protect-Credential", Feature::SendConnectors.as_str())?;
        }
        Ok(self.estate.object(kind, properties, organization).await)
    }

    /// What a change would do to mail. What waits and what was tracked goes into it, so that both must be readable, and the look is
    /// written down as any at tracking logs (WA-68).
    pub(crate) async fn impact(&self, before: Arc<Organization>, after: OrganizationDraft) -> Result<Impact, Denied> {
        for feature in [Feature::Queues, Feature::MessageTracking] {
            if let Err(refusal) = self.estate.authority().rule(&self.person.principal, Act::Read(feature)) {
                return Err(Denied::Refused(refusal));
            }
        }
        self.note("Get-MessageTrackingLog", "senders and recipients of the last days, for what a change does", None);
        Ok(self.estate.impact(before, after).await?)
    }

    /// What waits on servers that go is read of their queues.
    pub(crate) async fn left_behind(&self, plan: &Plan) -> Result<Vec<String>, Denied> {
        let leaves = |change: &Change| matches!(change.object().kind(), Kind::Server | Kind::Database);
        if !plan.changes.iter().any(leaves) {
            return Ok(Vec::new());
        }
        if let Err(refusal) = self.estate.authority().rule(&self.person.principal, Act::Read(Feature::Queues)) {
            return Err(Denied::Refused(refusal));
        }
        Ok(self.estate.left_behind(plan).await?)
    }

    /// Why the person may not make a plan, if so.
    pub(crate) fn refused_plan(&self, plan: &Plan, organization: &Organization) -> Option<Refusal> {
        let authority = self.estate.authority();
        let touched = self.estate.touched(plan, organization);
        touched.into_iter().find_map(|feature| authority.rule(&self.person.principal, Act::Change(feature)).err())
    }

    pub(crate) async fn commit(
        &self,
        plan: Plan,
        base: Revision,
        organization: &Organization,
    ) -> Result<Result<Revision, NotMade>, Denied> {
        if let Some(refusal) = self.refused_plan(&plan, organization) {
            for change in &plan.changes {
                self.note(&crate::exchange::cmdlet(change), &change.object().place(), Some(&refusal.to_string()));
            }
            return Err(Denied::Refused(refusal));
        }
        Ok(self.estate.commit(self.person, plan, base).await)
    }

    pub(crate) fn commands(&self, changes: &[Change]) -> Vec<String> {
        self.estate.commands(changes)
    }

    /// What servers meet now is told to who may read queues, and of the organization of now.
    pub(crate) async fn explained(&self, answer: &inquiry::Answer, now: bool) -> String {
        let now = now && self.why_not(Act::Read(Feature::Queues)).is_none();
        self.estate.explained(answer, now).await
    }

    pub(crate) fn reason(&self, why: &inquiry::Why) -> String {
        self.estate.reason(why)
    }

    pub(crate) async fn queues(&self, server: &ServerName) -> Result<Vec<QueueView>, Denied> {
        self.may(Act::Read(Feature::Queues), "Get-Queue", Feature::Queues.as_str())?;
        Ok(self.estate.queues(server).await?)
    }

    /// The same of several servers as it is known: nobody waits for one that is down.
    pub(crate) async fn queues_known(&self, servers: &[ServerName]) -> Result<Vec<Last<Vec<QueueView>>>, Denied> {
        self.may(Act::Read(Feature::Queues), "Get-Queue", Feature::Queues.as_str())?;
        Ok(self.known.queues(servers).await)
    }

    /// Messages without their subjects, as they are known.
    pub(crate) async fn letters_known(
        &self,
        server: &ServerName,
        queue: Option<u64>,
        limit: u32,
    ) -> Result<Last<Vec<LetterView>>, Denied> {
        self.may(Act::Read(Feature::Queues), "Get-Message", Feature::Queues.as_str())?;
        Ok(self.known.letters(server, queue, limit).await)
    }

    /// Messages. A look at subjects, which are content, is written down (WA-68).
    pub(crate) async fn letters(&self, server: &ServerName, wanted: Letters) -> Result<Vec<LetterView>, Denied> {
        self.may(Act::Read(Feature::Queues), "Get-Message", Feature::Queues.as_str())?;
        if wanted.subjects {
            self.note("Get-Message", &format!("messages[\"{server}\"] with subjects"), None);
        }
        Ok(self.estate.letters(server, wanted).await?)
    }

    pub(crate) async fn act(
        &self,
        server: &ServerName,
        action: Handling,
        on: &[(u64, Option<u64>)],
    ) -> Result<Vec<Result<(), String>>, Denied> {
        let object = format!("queues[\"{server}\"]");
        self.may(Act::Change(Feature::Queues), crate::exchange::handling(action), &object)?;
        Ok(self.estate.act(self.person, server, action, on).await?)
    }

    /// Tracking logs: other people's mail data, so that every look is written down (WA-68).
    pub(crate) async fn track(&self, wanted: Tracking) -> Result<(Vec<TrackView>, Vec<String>), Denied> {
        let object = crate::exchange::looked_for(&wanted);
        self.may(Act::Read(Feature::MessageTracking), "Get-MessageTrackingLog", &object)?;
        self.note("Get-MessageTrackingLog", &object, None);
        Ok(self.estate.track(wanted).await?)
    }

    /// How services are, as it is known; of it nothing for who may not ask.
    pub(crate) async fn health(&self) -> Result<Last<Vec<HealthView>>, String> {
        match self.why_not(Act::Read(Feature::Servers)) {
            None => Ok(self.known.health().await),
            Some(why) => Err(why),
        }
    }

    /// The same where it is one part of a page.
    pub(crate) async fn health_if_allowed(&self) -> Arc<Vec<HealthView>> {
        let last = self.health().await.unwrap_or_default();
        last.value.map(|(health, _)| health).unwrap_or_default()
    }

    /// Whether the person may look at what certificates do.
    pub(crate) fn may_see_certificates(&self) -> Result<(), Denied> {
        self.may(Act::Read(Feature::Certificates), "Get-ExchangeCertificate", Feature::Certificates.as_str())
    }

    /// Whether the person may try one.
    pub(crate) fn may_rehearse(&self, act: Act) -> Result<(), Denied> {
        self.may(act, "Test-ExchangeCertificate", "a certificate for SMTP")
    }

    /// Which certificate each connector of this server shows.
    pub(crate) async fn shown(&self) -> Result<Vec<ShownView>, Denied> {
        self.may_see_certificates()?;
        Ok(self.estate.shown().await?)
    }

    pub(crate) async fn certificates(&self) -> Result<Vec<CertificateView>, Denied> {
        self.may(Act::Read(Feature::Certificates), "Get-ExchangeCertificate", Feature::Certificates.as_str())?;
        Ok(self.estate.certificates().await?)
    }

    /// Whether the person may bring an export; who may not is written down.
    pub(crate) fn may_import(&self, act: Act) -> Result<(), Denied> {
        self.may(act, "Import-Organization", "files of an export")
    }

    /// What becomes of an export. Nothing is changed by it.
    pub(crate) async fn import(&self, export: Export, organization: Arc<Organization>) -> Result<ImportView, String> {
        self.estate.import(export, organization).await
    }

    pub(crate) async fn audit(&self, wanted: Audit) -> Result<Vec<AuditView>, Denied> {
        self.may(Act::Read(Feature::AuditLog), "Search-AdminAuditLog", Feature::AuditLog.as_str())?;
        Ok(self.estate.audit(wanted).await?)
    }

    /// Accounts are those of the centre: as certificates, they say who is who.
    pub(crate) fn accounts(&self, changes: bool) -> Result<(), Denied> {
        let act = if changes { Act::Change(Feature::Certificates) } else { Act::Read(Feature::Certificates) };
        self.may(act, if changes { "Set-Account" } else { "Get-Account" }, "accounts of the admin centre")
    }
}
