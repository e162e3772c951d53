//! `Get-Queue` and `Get-Message`.

use std::rc::Rc;
use std::sync::Arc;

use envelope::ServerName;
use shell::{Call, Failure, Object, Objects, Session, Value};
use topology::OrganizationDraft;

use super::filter::{self, Filter, Properties};
use super::identity::{MessageIdentity, QueueIdentity, Which, server};
use super::{QueueInfo, Queues, WantedMessages, list, show};

/// Properties that are read from a message's header.
const OF_HEADER: &[&str] = &["Subject", "InternetMessageId", "SCL"];

/// What the commands stand on.
pub(crate) struct Ground<'a> {
    pub(crate) draft: Arc<OrganizationDraft>,
    pub(crate) local: Option<ServerName>,
    pub(crate) queues: &'a mut dyn Queues,
}

pub(crate) fn away(why: String) -> Failure {
    Failure::new("ResourceUnavailable", "ServerUnavailable", why)
}

pub(crate) fn not_found(identity: &str, server: &ServerName) -> Failure {
    let message =
        format!("The operation couldn't be performed because object '{identity}' couldn't be found on '{server}'.");
    let failure = Failure::new("InvalidData", "ObjectNotFoundException", message).about(identity);
    failure.by("CM-53").advise("Get-Queue lists what there is")
}

impl Ground<'_> {
    /// The server that is meant: the one that is named, the local one, or the only one.
    pub(crate) fn one_server(&self, named: Option<&str>) -> Result<ServerName, Failure> {
        if let Some(named) = named.filter(|named| !named.is_empty()) {
            return server(&self.draft, named);
        }
        match (&self.local, &self.draft.servers[..]) {
            (Some(local), _) => Ok(local.clone()),
            (None, [only]) => Ok(only.name.clone()),
            (None, _) => {
                let message = "This is not one of the servers: name the one that is meant.";
                Err(Failure::new("InvalidArgument", "NoLocalServer", message)
                    .by("QU-23")
                    .advise("add -Server, or write SERVER\\QUEUE"))
            }
        }
    }

    /// The same; whoever only looks, and is on none of them, sees all.
    fn servers(&self, named: Option<&str>) -> Result<Vec<ServerName>, Failure> {
        match self.one_server(named) {
            Err(_) if named.is_none_or(str::is_empty) => {
                Ok(self.draft.servers.iter().map(|server| server.name.clone()).collect())
            }
            found => Ok(vec![found?]),
        }
    }

    /// Asks each server; who cannot be asked is told, unless nobody can.
    pub(crate) fn each<T>(
        &mut self,
        servers: Vec<ServerName>,
        session: &mut Session<'_>,
        mut ask: impl FnMut(&mut dyn Queues, &ServerName) -> Result<Vec<T>, String>,
    ) -> Result<Vec<(ServerName, T)>, Failure> {
        let (mut all, mut failed, asked) = (Vec::new(), Vec::new(), servers.len());
        for server in servers {
            match ask(&mut *self.queues, &server) {
                Ok(found) => all.extend(found.into_iter().map(|one| (server.clone(), one))),
                Err(why) => failed.push(format!("{server}: {why}")),
            }
        }
        if !failed.is_empty() && failed.len() == asked {
            return Err(away(failed.join("\n")));
        }
        failed.iter().for_each(|why| session.warn(why));
        Ok(all)
    }

    /// The queues that an identity means.
    pub(crate) fn queues_of(
        &mut self,
        identity: &QueueIdentity,
        text: &str,
    ) -> Result<(ServerName, Vec<QueueInfo>), Failure> {
        let server = self.one_server(identity.server.as_deref())?;
        let mut found = self.queues.queues(&server).map_err(away)?;
        found.retain(|queue| identity.queue.means(queue));
        if found.is_empty() && identity.queue != Which::All {
            return Err(not_found(text, &server));
        }
        Ok((server, found))
    }
}

/// What `Include` and `Exclude` say (QU-54).
pub(crate) struct Kinds {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Kinds {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        let words = |name: &str| {
            let all = call.bound.get(name).map(Value::each).unwrap_or_default();
            all.iter()
                .flat_map(|value| value.text().split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>())
                .collect()
        };
        Self { include: words("Include"), exclude: words("Exclude") }
    }

    pub(crate) fn mean(&self, queue: &QueueInfo) -> bool {
        let is = |word: &String| match word.to_ascii_lowercase().as_str() {
            "empty" => queue.message_count == 0,
            _ => word.eq_ignore_ascii_case(&queue.next_hop_category) || word.eq_ignore_ascii_case(&queue.delivery_type),
        };
        (self.include.is_empty() || self.include.iter().any(is)) && !self.exclude.iter().any(is)
    }
}

/// `Get-Queue`
pub(crate) fn queues(ground: &mut Ground<'_>, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
    let filter = filter_of(call, filter::QUEUE)?;
    let kinds = Kinds::of(call);
    let identity = call.bound.text("Identity").filter(|identity| !identity.is_empty());
    let found: Vec<(ServerName, QueueInfo)> = match &identity {
        Some(text) => {
            let (server, found) = ground.queues_of(&QueueIdentity::parse(text)?, text)?;
            found.into_iter().map(|queue| (server.clone(), queue)).collect()
        }
        None => {
            let servers = ground.servers(call.bound.text("Server").as_deref())?;
            ground.each(servers, session, |queues, server| queues.queues(server))?
        }
    };
    let found = found.iter().filter(|(_, queue)| kinds.mean(queue));
    let objects = found.map(|(server, queue)| show::queue(server, queue));
    let objects = objects.filter(|object| filter.as_ref().is_none_or(|filter| filter.holds(object)));
    list::page(call, objects.collect(), session)
}

/// The filter that was given.
pub(crate) fn filter_of(call: &Call<'_>, of: Properties) -> Result<Option<Filter>, Failure> {
    call.bound.text("Filter").map(|text| Filter::parse(&text, of)).transpose()
}

/// `Get-Message`
pub(crate) fn messages(
    ground: &mut Ground<'_>,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let filter = filter_of(call, filter::MESSAGE)?;
    let all = filter.is_some() || list::needs_all(call);
    let limit = match list::result_size(call)? {
        Some(size) if !all => u32::try_from(size.saturating_add(1)).ok(),
        _ => None,
    };
    let found =
        found_messages(ground, call, session, WantedMessages { queue: None, message: None, header: true, limit })?;
    let recipients = call.bound.is_on("IncludeRecipientInfo")
        || filter.as_ref().is_some_and(|filter| filter.speaks_of(&["Recipients"]));
    let now = session.now();
    let objects = found.iter().map(|(server, message)| show::message(server, message, recipients, now));
    let objects = objects.filter(|object| filter.as_ref().is_none_or(|filter| filter.holds(object)));
    list::page(call, objects.collect(), session)
}

type Found = Vec<(ServerName, super::MessageInfo)>;

/// The messages of an identity, of a queue, of a server.
fn found_messages(
    ground: &mut Ground<'_>,
    call: &Call<'_>,
    session: &mut Session<'_>,
    wanted: WantedMessages,
) -> Result<Found, Failure> {
    let given = |name: &str| call.bound.text(name).filter(|text| !text.is_empty());
    if let Some(text) = given("Identity") {
        let identity = MessageIdentity::parse(&text)?;
        let found = ground.messages_of(&identity, &text, true)?;
        return if found.is_empty() {
            Err(not_found(&text, &ground.one_server(identity.queue.server.as_deref())?))
        } else {
            Ok(found)
        };
    }
    if let Some(text) = given("Queue") {
        let (server, queues) = ground.queues_of(&QueueIdentity::parse(&text)?, &text)?;
        let mut all = Vec::new();
        for queue in queues {
            let wanted = WantedMessages { queue: Some(queue.number), ..wanted };
            let found = ground.queues.messages(&server, &wanted).map_err(away)?;
            all.extend(found.into_iter().map(|message| (server.clone(), message)));
        }
        return Ok(all);
    }
    let servers = ground.servers(given("Server").as_deref())?;
    ground.each(servers, session, |queues, server| queues.messages(server, &wanted))
}

impl Ground<'_> {
    /// The messages that an identity means.
    pub(crate) fn messages_of(
        &mut self,
        identity: &MessageIdentity,
        text: &str,
        header: bool,
    ) -> Result<Found, Failure> {
        let (server, queues) = match &identity.queue.queue {
            Which::All => (self.one_server(identity.queue.server.as_deref())?, vec![None]),
            _ => {
                let (server, queues) = self.queues_of(&identity.queue, text)?;
                (server, queues.into_iter().map(|queue| Some(queue.number)).collect())
            }
        };
        let mut all = Vec::new();
        for queue in queues {
            let wanted = WantedMessages { queue, message: Some(identity.message), header, limit: None };
            let found = self.queues.messages(&server, &wanted).map_err(away)?;
            all.extend(found.into_iter().map(|message| (server.clone(), message)));
        }
        Ok(all)
    }

    /// The messages of a server for which a filter holds, to be acted upon.
    pub(crate) fn filtered_messages(
        &mut self,
        server: &ServerName,
        filter: &Filter,
        session: &mut Session<'_>,
    ) -> Result<Found, Failure> {
        let wanted = WantedMessages { queue: None, message: None, header: filter.speaks_of(OF_HEADER), limit: None };
        let found = self.queues.messages(server, &wanted).map_err(away)?;
        let (now, recipients) = (session.now(), filter.speaks_of(&["Recipients"]));
        let holds = |message: &super::MessageInfo| {
            let object: Rc<Object> = show::message(server, message, recipients, now);
            filter.holds(&object)
        };
        Ok(found.into_iter().filter(holds).map(|message| (server.clone(), message)).collect())
    }
}
