//! Passwords of mailbox users (RC-41, TA-72). What is wrong, name or password, shows neither in the reply nor in its time.

use std::sync::{Arc, LazyLock};

use directory::{ReadError, VerifyError, create_verifier, verify_password};
use envelope::{Address, EnhancedStatus, ObjectName, Reply};
use smtp_session::Credentials;
use topology::recipient::PasswordVerifier;
use topology::{DirectoryRecipient, RecipientKind};

use crate::shared::Shared;

/// What an unknown user's password is checked against, so that the answer takes as long as for a known one.
static NOBODY: LazyLock<PasswordVerifier> = LazyLock::new(|| create_verifier("nobody"));

/// The mailbox whose name and password these are.
///
/// # Errors
/// `535` for wrong ones, `454` when it cannot be said now (RFC 4954 §6).
pub(crate) async fn authenticate(shared: &Arc<Shared>, credentials: &Credentials) -> Result<DirectoryRecipient, Reply> {
    let found = find(shared, &credentials.user).await.map_err(|error| {
        tracing::warn!(%error, "a user cannot be looked up");
        temporary()
    })?;
    let Ok(password) = std::str::from_utf8(credentials.secret.expose()) else { return Err(unsuccessful()) };
    let verifier = found.as_ref().and_then(|user| match &user.kind {
        RecipientKind::Mailbox { password, .. } => password.clone(),
        RecipientKind::MailContact { .. } | RecipientKind::DistributionGroup { .. } => None,
    });
    let known = verifier.is_some();
    let _permit = shared.password_checks.acquire().await.map_err(|_| temporary())?;
    let secret = smtp_session::Secret::new(password.as_bytes().to_vec());
    let checking = tokio::task::spawn_blocking(move || {
        let password = std::str::from_utf8(secret.expose()).unwrap_or_default();
        verify_password(verifier.as_ref().unwrap_or(&NOBODY), password)
    });
    match (checking.await, found) {
        (Ok(Ok(())), Some(user)) if known => Ok(user),
        (Ok(Err(VerifyError::Damaged)), Some(user)) => {
            tracing::error!(user = %user.name, "the stored password verifier cannot be read; set the password again");
            Err(unsuccessful())
        }
        (Err(_), _) => Err(temporary()),
        _ => Err(unsuccessful()),
    }
}

/// By address (`ann@contoso.com`), by name (`ann`), or by a name with a domain of old (`CONTOSO\ann`).
async fn find(shared: &Shared, user: &str) -> Result<Option<DirectoryRecipient>, ReadError> {
    let directory = &shared.node.directory;
    if let Ok(address) = Address::parse(user) {
        return directory.recipient(&address).await;
    }
    let name = user.rsplit('\\').next().unwrap_or(user);
    match ObjectName::parse(name) {
        Ok(name) => directory.recipient_by_name(&name).await,
        Err(_) => Ok(None),
    }
}

pub(crate) fn unsuccessful() -> Reply {
    Reply::new(535, EnhancedStatus::new(5, 7, 3), "Authentication unsuccessful")
}

fn temporary() -> Reply {
    Reply::new(454, EnhancedStatus::new(4, 7, 0), "Temporary authentication failure")
}
