//! The mailboxes as a passwd-file of Dovecot: names, verifiers that it understands, and where the messages are.
//!
//! A verifier is argon2id in PHC string format, which Dovecot calls `ARGON2ID`. A mailbox without one has `{CRYPT}!`, which no
//! password fits: it is there for its place, and another `passdb` may know its password.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, bail};
use mailbox_store::MailboxName;
use runtime::Settings;
use topology::{DirectoryRecipient, RecipientKind};

/// How Dovecot calls the scheme of our verifiers.
const SCHEME: &str = "{ARGON2ID}";
/// No password has this hash (crypt(5)).
const NOBODYS: &str = "{CRYPT}!";
/// Read and write, for the owner.
const MODE: u32 = 0o600;

/// `user:password:uid:gid:gecos:home:shell:extra`, for each name and address under which somebody may log on.
pub(super) fn text(recipients: &[DirectoryRecipient], settings: &Settings) -> anyhow::Result<String> {
    let mut text = String::new();
    for recipient in recipients {
        let RecipientKind::Mailbox { database, password } = &recipient.kind else { continue };
        // Without such a name there is no folder for its messages either.
        let Ok(mailbox) = MailboxName::parse(recipient.name.as_str()) else { continue };
        let home = settings.mailbox_database(database).join(mailbox.as_str());
        let home = home.to_str().filter(|home| !home.contains([':', '\n']));
        let Some(home) = home else {
            bail!("the folder of the mailbox {mailbox} has a colon, which a passwd-file cannot hold")
        };
        let verifier = match password {
            Some(verifier) => format!("{SCHEME}{}", verifier.0.strip_prefix(SCHEME).unwrap_or(&verifier.0)),
            None => NOBODYS.to_owned(),
        };
        if verifier.contains([':', '\n']) {
            bail!("the stored verifier of {} cannot be read; set the password again", recipient.name);
        }
        writeln!(text, "{mailbox}:{verifier}::::{home}::")?;
        for address in recipient.addresses() {
            let user = address.as_str().to_lowercase();
            // Quoted local parts, which nobody types, and names that are for machines.
            if !user.contains([':', ' ', '"']) && !user.starts_with("imceaex-") {
                writeln!(text, "{user}:{verifier}::::{home}::user={mailbox}")?;
            }
        }
    }
    Ok(text)
}

/// Puts the file in the place of the one that is there, whose owner and permissions it takes over. Whoever reads it meanwhile
/// has the one or the other.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(&part)?;
        file.write_all(text.as_bytes())?;
        if let Ok(before) = path.metadata() {
            chown(&part, Some(before.uid()), Some(before.gid()))?;
            file.set_permissions(std::fs::Permissions::from_mode(before.mode() & 0o7777))?;
        }
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
