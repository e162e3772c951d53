//! Accounts of this centre, for who has no certificate: a name, a password (argon2id), a code of an authenticator, role groups. They
//! are a file of the centre (0600), not of the organization: whoever has the file could take the place of its people.
//!
//! There is no first password. A centre without accounts prints a link that is good once; whoever opens it chooses a name and a
//! password. More people come by links that an administrator makes.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authority::RoleGroup;
use envelope::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::codes;

/// How long a link is good.
pub(crate) const LINK_GOOD: Duration = Duration::from_secs(24 * 3600);
/// Least characters of a password. Source: NIST SP 800-63B-4 §3.1.1.2 asks for 15 without, 8 with a second factor; ours is between.
pub(crate) const PASSWORD_MIN: usize = 10;
/// Most octets of a password: what is more costs time and no more.
pub(crate) const PASSWORD_MAX: usize = 1024;
/// Most accounts, and links that are open.
const ACCOUNTS_MAX: usize = 1_000;
const LINK: &str = "link";

/// Makes and checks verifiers of passwords; whoever embeds the centre has the algorithm. Both take a while, on purpose.
pub trait Passwords: Send + Sync + 'static {
    /// The verifier of a password.
    fn verifier(&self, password: &str) -> String;
    /// Whether it is that password.
    fn verify(&self, verifier: &str, password: &str) -> bool;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) name: String,
    verifier: String,
    secret: String,
    groups: Vec<String>,
    /// The last step whose code was taken.
    #[serde(default)]
    step: u64,
    created: u64,
}

impl Account {
    pub(crate) fn groups(&self) -> BTreeSet<RoleGroup> {
        self.groups.iter().filter_map(|group| group.parse().ok()).collect()
    }

    pub(crate) fn created(&self) -> Timestamp {
        Timestamp::from_millis(self.created)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Link {
    digest: String,
    /// Fixed, where an administrator made the link.
    name: Option<String>,
    groups: Vec<String>,
    until: u64,
    /// Of the authenticator, shown on the page of the link.
    secret: String,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    accounts: Vec<Account>,
    links: Vec<Link>,
}

/// Why somebody does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// There is no such name, or it has another password.
    Password,
    /// The code alone.
    Code,
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// What a link opens.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    pub(crate) name: Option<String>,
    pub(crate) secret: String,
    pub(crate) groups: BTreeSet<RoleGroup>,
}

/// All accounts.
pub struct Accounts {
    file: PathBuf,
    /// Held for as long as this centre runs. A second one over the same folder would not see what this one changes, and take a code
    /// once more: which codes were taken, and who failed how often, is in memory.
    _lock: File,
    kept: Mutex<Kept>,
    passwords: Arc<dyn Passwords>,
    /// A verifier of nobody's, so that it takes as long to refuse a name that there is not.
    nobody: String,
}

impl Accounts {
    /// Opens the file, or begins it.
    ///
    /// # Errors
    /// When it cannot be read, or another centre has it.
    pub fn open(folder: &Path, passwords: Arc<dyn Passwords>) -> io::Result<Self> {
        let lock = lock(&folder.join("accounts.lock"))?;
        let file = folder.join("accounts.json");
        let kept = match std::fs::read(&file) {
            Ok(octets) => serde_json::from_slice(&octets).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error),
        };
        let nobody = passwords.verifier(&codes::token());
        Ok(Self { file, _lock: lock, kept: Mutex::new(kept), passwords, nobody })
    }

    /// Whether nobody can sign in by a password.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.lock().accounts.is_empty()
    }

    /// A link for the first administrator, in place of one that was made before and not used.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn first_link(&self, now: Timestamp) -> io::Result<String> {
        self.kept.lock().links.retain(|link| link.name.is_some());
        self.link(None, &BTreeSet::from([RoleGroup::OrganizationManagement]), now)
    }

    /// A link by which somebody gets an account: the token in it.
    pub(crate) fn link(
        &self,
        name: Option<String>,
        groups: &BTreeSet<RoleGroup>,
        now: Timestamp,
    ) -> io::Result<String> {
        let token = codes::token();
        let link = Link {
            digest: codes::digest(LINK, &token),
            name,
            groups: groups.iter().map(ToString::to_string).collect(),
            until: now.plus(LINK_GOOD).as_millis(),
            secret: codes::base32(&codes::random::<{ codes::SECRET_OCTETS }>()),
        };
        let mut kept = self.kept.lock();
        // A link before this one for the same name is good no more.
        let same =
            |known: &Link| known.name.is_some() && known.name.as_deref().map(fold) == link.name.as_deref().map(fold);
        kept.links.retain(|known| known.until > now.as_millis() && !same(known));
        if kept.accounts.len() + kept.links.len() >= ACCOUNTS_MAX {
            return Err(io::Error::other(format!("there are {ACCOUNTS_MAX} accounts and open links; remove some")));
        }
        self.change(&mut kept, |kept| kept.links.push(link))?;
        Ok(token)
    }

    /// What a link opens, if it is still good.
    pub(crate) fn welcome(&self, token: &str, now: Timestamp) -> Option<Welcome> {
        let digest = codes::digest(LINK, token);
        let kept = self.kept.lock();
        let link = kept.links.iter().find(|link| codes::same(&link.digest, &digest) && link.until > now.as_millis())?;
        Some(Welcome {
            name: link.name.clone(),
            secret: link.secret.clone(),
            groups: link.groups.iter().filter_map(|group| group.parse().ok()).collect(),
        })
    }

    /// Makes the account of a link, which is good no more. The password was checked before; this blocks for a while.
    ///
    /// # Errors
    /// What is wrong, by field.
    pub(crate) fn settle(
        &self,
        token: &str,
        name: &str,
        password: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<Account, (&'static str, String)> {
        let welcome = self.welcome(token, now).ok_or(("name", "the link was used, or is too old".to_owned()))?;
        let Some(step) = codes::step_of(&welcome.secret, code, now, 0) else {
            return Err((
                "code",
                "this is not the code of now; look whether the clock of the phone is right".to_owned(),
            ));
        };
        let account = Account {
            name: name.to_owned(),
            verifier: self.passwords.verifier(password),
            secret: welcome.secret,
            groups: welcome.groups.iter().map(ToString::to_string).collect(),
            step,
            created: now.as_millis(),
        };
        let mut kept = self.kept.lock();
        if kept.accounts.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
            return Err(("name", "somebody has that name already".to_owned()));
        }
        let digest = codes::digest(LINK, token);
        // Somebody else may have used it while the verifier was made.
        let good = |link: &Link| codes::same(&link.digest, &digest) && link.until > now.as_millis();
        if !kept.links.iter().any(good) {
            return Err(("name", "the link was used, or is too old".to_owned()));
        }
        let written = self.change(&mut kept, |kept| {
            // With an account the link for the first one is over, too.
            kept.links.retain(|link| !codes::same(&link.digest, &digest) && link.name.is_some());
            kept.accounts.push(account.clone());
        });
        written.map_err(|error| ("name", format!("the account cannot be written: {error}")))?;
        Ok(account)
    }

    /// The account of a name, if password and code are its. Blocks for a while, and as long for a name that there is not.
    ///
    /// # Errors
    /// What was not right.
    pub(crate) fn check(&self, name: &str, password: &str, code: &str, now: Timestamp) -> Result<Account, Mismatch> {
        let known = self.find(name);
        let verifier = known.as_ref().map_or(&self.nobody, |account| &account.verifier);
        let right = self.passwords.verify(verifier, password);
        let known = known.filter(|_| right).ok_or(Mismatch::Password)?;
        let mut kept = self.kept.lock();
        let there = kept.accounts.iter_mut().find(|account| account.name == known.name);
        let account = there.ok_or(Mismatch::Password)?;
        account.step = codes::step_of(&account.secret, code, now, account.step).ok_or(Mismatch::Code)?;
        // Not written: after a restart a code of the last minute is good once more, to whoever has the password too.
        Ok(account.clone())
    }

    pub(crate) fn find(&self, name: &str) -> Option<Account> {
        self.kept.lock().accounts.iter().find(|account| account.name.eq_ignore_ascii_case(name)).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Account> {
        self.kept.lock().accounts.clone()
    }

    /// Names for whom links are open.
    pub(crate) fn expected(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let kept = self.kept.lock();
        let open = kept.links.iter().filter(|link| link.until > now.as_millis());
        open.map(|link| {
            let name = link.name.clone().unwrap_or_else(|| "the first administrator".to_owned());
            (name, Timestamp::from_millis(link.until))
        })
        .collect()
    }

    /// Ends an account, and links that are open for its name.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let mut kept = self.kept.lock();
        self.change(&mut kept, |kept| {
            kept.accounts.retain(|account| !account.name.eq_ignore_ascii_case(name));
            kept.links.retain(|link| link.name.as_deref().map(fold) != Some(fold(name)));
        })
    }

    /// What cannot be written has not happened.
    fn change(&self, kept: &mut Kept, change: impl FnOnce(&mut Kept)) -> io::Result<()> {
        let mut changed = kept.clone();
        change(&mut changed);
        self.save(&changed)?;
        *kept = changed;
        Ok(())
    }

    /// The whole file anew, in place of the one before.
    fn save(&self, kept: &Kept) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(kept)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.file)
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other(
            "another admin centre runs over this folder; end it, or name another folder with --state",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
