//! Tables of the documentation, and the hysteresis against a model that looks back over everything that was measured.

use std::time::Duration;

use envelope::{ByteSize, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use topology::{BackPressureSettings, Thresholds};

use crate::{Action, Level, Measure, Measurements, Monitor, Resource, Share, Transition, thresholds};

const TB: u64 = 1024 * 1024;

fn share(used: u64, of: u64) -> Share {
    Share { used: ByteSize::mib(used), of: ByteSize::mib(of) }
}

fn queued(submission_queue: u64) -> Measurements {
    Measurements { submission_queue, ..Measurements::default() }
}

fn level(monitor: &Monitor, resource: Resource) -> Level {
    monitor.readings().iter().find(|reading| reading.resource == resource).unwrap().level
}

fn texts(transitions: &[Transition]) -> Vec<String> {
    transitions.iter().map(ToString::to_string).collect()
}

#[test]
fn a_level_between_its_thresholds_stays() {
    // BP-02
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    for (messages, expected) in [
        (9998, Level::Low),
        (10000, Level::Medium),
        (15001, Level::High),
        (10001, Level::High),
        (9999, Level::Medium),
        (2001, Level::Medium),
        (1999, Level::Low),
    ] {
        monitor.poll(&queued(messages), &settings);
        assert_eq!(level(&monitor, Resource::SubmissionQueue), expected, "{messages}");
    }
}

#[test]
fn equality_passes_no_threshold_and_two_steps_are_two_transitions() {
    // BP-03
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    assert_eq!(monitor.poll(&queued(9999), &settings), []);
    let rise = texts(&monitor.poll(&queued(15001), &settings));
    let expected = [
        "SubmissionQueue from Low to Medium: 15001 messages, above 9999",
        "SubmissionQueue from Medium to High: 15001 messages, above 15000",
    ];
    assert_eq!(rise, expected);
    assert_eq!(monitor.poll(&queued(10000), &settings), []);
    let fall = texts(&monitor.poll(&queued(0), &settings));
    let expected = [
        "SubmissionQueue from High to Medium: 0 messages, below 10000",
        "SubmissionQueue from Medium to Low: 0 messages, below 2000",
    ];
    assert_eq!(fall, expected);
}

#[test]
fn percentages_are_compared_exactly() {
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    let mut look = |used| {
        let found = Measurements { database_used_space: Some(share(used, TB)), ..queued(0) };
        texts(&monitor.poll(&found, &settings))
    };
    // 96 % of 1 TB are 1006632.96 MB.
    assert_eq!(look(1_006_632), [""; 0]);
    assert_eq!(look(1_006_633), ["DatabaseUsedSpace from Low to Medium: 96.0 %, above 96"]);
    assert_eq!(look(1_040_000), ["DatabaseUsedSpace from Medium to High: 99.1 %, above 99"]);
    assert_eq!(look(985_662), ["DatabaseUsedSpace from High to Medium: 94.0 %, below 97",]);
    assert_eq!(look(985_661), ["DatabaseUsedSpace from Medium to Low: 93.9 %, below 94"]);
}

#[test]
fn small_disks_and_large_memories_have_lower_thresholds() {
    // BP-05, BP-06. In MB: the size, and MediumToHigh.
    let settings = BackPressureSettings::default();
    let high =
        |resource, of, settings: &BackPressureSettings| thresholds(resource, settings, Measure::Share(share(0, of)));
    for (of, expected) in [
        (TB, (96, 99, 97, 94)),
        (50_000, (96, 99, 97, 94)),
        (49_999, (95, 98, 96, 93)),
        (10_000, (92, 95, 93, 90)),
        (5_000, (87, 90, 88, 85)),
        (500, (87, 90, 88, 85)),
        (0, (0, 0, 0, 0)),
    ] {
        let (low, top, back, down) = expected;
        assert_eq!(Ok(high(Resource::DatabaseUsedSpace, of, &settings)), Thresholds::new(low, top, back, down), "{of}");
    }
    for (of, expected) in [(24 * 1024, 75), (TB, 75), (TB * 4 / 3 + 1, 74), (2 * TB, 50)] {
        assert_eq!(high(Resource::PrivateBytes, of, &settings).medium_to_high(), expected, "{of}");
    }
    // What an administrator says stands, whatever the size.
    let given = Thresholds::new(80, 90, 85, 70).unwrap();
    let settings = BackPressureSettings { database_used_space: Some(given), ..settings };
    assert_eq!(high(Resource::DatabaseUsedSpace, 500, &settings), given);
}

#[test]
fn a_disk_of_no_size_is_full_and_one_that_cannot_be_measured_stays_as_it_was() {
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    let found = Measurements { database_used_space: Some(share(0, 0)), ..queued(0) };
    monitor.poll(&found, &settings);
    assert_eq!(level(&monitor, Resource::DatabaseUsedSpace), Level::High);
    assert_eq!(monitor.poll(&queued(0), &settings), []);
    assert_eq!(level(&monitor, Resource::DatabaseUsedSpace), Level::High);
}

#[test]
fn each_resource_asks_for_what_the_table_says() {
    // BP-11, BP-17
    use Action::{Dehydrate, PauseBootScan, RefuseClients, RefuseMailboxes, RefuseServers};
    let everything = [RefuseClients, RefuseServers, RefuseMailboxes, PauseBootScan, Dehydrate];
    let cases: [(Resource, u64, &[Action]); 8] = [
        (Resource::DatabaseUsedSpace, 97, &[RefuseClients]),
        (Resource::DatabaseUsedSpace, 100, &[RefuseClients, RefuseServers, RefuseMailboxes]),
        (Resource::PrivateBytes, 73, &[RefuseClients, PauseBootScan, Dehydrate]),
        (Resource::PrivateBytes, 76, &everything),
        (Resource::SystemMemory, 90, &[Dehydrate]),
        (Resource::SystemMemory, 100, &[Dehydrate]),
        (Resource::SubmissionQueue, 10_000, &[]),
        (Resource::SubmissionQueue, 15_001, &everything),
    ];
    for (resource, measure, expected) in cases {
        let percent = |of| (resource == of).then(|| share(measure * TB, 100 * TB));
        // BP-06 would lower the thresholds of a memory this large.
        let of_memory = (resource == Resource::PrivateBytes).then(|| share(measure * 10, 1000));
        let found = Measurements {
            database_used_space: percent(Resource::DatabaseUsedSpace),
            private_bytes: of_memory,
            system_memory: percent(Resource::SystemMemory),
            submission_queue: if resource == Resource::SubmissionQueue { measure } else { 0 },
        };
        let mut monitor = Monitor::default();
        monitor.poll(&found, &BackPressureSettings::default());
        assert_eq!(monitor.actions().iter().collect::<Vec<_>>(), expected, "{resource} {measure}");
        assert!(expected.iter().all(|action| monitor.actions().because(*action) == Some(resource)));
    }
    let both =
        Measurements { database_used_space: Some(share(97, 100)), private_bytes: Some(share(74, 100)), ..queued(0) };
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    let settings = BackPressureSettings { database_used_space: Thresholds::new(96, 99, 97, 94).ok(), ..settings };
    monitor.poll(&both, &settings);
    assert_eq!(monitor.actions().iter().collect::<Vec<_>>(), [RefuseClients, PauseBootScan, Dehydrate]);
}

#[test]
fn the_tarpit_deepens_while_there_is_pressure_and_drains_gradually() {
    // BP-08, BP-09
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    let mut delays = |messages, looks: usize| -> Vec<u64> {
        let mut look = || {
            monitor.poll(&queued(messages), &settings);
            monitor.actions().tarpit.as_secs()
        };
        (0..looks).map(|_| look()).collect()
    };
    assert_eq!(delays(0, 2), [0, 0]);
    assert_eq!(delays(10_000, 12), [10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 55, 55]);
    assert_eq!(delays(0, 12), [50, 45, 40, 35, 30, 25, 20, 15, 10, 5, 0, 0]);
    assert_eq!(delays(10_000, 2), [10, 15]);
}

#[test]
fn when_delaying_was_of_no_use_for_the_whole_history_mail_is_refused_until_low() {
    // BP-10
    let (mut monitor, settings) = (Monitor::default(), BackPressureSettings::default());
    let mut look = |messages| {
        monitor.poll(&queued(messages), &settings);
        (monitor.actions().because(Action::RefuseClients).is_some(), monitor.actions().tarpit)
    };
    for poll in 1..300 {
        assert!(!look(10_000).0, "{poll}");
    }
    assert_eq!(look(10_000), (true, Duration::ZERO), "the 300th look in ten minutes");
    assert_eq!(look(2_000), (true, Duration::ZERO), "still Medium");
    assert_eq!(look(1_999), (false, Duration::ZERO));
    assert_eq!(look(10_000), (false, Duration::from_secs(10)), "the history begins anew");
}

/// BP-02 told without a state: High from a measure above `MediumToHigh` until one below `HighToMedium`; the same for Medium,
/// which High implies.
fn model(history: &[u64], thresholds: Thresholds) -> Level {
    let entered = |above: u32, below: u32| {
        (0..history.len()).any(|at| {
            history[at] > u64::from(above) && history[at..].iter().all(|measure| *measure >= u64::from(below))
        })
    };
    if entered(thresholds.medium_to_high(), thresholds.high_to_medium()) {
        Level::High
    } else if entered(thresholds.low_to_medium(), thresholds.medium_to_low()) {
        Level::Medium
    } else {
        Level::Low
    }
}

proptest! {
    #[test]
    fn levels_are_those_of_the_whole_history(
        mut at in vec(0..20_u32, 4), measures in vec(0..22_u64, 0..60), depth in 0..8_u32,
    ) {
        at.sort_unstable();
        let given = Thresholds::new(at[1], at[3], at[2], at[0]).unwrap();
        let settings = BackPressureSettings {
            submission_queue: Some(given),
            submission_queue_history_depth: depth,
            ..BackPressureSettings::default()
        };
        let (mut monitor, mut levels) = (Monitor::default(), Vec::new());
        for end in 1..=measures.len() {
            let before = level(&monitor, Resource::SubmissionQueue);
            let steps = monitor.poll(&queued(measures[end - 1]), &settings);
            let now = level(&monitor, Resource::SubmissionQueue);
            prop_assert_eq!(now, model(&measures[..end], given));
            // The steps lead from the level before to the level now.
            prop_assert_eq!(steps.first().map_or(now, |step| step.from), if steps.is_empty() { now } else { before });
            prop_assert_eq!(steps.last().map_or(before, |step| step.to), now);
            levels.push(now);
            let pressed = levels.iter().rev().take_while(|level| **level != Level::Low).count();
            let over = pressed > 0 && pressed >= depth as usize;
            let refused = monitor.actions().because(Action::RefuseClients).is_some();
            prop_assert_eq!(refused, over || now == Level::High);
            prop_assert!(monitor.actions().tarpit <= settings.smtp_max_throttling_delay_interval.0);
        }
    }

    #[test]
    fn no_setting_of_the_tarpit_makes_it_longer_than_its_maximum(
        spans in vec(0..100_u64, 3), measures in vec(0..20_000_u64, 0..40),
    ) {
        let settings = BackPressureSettings {
            smtp_start_throttling_delay_interval: Span::seconds(spans[0]),
            smtp_step_throttling_delay_interval: Span::seconds(spans[1]),
            smtp_max_throttling_delay_interval: Span::seconds(spans[2]),
            ..BackPressureSettings::default()
        };
        let mut monitor = Monitor::default();
        for messages in measures {
            monitor.poll(&queued(messages), &settings);
            prop_assert!(monitor.actions().tarpit.as_secs() <= spans[2]);
        }
    }
}

#[test]
fn what_is_given_back_of_a_disk_is_just_enough() {
    for (used, of, percent, expected) in
        [(97, 100, 96, 1), (96, 100, 96, 0), (10, 100, 96, 0), (0, 0, 96, 0), (244, 250, 97, 2), (100, 100, 0, 100)]
    {
        let share = Share { used: ByteSize::bytes(used), of: ByteSize::bytes(of) };
        assert_eq!(share.excess(percent), ByteSize::bytes(expected), "{share:?}");
        let after = Share { used: ByteSize::bytes(used - expected), of: share.of };
        assert!(of == 0 || !Measure::Share(after).is_above(percent), "{after:?}");
        assert_eq!(Share::left(ByteSize::bytes(of - used), share.of), share);
    }
}
