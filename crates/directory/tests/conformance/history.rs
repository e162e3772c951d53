//! What was: configuration and recipients at an older revision, and what became of revisions that are not kept.

use std::sync::Arc;

use directory::{Administration, Change, CommitError, EmbeddedSettings, HistoryError, all_recipients, open_embedded};
use envelope::Revision;
use organization::{Object, objects};
use rand::{Rng, SeedableRng};

use crate::backends::Backend;
use crate::world::{address, connector, founded, from_yaml, key_of, mailbox, put, recipient};

/// Everything that can be read at a revision.
async fn contents(directory: &dyn Administration) -> (Revision, Vec<Object>) {
    let organization = directory.snapshot().await.unwrap();
    let recipients = all_recipients(directory).await.unwrap();
    (organization.revision(), objects(organization.draft(), &recipients))
}

pub(crate) async fn every_revision_can_be_read_as_it_was(backend: impl Backend) {
    // More than one transaction of etcd takes: staged as another generation.
    const MANY: usize = 150;
    let directory = backend.directory();
    let mut was = Vec::new();
    let anna = mailbox("anna", "anna@contoso.com", &["a@contoso.com"]);
    let many = (0..MANY).map(|number| connector(&format!("C{number:03}"))).collect();
    let changes = [
        put(from_yaml(crate::world::ORGANIZATION)),
        put(vec![connector("One"), connector("Two")]),
        put(vec![anna.clone()]),
        Change { deletes: vec![key_of(&connector("One"))], ..Change::by(crate::world::author()) },
        put(vec![mailbox("anna", "a@contoso.com", &[]).with_guid(anna.guid())]),
        put(many),
        Change { deletes: vec![key_of(&anna)], ..Change::by(crate::world::author()) },
        put(vec![connector("One")]),
    ];
    for change in changes {
        let revision = directory.commit(change).await.unwrap();
        was.push((revision, contents(&*directory).await));
    }
    let other = backend.directory();
    for (revision, expected) in was.iter().rev() {
        let then = other.at(*revision).await.unwrap();
        assert_eq!(&contents(&*then).await, expected, "at revision {revision}");
    }
    // A recipient is found by the addresses that it had.
    let had = async |at: usize, text: &str| {
        let then = other.at(was[at].0).await.unwrap();
        then.recipient(&address(text)).await.unwrap().map(|found| found.primary_address.to_string())
    };
    assert_eq!(had(1, "anna@contoso.com").await, None);
    assert_eq!(had(2, "anna@contoso.com").await.as_deref(), Some("anna@contoso.com"));
    assert_eq!(had(4, "anna@contoso.com").await, None);
    assert_eq!(had(4, "a@contoso.com").await.as_deref(), Some("a@contoso.com"));
    assert_eq!(had(6, "a@contoso.com").await, None);
    let then = other.at(was[2].0).await.unwrap();
    assert_eq!(then.recipient_by_name(&recipient(&anna).name).await.unwrap(), Some(recipient(&anna)));
    // What was cannot be changed.
    let refused = then.commit(put(vec![connector("Late")])).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    assert_eq!(contents(&*directory).await, was.last().unwrap().1);
}

pub(crate) async fn any_sequence_of_changes_can_be_read_back(backend: impl Backend) {
    const CHANGES: usize = 40;
    let seed: u64 = rand::random();
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let directory = backend.directory();
    founded(&*directory).await;
    // The model: what there was after each change.
    let mut was = Vec::new();
    for _ in 0..CHANGES {
        let (_, there) = contents(&*directory).await;
        let number = random.random_range(0..4);
        let proxy = format!("p{}@contoso.com", random.random_range(0..3));
        let object = match random.random_bool(0.5) {
            true => connector(&format!("C{number}")),
            false => mailbox(&format!("m{number}"), &format!("m{number}@contoso.com"), &[&proxy]),
        };
        let known = there.iter().any(|other| key_of(other) == key_of(&object));
        let change = match known && random.random_bool(0.5) {
            true => Change { deletes: vec![key_of(&object)], ..Change::by(crate::world::author()) },
            false => put(vec![object]),
        };
        // A proxy address that belongs to somebody else is refused, and nothing changes.
        if let Ok(revision) = directory.commit(change).await {
            was.push((revision, contents(&*directory).await));
        }
    }
    assert!(was.len() > CHANGES / 4, "seed {seed}: nearly everything was refused");
    for (revision, expected) in was {
        let then = directory.at(revision).await.unwrap();
        assert_eq!(contents(&*then).await, expected, "seed {seed}, revision {revision}");
    }
}

pub(crate) async fn what_is_not_kept_is_told_with_what_is(backend: impl Backend) {
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let second = directory.commit(put(vec![connector("One")])).await.unwrap();
    let later = Revision(second.0 + 1000);
    match directory.at(later).await.map(drop) {
        Err(HistoryError::NotYet { revision, newest }) => assert_eq!((revision, newest), (later, second)),
        other => panic!("{other:?}"),
    }
    backend.compact().await;
    let error = directory.at(first).await.map(drop).unwrap_err();
    assert_eq!(error, HistoryError::Forgotten { revision: first, oldest: second });
    assert_eq!(
        error.to_string(),
        format!("revision {first} is no longer kept; the oldest that can be read is {second}")
    );
    assert_eq!(contents(&*directory.at(second).await.unwrap()).await.0, second);
    // The change itself is still known, what was before it is not.
    assert_eq!(directory.revisions(10).await.unwrap().len(), 1);
}

pub(crate) async fn changes_are_listed_with_what_they_did(backend: impl Backend) {
    let directory = backend.directory();
    assert_eq!(directory.revisions(10).await.unwrap(), []);
    let first = founded(&*directory).await;
    let second = directory.commit(put(vec![connector("One")])).await.unwrap();
    let of_recipients = directory.commit(put(vec![mailbox("anna", "anna@contoso.com", &[])])).await.unwrap();
    let again = from_yaml(&crate::world::ORGANIZATION.replace("['*']", "['*;5']"));
    let deletes = vec![key_of(&connector("One"))];
    let third = directory.commit(Change { deletes, ..put(again) }).await.unwrap();
    let records = directory.revisions(10).await.unwrap();
    let told: Vec<_> = records.iter().map(|record| (record.revision, record.summary.as_str())).collect();
    let founding =
        "+ sites[\"Berlin\"], + servers[\"mail1\"], + databases[\"DB1\"], + acceptedDomains[\"contoso\"] and 1 more";
    assert_eq!(
        told,
        [
            (third, "~ sendConnectors[\"Internet\"], - sendConnectors[\"One\"]"),
            (of_recipients, "+ recipients[\"anna\"]"),
            (second, "+ sendConnectors[\"One\"]"),
            (first, founding),
        ]
    );
    assert!(records.iter().all(|record| record.author == Some(crate::world::author())));
    assert!(records.windows(2).all(|pair| pair[0].at >= pair[1].at));
    assert_eq!(directory.revisions(2).await.unwrap(), records[..2]);
}

fn embedded(folder: &tempfile::TempDir, history_entries_max: u32) -> Arc<dyn directory::Backend> {
    let settings = EmbeddedSettings::new(folder.path().join("directory"));
    open_embedded(&EmbeddedSettings { history_entries_max, ..settings }, "default").unwrap()
}

#[tokio::test]
async fn an_embedded_history_forgets_the_oldest_first() {
    const ENTRIES_MAX: u32 = 30;
    let folder = tempfile::tempdir().unwrap();
    let directory = embedded(&folder, ENTRIES_MAX);
    founded(&*directory).await;
    let mut was = Vec::new();
    for round in 0..40 {
        let name = format!("C{}", round % 3);
        was.push(directory.commit(put(vec![connector(&name)])).await.unwrap());
    }
    // Each change replaces three entries (object, marker, record), and a tenth more than needed goes at once.
    let first_kept = was.len() - 9;
    for (at, revision) in was.iter().enumerate() {
        match directory.at(*revision).await {
            Ok(then) => assert_eq!(then.snapshot().await.unwrap().revision(), *revision),
            Err(HistoryError::Forgotten { oldest, .. }) => assert!(at < first_kept && oldest > *revision, "{at}"),
            Err(other) => panic!("{other}"),
        }
    }
    let kept = directory.revisions(100).await.unwrap().len();
    assert!((9..=11).contains(&kept), "{kept}");
    let sql = rusqlite::Connection::open(folder.path().join("directory")).unwrap();
    let rows: u32 = sql.query_row("SELECT count(*) FROM past", [], |row| row.get(0)).unwrap();
    assert!(rows <= ENTRIES_MAX, "{rows}");
}

#[tokio::test]
async fn an_embedded_file_without_history_gets_one_from_now_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = founded(&*embedded(&folder, 100)).await;
    let sql = rusqlite::Connection::open(folder.path().join("directory")).unwrap();
    sql.execute_batch("DROP TABLE past; ALTER TABLE store DROP COLUMN oldest; PRAGMA user_version = 1").unwrap();
    let directory = embedded(&folder, 100);
    assert_eq!(contents(&*directory.at(first).await.unwrap()).await.0, first);
    let second = directory.commit(put(vec![connector("One")])).await.unwrap();
    assert_eq!(contents(&*directory.at(first).await.unwrap()).await.0, first);
    assert_eq!(contents(&*directory.at(second).await.unwrap()).await.0, second);
    let before = Revision(first.0 - 1);
    assert!(matches!(directory.at(before).await, Err(HistoryError::Forgotten { oldest, .. }) if oldest == first));
}
