//! One suite for every backend: what [`directory::Directory`] promises, on a real etcd and on a real file.
//!
//! etcd must be installed (Debian: `apt-get install etcd`); a missing one fails the suite, it does not skip it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

mod backends;
mod changes;
mod cluster;
mod configuration;
/// Of `testkit`, by its file: `testkit` itself stands on this crate.
#[path = "../../../testkit/src/daemon.rs"]
mod daemon;
/// The starter of `testkit`, in the same way.
#[expect(unreachable_pub, reason = "it is public in testkit")]
#[path = "../../../testkit/src/etcd.rs"]
mod etcd_server;
mod following;
mod frozen;
mod history;
mod last_good;
mod leases;
mod presences;
mod recipients;
mod roles;
mod tls;
mod world;

use backends::{Embedded, Etcd};

/// Runs each function for both backends.
macro_rules! conformance {
    ($($module:ident :: $test:ident),+ $(,)?) => {
        mod etcd { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() { super::$module::$test(super::Etcd::start()).await }
        )+ }
        mod embedded { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() { super::$module::$test(super::Embedded::start()).await }
        )+ }
    };
}

conformance! {
    configuration::an_empty_directory_is_an_organization,
    configuration::a_change_is_made_as_a_whole_or_not_at_all,
    configuration::preconditions_hold_or_nothing_is_changed,
    configuration::names_are_unique_without_regard_to_case,
    configuration::of_two_writers_with_one_precondition_one_wins,
    configuration::writers_without_preconditions_both_get_through,
    configuration::a_change_of_any_size_is_seen_as_a_whole,
    configuration::changes_that_are_gathered_are_changes_like_any_other,
    configuration::a_plan_is_applied_and_then_there_is_nothing_to_do,
    following::newer_configurations_arrive_even_after_a_compaction,
    following::a_restart_of_the_backend_is_survived,
    following::what_is_written_behind_our_back_is_reported_and_not_applied,
    following::what_a_newer_program_said_is_followed_and_passed_on,
    following::what_vanishes_behind_our_back_is_reported_and_repaired,
    following::whatever_is_damaged_is_repaired_by_the_whole_organization,
    following::a_revision_that_goes_backwards_is_reported,
    following::a_backup_that_was_restored_counts_again_by_an_epoch,
    changes::what_came_and_went_is_what_reading_everything_says,
    changes::what_changed_is_told_as_long_as_history_is_the_same,
    history::every_revision_can_be_read_as_it_was,
    history::any_sequence_of_changes_can_be_read_back,
    history::what_is_not_kept_is_told_with_what_is,
    history::changes_are_listed_with_what_they_did,
    recipients::recipients_are_found_by_any_address_and_by_name,
    recipients::addresses_and_names_belong_to_one_recipient,
    recipients::an_address_moves_between_recipients_in_one_change,
    recipients::wrong_recipients_are_refused,
    recipients::recipients_are_changed_only_if_unchanged,
    recipients::damaged_recipients_are_errors_not_unknown,
    presences::services_come_change_and_go,
    presences::of_several_processes_of_a_service_the_last_is_announced_and_the_next_when_it_goes,
    presences::a_presence_outlives_its_process_only_by_its_lease,
    presences::presences_come_back_with_the_backend,
    presences::a_revocation_reaches_everybody_and_outlives_the_directory,
    last_good::a_server_goes_on_without_the_directory,
    last_good::what_is_remembered_is_what_the_directory_says,
}
