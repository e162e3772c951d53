//! Power loss at every write and sync, and at random ones: nothing acknowledged is lost (peers E2 25, 26).

use proptest::prelude::*;
use queue::disk::lossy::{Fault, Loss, LossyDisk};
use queue::{CommitError, Health, Spool};

use crate::common::*;
use crate::ledger::{Action, Ledger, run};

/// A run that meets everything: several segments, one content larger than a segment, large files, changes, removals,
/// segments dropped and emptied.
fn script() -> Vec<Action> {
    let mut actions = vec![
        Action::Store { number: 1, length: 4000 },
        Action::Store { number: 2, length: 0 },
        Action::Update { number: 1 },
        Action::UpdateDurably { number: 1 },
        Action::Store { number: 3, length: 300_000 },
        Action::Store { number: 4, length: 100_000 },
        Action::Remove { number: 2 },
        Action::Repeat { number: 2 },
        Action::Replace { number: 3, by: 5, length: 280_000 },
        Action::Update { number: 5 },
        Action::Note { number: 1, set: true },
        Action::Note { number: 2, set: true },
        Action::Flush,
    ];
    for number in 10..40 {
        actions.push(Action::Store { number, length: 12_000 });
        if number % 7 != 0 {
            actions.push(Action::Remove { number });
        } else {
            actions.push(Action::Update { number });
        }
    }
    actions.push(Action::Note { number: 2, set: false });
    actions.extend([Action::Update { number: 1 }, Action::RemoveDurably { number: 5 }, Action::Flush]);
    actions.extend((40..60).map(|number| Action::Store { number, length: 9_000 }));
    actions
}

/// Opens, runs the script up to the fault, and then crashes once for each loss, checking what is there after each of them
/// and before anything else is done: what a start has found is promised from then on. At last a proper restart.
async fn crash_at(change: u64, fault: Fault, losses: &[Loss], prepare: impl Fn(&LossyDisk)) -> Result<bool, String> {
    let disk = LossyDisk::new();
    prepare(&disk);
    disk.fail_at(change, fault);
    let mut ledger = Ledger::default();
    if let Ok((spool, _)) = try_open(&disk) {
        run_through(&spool, &mut ledger, &script()).await?;
        if !disk.is_off() {
            spool.close().await;
        }
    }
    let reached = disk.counters().changes > change;
    for loss in losses {
        disk.crash(*loss);
        let (spool, recovery) = open(&disk);
        let report = recovery.report();
        if report.damaged + report.missing_segments + report.missing_contents > 0 {
            return Err(format!("{loss:?}: a crash is taken for damage: {report:?}"));
        }
        ledger.check(&spool, recovery).await.map_err(|error| format!("{loss:?}: {error}"))?;
    }
    disk.crash(Loss::Nothing);
    let (spool, recovery) = open(&disk);
    ledger.check(&spool, recovery).await?;
    let more = [Action::Store { number: 1000, length: 50 }, Action::UpdateDurably { number: 1 }];
    run(&spool, &mut ledger, &more).await.map_err(|error| error.to_string())?;
    spool.close().await;
    let (spool, recovery) = open(&disk);
    ledger.check(&spool, recovery).await?;
    spool.close().await;
    Ok(reached)
}

/// Goes on after a refusal for want of space, and ends at anything worse, which must be told.
async fn run_through(spool: &Spool, ledger: &mut Ledger, actions: &[Action]) -> Result<(), String> {
    for action in actions {
        match ledger.act(spool, *action).await {
            Ok(()) | Err(CommitError::Full) => {}
            Err(CommitError::Failed(_)) if matches!(spool.health(), Health::Failed(_)) => return Ok(()),
            Err(error) => return Err(format!("{action:?}: {error}")),
        }
    }
    Ok(())
}

async fn crash_everywhere(fault: Fault, losses: impl Fn(u64) -> Vec<Loss>) {
    for change in 0.. {
        match crash_at(change, fault, &losses(change), |_| {}).await {
            Ok(true) => {}
            Ok(false) => {
                assert!(change > 150, "the script makes {change} changes only");
                return;
            }
            Err(error) => panic!("{fault:?} at change {change}: {error}"),
        }
    }
}

#[tokio::test]
async fn power_loss_at_every_change_that_loses_all_that_is_not_synced() {
    crash_everywhere(Fault::PowerLoss, |_| vec![Loss::Everything]).await;
}

#[tokio::test]
async fn power_loss_at_every_change_that_tears_and_reorders() {
    for seed in 0..2 {
        crash_everywhere(Fault::PowerLoss, |change| vec![Loss::Some(change * 31 + seed)]).await;
    }
}

#[tokio::test]
async fn death_of_the_process_at_every_change() {
    crash_everywhere(Fault::PowerLoss, |_| vec![Loss::Nothing]).await;
}

/// What a start reads after the process died was perhaps never synced. Whatever is believed then is there after power loss.
#[tokio::test]
async fn what_is_read_after_a_death_is_there_after_power_loss() {
    crash_everywhere(Fault::PowerLoss, |_| vec![Loss::Nothing, Loss::Everything]).await;
    crash_everywhere(Fault::PowerLoss, |change| vec![Loss::Nothing, Loss::Nothing, Loss::Some(change)]).await;
}

/// After a sync that failed everything can be read, and no sync of the same pages makes it durable.
#[tokio::test]
async fn what_is_read_after_an_error_is_there_after_power_loss() {
    for fault in [Fault::InputOutput, Fault::NoSpace] {
        crash_everywhere(fault, |_| vec![Loss::Nothing, Loss::Everything]).await;
    }
}

/// The negative control: where syncs are lies, these tests notice.
#[tokio::test]
async fn without_syncs_the_same_test_finds_loss() {
    let mut found = 0;
    for change in (20..150).step_by(10) {
        let result = crash_at(change, Fault::PowerLoss, &[Loss::Everything], LossyDisk::ignore_syncs).await;
        found += usize::from(result.is_err_and(|error| error.contains("lost") || error.contains("note")));
    }
    assert!(found > 5, "{found}");
}

#[tokio::test]
async fn an_error_at_every_change_loses_nothing_and_is_told() {
    for fault in [Fault::InputOutput, Fault::NoSpace] {
        crash_everywhere(fault, |_| vec![Loss::Everything]).await;
        crash_everywhere(fault, |change| vec![Loss::Some(change)]).await;
    }
}

fn action() -> impl Strategy<Value = Action> {
    let (number, length) =
        (0..30u64, prop_oneof![8 => 0..9_000usize, 1 => 60_000..80_000usize, 1 => 262_145..300_000usize]);
    prop_oneof![
        6 => (number.clone(), length.clone()).prop_map(|(number, length)| Action::Store { number, length }),
        2 => number.clone().prop_map(|number| Action::Repeat { number }),
        2 => number.clone().prop_map(|number| Action::Update { number }),
        1 => number.clone().prop_map(|number| Action::UpdateDurably { number }),
        4 => number.clone().prop_map(|number| Action::Remove { number }),
        1 => number.clone().prop_map(|number| Action::RemoveDurably { number }),
        1 => (number, 100..130u64, length).prop_map(|(number, by, length)| Action::Replace { number, by, length }),
        1 => (0..4u64, any::<bool>()).prop_map(|(number, set)| Action::Note { number, set }),
        1 => Just(Action::Flush),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![4 => Just(Fault::PowerLoss), 1 => Just(Fault::InputOutput), 1 => Just(Fault::NoSpace)]
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![2 => any::<u64>().prop_map(Loss::Some), 1 => Just(Loss::Nothing), 1 => Just(Loss::Everything)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Random runs, each ended by a fault at a random change and a crash, some after a start that met one itself, on one disk
    /// that lives on.
    #[test]
    fn random_runs_with_crashes_keep_every_promise(
        rounds in prop::collection::vec(
            (prop::collection::vec(action(), 0..40), fault(), 0..120u64, loss(), prop::option::of((fault(), 0..12u64))),
            1..6,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let result: Result<(), String> = runtime.block_on(async {
            let (disk, mut ledger) = (LossyDisk::new(), Ledger::default());
            for (actions, fault, after, loss, early) in rounds {
                if let Some((fault, after)) = early {
                    disk.fail_at(disk.counters().changes + after, fault);
                    drop(try_open(&disk));
                    disk.crash(loss);
                }
                let (spool, recovery) = open(&disk);
                let report = recovery.report();
                if report.damaged + report.missing_segments + report.missing_contents > 0 {
                    return Err(format!("a crash is taken for damage: {report:?}"));
                }
                ledger.check(&spool, recovery).await?;
                disk.fail_at(disk.counters().changes + after, fault);
                let _ = run(&spool, &mut ledger, &actions).await;
                disk.crash(loss);
            }
            let (spool, recovery) = open(&disk);
            ledger.check(&spool, recovery).await
        });
        prop_assert_eq!(result, Ok(()));
    }
}
