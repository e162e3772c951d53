//! `New-` and `Remove-EdgeSubscription`, each on both sides (EN-11, EN-12, EN-40…EN-43).

use envelope::{ObjectName, ServerName, SiteName};
use organization::{Kind, Object};
use shell::{Call, Failure, Objects, Session, Value};
use topology::send_connector::{SmartHostAuthMechanism, Usage};
use topology::{EdgeSubscription, Guid, OrganizationDraft, SendConnector, Server, ServerRole, SmartHost};

use super::{Perimeter, ReadFile, named, nothing, shown};
use crate::change::{away, commit};
use crate::on_edge;
use crate::premises::Premises;

/// Validity of a file unless told otherwise, in seconds: 24 hours (EN-11).
const DURATION: u64 = 24 * 60 * 60;
/// The shortest: 2 minutes.
const DURATION_MIN: u64 = 2 * 60;
/// Parameters that are for the organization's side alone (EN-13).
const INSIDE: [&str; 3] = ["Site", "CreateInternetSendConnector", "CreateInboundSendConnector"];
/// Ticks of a span of the shell in a second.
const TICKS: i64 = 10_000_000;

/// What is typed in the organization.
const TAKE_UP: &str = "with the file of the Edge server: New-EdgeSubscription -FileData \
                       ([System.IO.File]::ReadAllBytes('EdgeSubscription.xml')) -Site SITE";

fn wrong(id: &str, message: impl Into<String>, rule: &str) -> Failure {
    Failure::new("InvalidArgument", id, message).by(rule)
}

/// `New-EdgeSubscription`.
pub(super) fn new(
    premises: &mut dyn Premises,
    perimeter: &mut (dyn Perimeter + 'static),
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let here = on_edge::here(premises)?;
    if here.is_none() {
        session.need_not_ask(); // nothing is lost by it
    }
    match (call.bound.text("FileName"), call.bound.get("FileData"), here) {
        (Some(path), None, Some(own)) => write(premises, perimeter, &own, &path, call, session),
        (None, Some(Value::Octets(octets)), None) => read(premises, perimeter, octets, call, session),
        (Some(_), _, None) => Err(wrong(
            "NotAnEdgeServer",
            "FileName is for an Edge server, which writes the file; this is none.",
            "EN-13",
        )
        .advise(TAKE_UP)),
        (_, Some(_), Some(_)) => Err(wrong(
            "AnEdgeServer",
            "FileData is for a Mailbox server of the site; on an Edge server the file is written with FileName.",
            "EN-13",
        )),
        (None, _, Some(_)) => {
            Err(wrong("NoFile", "Give FileName on the Edge server, FileData and Site in the organization.", "EN-13")
                .advise("this is an Edge server: New-EdgeSubscription -FileName EdgeSubscription.xml"))
        }
        _ => Err(wrong("NoFile", "Give FileName on the Edge server, FileData and Site in the organization.", "EN-13")
            .advise(TAKE_UP)),
    }
}

/// EN-11: on the Edge server.
fn write(
    premises: &mut dyn Premises,
    perimeter: &mut (dyn Perimeter + 'static),
    own: &Server,
    path: &str,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    if let Some(other) = INSIDE.iter().find(|name| call.bound.has(name)) {
        return Err(wrong("NotHere", format!("{other} is given in the organization, with FileData."), "EN-13"));
    }
    let seconds = match call.bound.get("AccountExpiryDuration") {
        Some(Value::Span(ticks)) => u64::try_from(ticks / TICKS).unwrap_or(0),
        _ => DURATION,
    };
    if seconds < DURATION_MIN {
        return Err(wrong("TooShort", "AccountExpiryDuration is at least 2 minutes.", "EN-11"));
    }
    let draft = premises.configuration().map_err(away)?;
    let told = format!(
        "Creating an Edge subscription on \"{}\": {}what the organization has comes here, and only the organization changes it from then on.",
        own.name,
        removed(&draft, own)
    );
    if !session.should(&told)? {
        return Ok(nothing());
    }
    let file = perimeter.write(own, seconds).map_err(|why| Failure::new("InvalidOperation", "NoFileMade", why))?;
    let server = Server { edge: file.edge, ..own.clone() };
    let mut deletes: Vec<(Kind, Guid)> =
        draft.send_connectors.iter().map(|one| (Kind::SendConnector, one.guid)).collect();
    if own.edge.organization.is_none() {
        deletes.extend(draft.accepted_domains.iter().map(|one| (Kind::AcceptedDomain, one.guid)));
    } else {
        deletes.clear(); // EN-43: what was replicated stays until the organization comes again.
    }
    // First: a server whose file cannot be written stays as it is. One that is not taken is good for nothing.
    session.keep(path, file.text.as_bytes(), call.bound.is_on("Force")).map_err(|why| {
        let failure = Failure::new("WriteError", "NotSaved", why).by("EN-11").about(path);
        failure.advise("nothing was changed; give another FileName, or -Force to overwrite a file")
    })?;
    commit(premises, vec![Object::Server(Box::new(server))], deletes, &call.signature.name)?;
    session.warn(&format!(
        "Whoever has {path} can subscribe this server for the next {}: carry it to a Mailbox server of the site, run \
         New-EdgeSubscription -FileData there, and delete it.",
        in_words(seconds)
    ));
    Ok(nothing())
}

/// What is the Edge server's own until then.
fn removed(draft: &OrganizationDraft, own: &Server) -> String {
    let some = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    match (draft.send_connectors.len(), draft.accepted_domains.len()) {
        // EN-43: what was replicated stays until the organization comes again.
        _ if own.edge.organization.is_some() => String::new(),
        (0, 0) => String::new(),
        (connectors, domains) => {
            format!("its {} and {} are removed, ", some(connectors, "Send connector"), some(domains, "accepted domain"))
        }
    }
}

fn in_words(seconds: u64) -> String {
    let (count, unit) = if seconds.is_multiple_of(3600) { (seconds / 3600, "hour") } else { (seconds / 60, "minute") };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// EN-12: in the organization.
fn read(
    premises: &mut dyn Premises,
    perimeter: &mut (dyn Perimeter + 'static),
    octets: &[u8],
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    if call.bound.has("AccountExpiryDuration") {
        let message = "AccountExpiryDuration is given on the Edge server, with FileName.";
        return Err(wrong("NotHere", message, "EN-13"));
    }
    let draft = premises.configuration().map_err(away)?;
    let wanted = call.bound.text("Site");
    let wanted = wanted.ok_or_else(|| wrong("NoSite", "Site is required with FileData.", "EN-12"))?;
    let site = draft.sites.iter().find(|site| site.name.as_str().eq_ignore_ascii_case(&wanted));
    let Some(site) = site.map(|site| site.name.clone()) else {
        let failure = Failure::new("ObjectNotFound", "NoSite", format!("There is no site \"{wanted}\"."));
        return Err(failure.advise("Get-ADSite lists them").about(wanted));
    };
    if !draft.servers.iter().any(|server| server.role == ServerRole::Mailbox && server.site == site) {
        let message = format!("Site \"{site}\" has no Mailbox server that could exchange mail with an Edge server.");
        return Err(wrong("EmptySite", message, "EN-27"));
    }
    let file = perimeter.read(octets).map_err(|why| Failure::new("InvalidData", "BadFile", why).by("EN-13"))?;
    let server = edge_object(&draft, &file, &site)?;
    let on = |name: &str| !matches!(call.bound.get(name), Some(Value::Bool(false)));
    let mut puts = vec![Object::Server(Box::new(server.clone()))];
    if on("CreateInboundSendConnector") {
        puts.push(connector(&draft, &server, true)?);
    }
    if on("CreateInternetSendConnector") {
        puts.push(connector(&draft, &server, false)?);
    }
    // EN-11: only on the Edge server it is a question, where something is removed.
    let with = puts.iter().skip(1).map(|connector| format!("\"{}\"", connector.name())).collect::<Vec<_>>();
    let with = if with.is_empty() { String::new() } else { format!(", with Send connectors {}", with.join(" and ")) };
    if !session.should(&format!("Creating Edge subscription \"{}\" for site \"{site}\"{with}.", server.name))? {
        return Ok(nothing());
    }
    let result = shown(&server);
    commit(premises, puts, Vec::new(), &call.signature.name)?;
    Ok(Box::new(std::iter::once(result)))
}

/// The Edge server's object: a new one, or the one that is subscribed anew (EN-43).
fn edge_object(draft: &OrganizationDraft, file: &ReadFile, site: &SiteName) -> Result<Server, Failure> {
    let known = draft.servers.iter().find(|server| server.name == file.server);
    match known {
        Some(known) if known.role != ServerRole::Edge => {
            let message = format!("\"{}\" is a Mailbox server of the organization.", known.name);
            Err(wrong("NameTaken", message, "EN-10"))
        }
        Some(known) if known.site != *site && known.edge.forest.is_some() => {
            let message = format!("\"{}\" is subscribed to site \"{}\".", known.name, known.site);
            let failure = wrong("OtherSite", message, "EN-43");
            Err(failure.advise("Remove-EdgeSubscription first, then subscribe it to another site"))
        }
        Some(known) => {
            let (fqdn, edge) = (file.fqdn.clone(), file.edge.clone());
            Ok(Server { fqdn, edge, site: site.clone(), ..known.clone() })
        }
        None => Ok(Server {
            guid: free_guid(draft, Kind::Server, file.server.as_str()),
            name: file.server.clone(),
            fqdn: file.fqdn.clone(),
            site: site.clone(),
            role: ServerRole::Edge,
            dag: None,
            removed_receive_connectors: Vec::new(),
            edge: file.edge.clone(),
            transport: topology::TransportServiceSettings::of(ServerRole::Edge),
            frontend_transport: topology::FrontendTransportSettings::default(),
            mailbox_transport: topology::MailboxTransportSettings::default(),
        }),
    }
}

/// The identity of a new object of that name.
fn free_guid(draft: &OrganizationDraft, kind: Kind, name: &str) -> Guid {
    crate::change::free_guid(&organization::objects(draft, &[]), kind, name)
}

/// EN-20…EN-25: the connectors of a subscription; a second Edge server of the site is a source of the same ones.
fn connector(draft: &OrganizationDraft, edge: &Server, inbound: bool) -> Result<Object, Failure> {
    let name = match inbound {
        true => format!("EdgeSync - Inbound to {}", edge.site),
        false => format!("EdgeSync - {} to Internet", edge.site),
    };
    let name = ObjectName::parse(&name).map_err(|error| wrong("NoName", error.to_string(), "EN-20"))?;
    // One that was renamed is the same.
    let of_edges = |known: &SendConnector| {
        known
            .source_transport_servers
            .iter()
            .all(|source| draft.servers.iter().any(|server| server.name == *source && server.role == ServerRole::Edge))
    };
    let made = Kind::SendConnector.derived_guid(name.as_str());
    let is_it = |known: &&SendConnector| known.name == name || (known.guid == made && of_edges(known));
    if let Some(known) = draft.send_connectors.iter().find(is_it) {
        let mut known = known.clone();
        if !known.source_transport_servers.contains(&edge.name) {
            known.source_transport_servers.push(edge.name.clone());
        }
        return Ok(Object::SendConnector(Box::new(known)));
    }
    let (spaces, usage) = if inbound { ("SMTP:--;1", Usage::Internal) } else { ("SMTP:*;100", Usage::Internet) };
    let space = spaces.parse().map_err(|error| wrong("NoSpace", format!("{error}"), "EN-21"))?;
    let guid = free_guid(draft, Kind::SendConnector, name.as_str());
    let mut connector = SendConnector::new(guid, name, usage, vec![space], vec![edge.name.clone()]);
    if inbound {
        connector.dns_routing_enabled = false;
        connector.smart_hosts = vec![SmartHost::SubscribedSite];
        connector.smart_host_auth_mechanism = SmartHostAuthMechanism::ExchangeServer; // EN-23
    } else {
        connector.domain_secure_enabled = true; // EN-22
    }
    Ok(Object::SendConnector(Box::new(connector)))
}

/// `Remove-EdgeSubscription`, on either side.
pub(super) fn remove(
    premises: &mut dyn Premises,
    perimeter: Option<&mut (dyn Perimeter + 'static)>,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let draft = premises.configuration().map_err(away)?;
    let found = named(&draft, Some(&call.bound.text("Identity").unwrap_or_default()))?;
    let Some(edge) = found.into_iter().next() else { return Ok(()) };
    let here = on_edge::here(premises)?.is_some();
    let told = match here {
        true => format!(
            "Removing the Edge subscription on \"{}\": what the organization told this server is removed.",
            edge.name
        ),
        false => format!(
            "Removing Edge subscription \"{}\": it leaves every Send connector, and those of it alone are removed.",
            edge.name
        ),
    };
    if !session.should(&told)? {
        return Ok(());
    }
    if here {
        let (puts, deletes) = on_the_edge(&draft, &edge);
        return commit(premises, puts, deletes, &call.signature.name);
    }
    part(premises, perimeter, &edge, call, session)?;
    let draft = premises.configuration().map_err(away)?;
    let (puts, deletes) = inside(&draft, &edge.name, |_| true);
    commit(premises, puts, deletes, &call.signature.name)
}

/// EN-41: the last that the Edge server is told is that it has no connector to the site any more, so that mail from outside says so
/// and does not knock. One that is away learns nothing: it is over nevertheless.
fn part(
    premises: &mut dyn Premises,
    perimeter: Option<&mut (dyn Perimeter + 'static)>,
    edge: &Server,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let draft = premises.configuration().map_err(away)?;
    let (mut puts, mut deletes) =
        inside(&draft, &edge.name, |one| one.smart_hosts.contains(&SmartHost::SubscribedSite));
    puts.retain(|object| object.kind() == Kind::SendConnector);
    deletes.retain(|(kind, _)| *kind == Kind::SendConnector);
    if (puts.is_empty() && deletes.is_empty()) || edge.edge.voucher.is_some() {
        return Ok(());
    }
    commit(premises, puts, deletes, &call.signature.name)?;
    let told = perimeter.map_or_else(|| Err("no server is here".to_owned()), |there| there.start(&edge.name, false));
    if let Err(why) = told {
        session.warn(&format!(
            "{} is not told that its connector to site {} is gone: {why}. Remove-EdgeSubscription there removes it.",
            edge.name, edge.site
        ));
    }
    Ok(())
}

type Changes = (Vec<Object>, Vec<(Kind, Guid)>);

/// EN-42.
fn on_the_edge(draft: &OrganizationDraft, own: &Server) -> Changes {
    let mut deletes: Vec<(Kind, Guid)> =
        draft.send_connectors.iter().map(|one| (Kind::SendConnector, one.guid)).collect();
    deletes.extend(draft.accepted_domains.iter().map(|one| (Kind::AcceptedDomain, one.guid)));
    let others = draft.servers.iter().filter(|server| server.name != own.name);
    deletes.extend(others.map(|server| (Kind::Server, server.guid)));
    let of_others = draft.receive_connectors.iter().filter(|one| one.server != own.name);
    deletes.extend(of_others.map(|one| (Kind::ReceiveConnector, one.guid)));
    let mut puts = vec![Object::Server(Box::new(Server { edge: EdgeSubscription::default(), ..own.clone() }))];
    if own.edge.recipient_salt.is_some() {
        let none = topology::TransportConfig::default();
        puts.push(Object::TransportConfig(Box::new(topology::TransportConfig {
            tls_send_domain_secure_list: none.tls_send_domain_secure_list,
            tls_receive_domain_secure_list: none.tls_receive_domain_secure_list,
            plus_addressing_enabled: none.plus_addressing_enabled,
            ..draft.transport_config.clone()
        })));
    }
    (puts, deletes)
}

/// EN-41; of its Send connectors those that are `meant`.
fn inside(draft: &OrganizationDraft, edge: &ServerName, meant: impl Fn(&SendConnector) -> bool) -> Changes {
    let (mut puts, mut deletes) = (Vec::new(), Vec::new());
    let of_edge = |one: &&SendConnector| one.source_transport_servers.contains(edge) && meant(one);
    for connector in draft.send_connectors.iter().filter(of_edge) {
        let mut connector = connector.clone();
        connector.source_transport_servers.retain(|source| source != edge);
        if connector.source_transport_servers.is_empty() {
            deletes.push((Kind::SendConnector, connector.guid));
        } else {
            puts.push(Object::SendConnector(Box::new(connector)));
        }
    }
    let server = draft.servers.iter().find(|server| server.name == *edge);
    deletes.extend(server.map(|server| (Kind::Server, server.guid)));
    let of_it = draft.receive_connectors.iter().filter(|one| one.server == *edge);
    deletes.extend(of_it.map(|one| (Kind::ReceiveConnector, one.guid)));
    (puts, deletes)
}
