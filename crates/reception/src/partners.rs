//! Domain Security (docs/rules.md, TLS): who comes from a domain of the secure list proves it, by mutual TLS, before he says
//! anything else about a message; then he is a partner (TA-41, TA-43, TA-45). And whether a client is the other half of a hybrid
//! organization (TA-75).

use envelope::{Domain, EnhancedStatus, Reply, ReversePath};
use net::{PeerCertificate, PeerTls};
use smtp::SessionFacts;
use smtp_session::command::MailCommand;
use topology::{Organization, ReceiveConnector};

use crate::connectors::Entrance;
use crate::policy;
use crate::shared::Shared;

/// The sender's domain, where whoever comes from there has to prove it, and has.
///
/// # Errors
/// The reply to `MAIL`.
pub(crate) async fn prove(
    shared: &Shared,
    entrance: &Entrance,
    organization: &Organization,
    mail: &MailCommand,
    session: &SessionFacts,
) -> Result<Option<Domain>, Reply> {
    let Some(domain) = secured(&entrance.connector, organization, &mail.reverse_path) else { return Ok(None) };
    let certificate = shown(&domain, session.tls.as_ref())?;
    if is_good(shared, certificate, &domain, session).await { Ok(Some(domain)) } else { Err(not_validated(&domain)) }
}

/// Whether the client is the other half of a hybrid organization: it has a certificate of a domain that the connector gives that
/// capability (TA-75, PF-45). Who has not is a client as others.
pub(crate) async fn is_other_half(shared: &Shared, connector: &ReceiveConnector, session: &SessionFacts) -> bool {
    let Some(certificate) = session.tls.as_ref().and_then(|tls| tls.certificate.as_ref()) else { return false };
    let given = connector.tls_domain_capabilities.iter().map(|capability| &capability.domain);
    match given.into_iter().find(|domain| certificate.vouches_for(domain)) {
        Some(domain) => is_good(shared, certificate, domain, session).await,
        None => false,
    }
}

/// Whether a certificate that leads to a trusted root was not revoked.
async fn is_good(shared: &Shared, certificate: &PeerCertificate, domain: &Domain, session: &SessionFacts) -> bool {
    let problem = match shared.revocation() {
        // In a box: it is large, and every MAIL of every client would make room for it.
        Ok(check) => Box::pin(certificate.check_revocation(&check)).await.err().map(|problem| problem.to_string()),
        Err(error) => Some(format!("DNS cannot be used: {error}")),
    };
    let Some(problem) = problem else { return true };
    let (peer, subject) = (session.connection.peer, &certificate.subject);
    tracing::warn!(%peer, %domain, %subject, problem, "a partner is not believed");
    false
}

fn secured(connector: &ReceiveConnector, organization: &Organization, sender: &ReversePath) -> Option<Domain> {
    if !policy::asks_partners(connector) {
        return None;
    }
    let domain = sender.address()?.domain();
    organization.transport_config().tls_receive_domain_secure_list.contains(&domain).then_some(domain)
}

/// What a client has shown for a sender of `domain`; whether it was revoked is not asked yet.
fn shown<'a>(domain: &Domain, tls: Option<&'a PeerTls>) -> Result<&'a PeerCertificate, Reply> {
    let Some(certificate) = tls.and_then(|tls| tls.certificate.as_ref()) else {
        let text = format!("Mail from {domain} needs mutual TLS: start TLS and show a certificate for the domain");
        return Err(Reply::new(530, EnhancedStatus::new(5, 7, 4), text));
    };
    if certificate.vouches_for(domain) { Ok(certificate) } else { Err(not_validated(domain)) }
}

/// TA-43: transient, since certificates are mended.
fn not_validated(domain: &Domain) -> Reply {
    let text = format!("Certificate validation failure: it has to be valid, not revoked, and for {domain}");
    Reply::new(454, EnhancedStatus::new(4, 7, 5), text)
}
