//! Postroad as people deploy it: the containers of `deploy/compose`, with real networks between them that are cut, servers
//! that are killed, stopped and paused, an etcd that goes away and a disk that fills, while mail flows all the time and a
//! Prometheus looks on.
//!
//! After each fault everything that was acknowledged has to arrive, and the counts of every Transport have to balance. One
//! test, because the containers take most of the time: `POSTROAD_COMPOSE=off` leaves it out where there is no Docker,
//! `POSTROAD_COMPOSE=long` gives every fault the time that it has in production.

#![expect(clippy::unwrap_used, reason = "a test")]

mod faults;
mod inside;
mod ledger;
mod load;
mod monitoring;
mod perimeter;
mod stack;

use std::time::Duration;

use load::Load;
use stack::Stack;

/// How long faults last. A server is always paused for [`PAUSE`].
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A cut, a missing etcd.
    pub cut: Duration,
    /// Times that every service is killed, and ended.
    pub turns: usize,
}

/// Longer than every lease and every timeout of the services.
pub const PAUSE: Duration = Duration::from_secs(60);

/// What the environment says; `None` to leave the test out.
fn pace() -> Option<Pace> {
    match std::env::var("POSTROAD_COMPOSE").as_deref() {
        Ok("off") => None,
        Ok("long") => Some(Pace { cut: Duration::from_secs(120), turns: 4 }),
        Ok(other) => panic!("POSTROAD_COMPOSE={other}: it is `off`, `long` or not there"),
        Err(_) => Some(Pace { cut: Duration::from_secs(6), turns: 1 }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_survives_what_happens_to_containers() {
    let Some(pace) = pace() else {
        return eprintln!("left out: POSTROAD_COMPOSE=off");
    };
    let stack = Stack::up().await;
    let cleanup = Cleanup(&stack);
    stack.report("up");
    faults::every_way_works(&stack).await;
    stack.report("demo");
    tokio::join!(
        perimeter::mail_passes_it(&stack),
        inside::the_admin_centre_answers(&stack),
        inside::everybody_has_what_is_needed(&stack),
    );
    // By itself: it waits for etcd for seconds only.
    inside::etcd_hears_each_identity_as_itself(&stack).await;
    // With the retry intervals of production: whoever starts is tried at once.
    let mut load = Load::start(&stack);
    faults::every_container_is_restarted(&stack, &load).await;
    load.stop().await;
    faults::the_counts_balance(&stack).await;
    stack.retry_quickly().await;
    let mut load = Load::start(&stack);
    faults::nothing_happens(&stack, &load).await;
    monitoring::the_files_are_valid(&stack).await;
    monitoring::every_target_is_up(&stack).await;
    monitoring::every_panel_has_data(&stack).await;
    faults::services_end(&stack, &load, pace).await;
    faults::a_site_is_cut_off(&stack, &load, pace).await;
    faults::one_direction_is_cut(&stack, &load, pace).await;
    faults::members_of_etcd_die(&stack, &load).await;
    faults::etcd_dies(&stack, &load, pace).await;
    faults::etcd_is_cut_off(&stack, &load, pace).await;
    faults::a_server_is_paused_and_a_disk_fills_elsewhere(&stack, &load).await;
    load.stop().await;
    faults::the_counts_balance(&stack).await;
    monitoring::nothing_is_wrong(&stack).await;
    drop(cleanup);
    stack.down().await;
}

/// A test that fails shows what the services said last, and leaves no containers behind.
struct Cleanup<'a>(&'a Stack);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up();
        }
    }
}
