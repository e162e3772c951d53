//! Passwords of mailbox users (RC-41, TA-72): checked by the verifier that the organization keeps, or asked of the directory from
//! which the mailbox came. What is wrong, name or password, shows neither in the reply nor, among verifiers, in its time.

use std::sync::{Arc, LazyLock};

use directory::{ReadError, VerifyError, create_verifier, verify_password};
use envelope::text::folded;
use envelope::{Address, EnhancedStatus, ObjectName, Reply};
use ldap::LogonError;
use net::digest::sha256;
use rpc::AccountDigest;
use smtp_session::Credentials;
use topology::recipient::PasswordVerifier;
use topology::{DirectoryRecipient, RecipientKind};

use crate::keepers::kept_elsewhere;
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
    if let Some((keeper, entry)) = found.as_ref().and_then(|user| kept_elsewhere(&shared.keepers, user)) {
        let answer = keeper.check(entry, password).await;
        return match (answer, found) {
            (Ok(()), Some(user)) => Ok(user),
            (Err(LogonError::Away(error)), Some(user)) => {
                tracing::warn!(user = %user.name, %error, "the directory that keeps the password of a user cannot be asked");
                Err(temporary())
            }
            _ => Err(unsuccessful()),
        };
    }
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

/// Whom a client says to be.
enum Claimed<'a> {
    /// `ann@contoso.com`
    Address(Address),
    /// `ann`, or with a domain of old: `CONTOSO\ann`.
    Name(ObjectName),
    /// What nobody can be called.
    Nobody(&'a str),
}

impl<'a> Claimed<'a> {
    fn of(user: &'a str) -> Self {
        if let Ok(address) = Address::parse(user) {
            return Self::Address(address);
        }
        let name = user.rsplit('\\').next().unwrap_or(user);
        ObjectName::parse(name).map_or(Self::Nobody(name), Self::Name)
    }
}

async fn find(shared: &Shared, user: &str) -> Result<Option<DirectoryRecipient>, ReadError> {
    let directory = &shared.node.directory;
    match Claimed::of(user) {
        Claimed::Address(address) => directory.recipient(&address).await,
        Claimed::Name(name) => directory.recipient_by_name(&name).await,
        Claimed::Nobody(_) => Ok(None),
    }
}

/// As what a claimed user is counted, here and on other servers: equal for all the ways to write one address or name. Of what is
/// nobody's too, so that nothing tells the two apart; and a digest, because somebody's password may stand there.
pub(crate) fn account_digest(user: &str) -> AccountDigest {
    let (kind, key) = match Claimed::of(user) {
        Claimed::Address(address) => ("address", address.key()),
        Claimed::Name(name) => ("name", name.key()),
        Claimed::Nobody(name) => ("name", folded(name).into_owned()),
    };
    let whole = sha256(&[b"postroad failed logon ", kind.as_bytes(), b" ", key.as_bytes()]);
    std::array::from_fn(|at| whole[at])
}

pub(crate) fn unsuccessful() -> Reply {
    Reply::new(535, EnhancedStatus::new(5, 7, 3), "Authentication unsuccessful")
}

fn temporary() -> Reply {
    Reply::new(454, EnhancedStatus::new(4, 7, 0), "Temporary authentication failure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_is_counted_as_one_however_it_is_written() {
        for (user, others) in [
            (
                "ann@contoso.com",
                &["ANN@Contoso.COM", "\"ann\"@contoso.com", "@a.example,@b.example:ann@contoso.com"][..],
            ),
            ("ann@bücher.example", &["ann@xn--bcher-kva.example"]),
            ("ann", &["Ann", "CONTOSO\\ann", "a\\b\\ANN"]),
            ("", &["CONTOSO\\"]),
        ] {
            for other in others {
                assert_eq!(account_digest(user), account_digest(other), "{user} {other}");
            }
        }
        let different = ["ann", "ann@contoso.com", "ann@fabrikam.example", "anne", ""].map(account_digest);
        assert!((1..different.len()).all(|at| !different[..at].contains(&different[at])));
    }
}
