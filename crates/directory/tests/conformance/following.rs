//! Following the configuration through everything that can happen to a backend.

use directory::{Change, CommitError, Configuration, Directory, LastGood, Presence, Presences, repair};
use envelope::{Revision, Service};
use futures::StreamExt;
use organization::Object;

use crate::backends::Backend;
use crate::presences::presence;
use crate::world::{
    ORGANIZATION, connector, connectors, founded, from_yaml, mailbox, put, rejection, snapshot, soon, until,
};

const CONFIGURATION: &str = "/postroad/default/v1/config/";

pub(crate) async fn newer_configurations_arrive_even_after_a_compaction(backend: impl Backend) {
    let directory = backend.directory();
    let mut events = backend.directory().watch(Revision(0));
    let first = founded(&*directory).await;
    // The empty organization at revision 0 is not newer than 0.
    assert_eq!(snapshot(&mut events).await.revision(), first);
    // The watcher sleeps while history is forgotten.
    for name in ["A", "B", "C"] {
        directory.commit(put(vec![connector(name)])).await.unwrap();
    }
    backend.compact().await;
    let seen = snapshot(&mut events).await;
    assert_eq!(connectors(&seen), ["A", "B", "C", "Internet"]);
    // It goes on as usual, and one that starts late sees the last only.
    let last = directory.commit(put(vec![connector("D")])).await.unwrap();
    assert_eq!(snapshot(&mut events).await.revision(), last);
    assert_eq!(snapshot(&mut directory.watch(first)).await.revision(), last);
}

pub(crate) async fn a_restart_of_the_backend_is_survived(mut backend: impl Backend) {
    let directory = backend.directory();
    let mut events = backend.directory().watch(Revision(0));
    let first = founded(&*directory).await;
    assert_eq!(snapshot(&mut events).await.revision(), first);
    backend.take_away();
    assert!(directory.snapshot().await.is_err());
    backend.bring_back();
    assert_eq!(until(|| directory.snapshot()).await.revision(), first);
    let second = until(|| directory.commit(put(vec![connector("After")]))).await;
    // Trying again may have committed twice.
    let mut seen = snapshot(&mut events).await;
    while seen.revision() < second {
        seen = snapshot(&mut events).await;
    }
    assert_eq!(connectors(&seen), ["After", "Internet"]);
}

pub(crate) async fn what_is_written_behind_our_back_is_reported_and_not_applied(backend: impl Backend) {
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let mut events = backend.directory().watch(first);
    let keys = backend.keys(CONFIGURATION).await;
    let of = |kind: &str| keys.iter().find(|key| key.contains(kind)).unwrap().clone();

    // No object at all.
    backend.write(&of("/sendConnector/"), "garbage").await;
    assert!(rejection(&mut events).await.contains("not a stored object"));
    assert!(directory.snapshot().await.is_err());
    // An object of a version to come.
    backend.write(&of("/sendConnector/"), r#"{"v":99,"kind":"sendConnector","object":{}}"#).await;
    assert!(rejection(&mut events).await.contains("upgrade this server"));
    // Whoever puts a good one in its place repairs it.
    let second = directory.commit(put(vec![connector("Internet")])).await.unwrap();
    assert_eq!(snapshot(&mut events).await.revision(), second);
    // A good object that makes the organization invalid.
    let server = r#"{"v":1,"kind":"site","object":{"name":"Bern"}}"#;
    let guid = of("/site/").rsplit('/').next().unwrap().to_owned();
    let server = server.replace("\"Bern\"", &format!("\"Bern\",\"guid\":\"{guid}\""));
    backend.write(&of("/site/"), &server).await;
    assert!(rejection(&mut events).await.contains("there is no site Berlin"));
    let third = directory.commit(put(from_yaml(ORGANIZATION))).await.unwrap();
    assert_eq!(snapshot(&mut events).await.revision(), third);
    // Something that is no key of an object.
    let extra = format!("{}/extra", of("/site/"));
    backend.write(&extra, "x").await;
    assert!(rejection(&mut events).await.contains("is no key of an object"));
    // Gone again, what counts is told again: whoever says that something is not applied stops saying so.
    backend.delete(&extra).await;
    assert_eq!(snapshot(&mut events).await.revision(), third);
}

pub(crate) async fn what_a_newer_program_said_is_followed_and_passed_on(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let keys = backend.keys(CONFIGURATION).await;
    let key = keys.iter().find(|key| key.contains("/sendConnector/")).unwrap();
    let newer = backend.read(key).await.replace("\"name\":", "\"speed\":{\"of\":\"light\"},\"name\":");
    backend.write(key, &newer).await;
    assert_eq!(connectors(&directory.snapshot().await.unwrap()), ["Internet"]);
    let Object::SendConnector(mut changed) = connector("Internet") else { panic!("a connector") };
    changed.comment = "changed by an older program".into();
    directory.commit(put(vec![Object::SendConnector(changed)])).await.unwrap();
    let stored = backend.read(key).await;
    assert!(stored.contains("by an older program") && stored.contains("{\"of\":\"light\"}"), "{stored}");
    // In a generation of its own as well.
    let many: Vec<Object> = (0..200).map(|number| connector(&format!("C{number}"))).collect();
    directory.commit(put(many)).await.unwrap();
    let keys = backend.keys(CONFIGURATION).await;
    let identity = key.rsplit('/').next().unwrap();
    let key = keys.iter().find(|key| key.ends_with(identity)).unwrap();
    assert!(backend.read(key).await.contains("{\"of\":\"light\"}"));
}

pub(crate) async fn what_vanishes_behind_our_back_is_reported_and_repaired(backend: impl Backend) {
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let mut events = backend.directory().watch(first);
    let keys = backend.keys(CONFIGURATION).await;
    let connector_key = keys.iter().find(|key| key.contains("/sendConnector/")).unwrap();
    backend.delete(connector_key).await;
    assert!(rejection(&mut events).await.contains("added or deleted by other means"));
    assert!(directory.snapshot().await.is_err());
    let second = directory.commit(put(from_yaml(ORGANIZATION))).await.unwrap();
    let seen = snapshot(&mut events).await;
    assert_eq!((seen.revision(), connectors(&seen)), (second, vec!["Internet".into()]));
}

pub(crate) async fn whatever_is_damaged_is_repaired_by_the_whole_organization(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let before = directory.snapshot().await.unwrap();
    for damage in ["sendConnector", "marker", "everything", "extra", "vanished", "foreign"] {
        let keys = backend.keys(CONFIGURATION).await;
        let of = |kind: &str| keys.iter().find(|key| key.contains(kind)).unwrap().clone();
        match damage {
            "marker" => backend.write(&of("/current"), "garbage").await,
            "everything" => {
                for key in &keys {
                    backend.write(key, "garbage").await;
                }
            }
            "extra" => backend.write(&format!("{}/extra", of("/site/")), "x").await,
            "vanished" => backend.delete(&of("/server/")).await,
            "foreign" => {
                let (known, unknown) = (of("/sendConnector/"), connector("Foreign").guid());
                backend.write(&known.replace(known.rsplit('/').next().unwrap(), &unknown.to_string()), "?").await;
            }
            kind => backend.write(&of(&format!("/{kind}/")), "garbage").await,
        }
        assert!(directory.snapshot().await.is_err(), "{damage}");
        let found = directory.salvage().await.unwrap();
        let plan = || organization::plan(found.objects.clone(), from_yaml(ORGANIZATION));
        repair(&*directory, plan(), found.revision, &crate::world::author(), false)
            .await
            .unwrap_or_else(|error| panic!("{damage}: {error}"));
        let now = directory.snapshot().await.unwrap();
        assert!(now.revision() > found.revision, "{damage}");
        assert_eq!(connectors(&now), connectors(&before), "{damage}");
        // What could be read keeps its identity.
        let kept = now.sites()[0].guid == before.sites()[0].guid;
        assert!(kept || damage == "everything", "{damage}");
        let again = repair(&*directory, plan(), found.revision, &crate::world::author(), false).await;
        assert!(matches!(again, Err(CommitError::Conflict(_))), "{damage}: planned against what is no longer there");
    }
}

pub(crate) async fn a_revision_that_goes_backwards_is_reported(mut backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let last = directory.commit(put(vec![connector("Later")])).await.unwrap();
    let mut events = backend.directory().watch(last);
    let next = tokio::spawn(async move {
        let reason = rejection(&mut events).await;
        (reason, events)
    });
    backend.lose_everything();
    let (reason, mut events) = soon(next).await.unwrap();
    assert!(reason.contains("went back"), "{reason}");
    // Only a configuration beyond the last good one is believed again.
    let mut revision = until(|| directory.commit(put(from_yaml(ORGANIZATION)))).await;
    while revision <= last {
        revision = directory.commit(put(from_yaml(ORGANIZATION))).await.unwrap();
    }
    let seen = soon(async {
        loop {
            if let Some(directory::WatchEvent::Snapshot(seen)) = events.next().await {
                return seen;
            }
        }
    });
    assert_eq!(seen.await.revision(), revision);
}

/// Whether somebody announces himself.
async fn there(directory: &dyn Presences) -> Result<(), String> {
    let presences = directory.presences().await.map_err(|error| error.to_string())?;
    if presences.is_empty() { Err("nobody is there".to_owned()) } else { Ok(()) }
}

pub(crate) async fn a_backup_that_was_restored_counts_again_by_an_epoch(mut backend: impl Backend) {
    let folder = tempfile::tempdir().unwrap();
    let directory = backend.directory();
    founded(&*directory).await;
    let mut newest = Revision(0);
    for number in 0..20 {
        newest = directory.commit(put(vec![connector(&format!("C{number}"))])).await.unwrap();
    }
    let service = LastGood::new(backend.directory(), folder.path().join("last-good"));
    assert_eq!(service.snapshot().await.unwrap().revision(), newest);
    let mut events = service.watch(newest);
    let _announced = service.announce(Presence { applied_revision: newest, ..presence("mail1", Service::Transport) });
    until(|| there(&*directory)).await;

    // What comes back knows less and counts lower, whatever is changed in it: so nothing is.
    backend.lose_everything();
    until(|| there(&*directory)).await;
    for change in [put(from_yaml(ORGANIZATION)), put(vec![mailbox("alice", "alice@contoso.com", &[])])] {
        let refused = until(async || match directory.commit(change.clone()).await {
            Err(CommitError::Unavailable(why)) => Err(why),
            other => Ok(other),
        });
        let refused = refused.await.unwrap_err();
        assert!(
            matches!(&refused, CommitError::Restored(why) if why.contains("mail1 transport works by revision")),
            "{refused}"
        );
    }
    let restored = directory.commit(Change { restored: true, ..put(from_yaml(ORGANIZATION)) }).await.unwrap();
    assert!(restored < newest);
    let reason = rejection(&mut events).await;
    assert!(reason.contains("restored from a backup") && reason.contains("apply --restored"), "{reason}");
    assert_eq!(service.snapshot().await.unwrap().revision(), newest);

    let first = directory.begin_epoch(newest, &crate::world::author()).await.unwrap();
    assert!(first > newest);
    let seen = snapshot(&mut events).await;
    assert_eq!((seen.revision(), connectors(&seen)), (first, vec!["Internet".into()]));
    let next = directory.commit(put(vec![connector("Later")])).await.unwrap();
    assert_eq!(snapshot(&mut events).await.revision(), next);
    assert_eq!(service.snapshot().await.unwrap().revision(), next);
    let told = directory.revisions(10).await.unwrap();
    assert_eq!(told[1].summary, "restored from a backup: epoch 1");
    // Again, although nothing was lost: the numbers grow.
    assert!(directory.begin_epoch(Revision(0), &crate::world::author()).await.unwrap() > next);
}
