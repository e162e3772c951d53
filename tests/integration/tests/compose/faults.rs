//! The faults, one after another, each with what mail has to do meanwhile and after it.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::time::{Duration, Instant, SystemTime};

use envelope::ByteSize;
use tokio::time::sleep_until;

use crate::load::Load;
use crate::stack::{ETCD, SERVERS, SERVICES, SMALL_DISK_USER, Server, Stack};
use crate::{PAUSE, Pace, monitoring};

/// More than the queue's log takes: content that becomes a file of its own.
const LARGE: ByteSize = ByteSize::mib(1);
/// Almost the most that the log takes.
const INLINE: ByteSize = ByteSize::kib(250);
/// Messages that are acknowledged while a service is away: the others do its work.
const MEANWHILE: usize = 10;
/// A service drains within this time (docs/containers.md).
const DRAIN_MAX: Duration = Duration::from_secs(25);

const BERLIN2: Server = SERVERS[1];
const OSLO1: Server = SERVERS[2];

/// The eleven ways of the demo, on these containers.
pub(crate) async fn every_way_works(stack: &Stack) {
    let said = stack.try_docker(&["exec", "@tools", "postroad", "lab", "demo", "--running"]).await;
    let text = String::from_utf8_lossy(&said.stdout);
    let complete = said.status.success() && text.contains("11 of 11 messages ended as they should.");
    assert!(complete, "{text}{}", String::from_utf8_lossy(&said.stderr));
    // The last commands of the README's tour.
    let status = stack.compose(&["status"]).await;
    let text = String::from_utf8_lossy(&status.stdout);
    let ready = text.lines().filter(|line| line.split_whitespace().nth(2) == Some("ready")).count();
    assert!(status.status.success() && ready == SERVERS.len() * SERVICES.len(), "{text}");
    stack.docker(&["exec", "@tools", "postroad", "queue"]).await; // every Transport answers an administrator
    let id = stack.tools("grep -h -o '\"messageId\":\"[^\"]*' internet/deliveries/deliveries.jsonl | head -n 1").await;
    let id = id.trim().rsplit('"').next().expect("a Message-ID").to_owned();
    let trace = stack.docker(&["exec", "@tools", "postroad", "trace", &id]).await;
    assert!(trace.contains("categorize") && trace.contains("send"), "{id}: {trace}");
}

/// Lets mail flow for as long as a fault shall last.
async fn last(time: Duration) {
    sleep_until(tokio::time::Instant::now() + time).await;
}

/// A fault, what it does meanwhile, and the settlement after it.
async fn fault(stack: &Stack, load: &Load, name: &str, doing: impl Future<Output = ()>) {
    let (since, refused) = (SystemTime::now(), load.refused());
    doing.await;
    let healed = Instant::now();
    let balance = load.ledger.settle(stack, since).await;
    let missing = balance.missing.len();
    stack.report(&format!(
        "{name}: {} acknowledged in all, {} attempts refused, {} duplicates and {} of clients that sent again, slowest \
         {:.1} s, all there {:.1} s after it ({missing} under way)",
        balance.acknowledged,
        load.refused() - refused,
        balance.duplicates,
        balance.duplicates_of_clients,
        balance.slowest.as_secs_f64(),
        healed.elapsed().as_secs_f64(),
    ));
}

/// The measure for what follows.
pub(crate) async fn nothing_happens(stack: &Stack, load: &Load) {
    fault(stack, load, "nothing", load.acknowledge_more(2 * MEANWHILE)).await;
}

/// Every service is killed once, as in a power loss, and stopped once, as an administrator does it, each time on another
/// server; they come back after a while. Two are away at a time, of which one was killed and the other stopped.
pub(crate) async fn services_end(stack: &Stack, load: &Load, pace: Pace) {
    let among = |at: usize| (SERVERS[at % SERVERS.len()], SERVICES[at % SERVICES.len()]);
    for turn in 0..pace.turns {
        for at in 0..SERVICES.len() {
            let (killed, stopped) = ((among(at + turn).0, among(at).1), (among(at + turn + 1).0, among(at + 2).1));
            let container = |(server, service): (Server, &str)| format!("@{}-{service}", server.name);
            let what = |(server, service): (Server, &str)| format!("{service} of {}", server.name);
            fault(stack, load, &format!("{} killed, {} stopped", what(killed), what(stopped)), async {
                stack.docker(&["kill", &container(killed)]).await;
                stop(stack, &container(stopped)).await;
                load.acknowledge_more(MEANWHILE).await;
                stack.docker(&["start", &container(killed), &container(stopped)]).await;
                for (server, service) in [killed, stopped] {
                    stack.wait_until_ready(server, service).await;
                }
            })
            .await;
        }
    }
}

/// SIGTERM: the time that the service took to drain.
async fn stop(stack: &Stack, container: &str) -> Duration {
    let started = Instant::now();
    stack.docker(&["stop", "--time", "30", container]).await;
    let took = started.elapsed();
    let code = stack.docker(&["inspect", "--format", "{{.State.ExitCode}}", container]).await;
    assert_eq!(code.trim(), "0", "{container} did not drain: it ended after {took:?}");
    assert!(took < DRAIN_MAX, "{container} took {took:?} to drain");
    took
}

/// Oslo alone: Berlin goes on within and to the internet, Oslo goes on within.
pub(crate) async fn a_site_is_cut_off(stack: &Stack, load: &Load, pace: Pace) {
    fault(stack, load, "Oslo cut off", async {
        stack.link(&["cut", "oslo"]).await;
        load.acknowledge_more(MEANWHILE).await;
        last(pace.cut).await;
        stack.link(&["mend"]).await;
    })
    .await;
}

/// What Berlin says reaches Oslo no more, and Oslo's words still reach Berlin.
pub(crate) async fn one_direction_is_cut(stack: &Stack, load: &Load, pace: Pace) {
    fault(stack, load, "Berlin to Oslo cut", async {
        stack.link(&["cut", "berlin", "oslo"]).await;
        load.acknowledge_more(MEANWHILE).await;
        last(pace.cut).await;
        stack.link(&["mend"]).await;
    })
    .await;
}

/// Any one of the three: the organization is changed meanwhile, and nobody outside notices.
pub(crate) async fn members_of_etcd_die(stack: &Stack, load: &Load) {
    for member in ETCD {
        fault(stack, load, &format!("{member} killed"), async {
            let container = format!("@{member}");
            stack.docker(&["kill", &container]).await;
            let (refused, before) = (load.refused(), stack.revision().await);
            stack.change().await;
            stack.everybody_is_current().await;
            assert!(stack.revision().await > before, "{member} is away, and nothing was changed");
            load.acknowledge_more(MEANWHILE).await;
            assert_eq!(load.refused(), refused, "{member} is away, and somebody was refused");
            stack.docker(&["start", &container]).await;
        })
        .await;
    }
}

/// Everybody goes on by the last good configuration.
pub(crate) async fn etcd_dies(stack: &Stack, load: &Load, pace: Pace) {
    fault(stack, load, "etcd killed", async {
        let members = ETCD.map(|member| format!("@{member}"));
        let all = async |verb: &str| {
            let words: Vec<&str> = std::iter::once(verb).chain(members.iter().map(String::as_str)).collect();
            stack.docker(&words).await;
        };
        all("kill").await;
        load.acknowledge_more(MEANWHILE).await;
        last(pace.cut).await;
        load.ledger.settle(stack, SystemTime::now()).await; // not one message waits for etcd
        all("start").await;
    })
    .await;
}

/// The same when nobody says that etcd is gone: what the services ask is not answered.
pub(crate) async fn etcd_is_cut_off(stack: &Stack, load: &Load, pace: Pace) {
    fault(stack, load, "etcd cut off", async {
        for site in ["berlin", "oslo"] {
            stack.link(&["cut", site, "management"]).await;
        }
        load.acknowledge_more(MEANWHILE).await;
        last(pace.cut).await;
        load.ledger.settle(stack, SystemTime::now()).await;
        stack.link(&["mend"]).await;
    })
    .await;
}

/// All services of a server stand still, with their connections open, and go on as if nothing had been. While they do, which is a
/// long minute, the other site has a trouble of its own.
pub(crate) async fn a_server_is_paused_and_a_disk_fills_elsewhere(stack: &Stack, load: &Load) {
    let containers = SERVICES.map(|service| format!("@{}-{service}", OSLO1.name));
    fault(stack, load, "OSLO1 paused, disk of BERLIN2's queue full", async {
        let paused = tokio::time::Instant::now();
        for container in &containers {
            stand_still(stack, container, true).await;
        }
        load.acknowledge_more(MEANWHILE).await;
        let told = monitoring::alerts(stack, "PostroadTargetDown", OSLO1, SERVICES.len());
        tokio::join!(told, a_disk_fills(stack, load));
        sleep_until(paused + PAUSE).await;
        for container in &containers {
            stand_still(stack, container, false).await;
        }
    })
    .await;
}

/// Pauses a container or lets it go on. The first version of control groups may not get all threads of a busy process to
/// stand still, and the engine gives up at once: it is asked again until it has.
async fn stand_still(stack: &Stack, container: &str, paused: bool) {
    let verb = if paused { "pause" } else { "unpause" };
    testkit::until(&format!("{container} to {verb}"), async || {
        stack.try_docker(&[verb, container]).await;
        let state = stack.docker(&["inspect", "--format", "{{.State.Paused}}", container]).await;
        (state.trim() == paused.to_string()).then_some(())
    })
    .await;
}

/// The disk of BERLIN2's queue is full: its Transport says so within seconds and takes nothing more; the front end of the same
/// server takes mail as before, small and large, and gives it to the other. It goes on by itself when there is room.
async fn a_disk_fills(stack: &Stack, load: &Load) {
    let as_its_user = ["exec", "--user", SMALL_DISK_USER, "@tools", "sh", "-c"];
    let fill = "dd if=/dev/zero of=/volumes/1/ballast bs=1M status=none 2>/dev/null || true";
    stack.docker(&[&as_its_user[..], &[fill]].concat()).await;
    testkit::until("BERLIN2's Transport says that its disk is full", async || {
        let reason = stack.ready(BERLIN2, "transport").await.err()?;
        reason.contains("DatabaseUsedSpace").then_some(())
    })
    .await;
    monitoring::alerts(stack, "PostroadBackPressure", BERLIN2, 1).await;
    let client = load.client(stack, 0);
    for length in [INLINE, LARGE] {
        let message = client.large(length);
        client.send_once(BERLIN2, &message).await.unwrap_or_else(|error| panic!("{length} octets: {error}"));
    }
    load.acknowledge_more(MEANWHILE).await;
    stack.docker(&[&as_its_user[..], &["rm /volumes/1/ballast"]].concat()).await;
    stack.wait_until_ready(BERLIN2, "transport").await;
    stack.report("the disk of BERLIN2's queue was full, and has room again");
}

/// Every container, one after another in each site, as an update does it.
pub(crate) async fn every_container_is_restarted(stack: &Stack, load: &Load) {
    let since = SystemTime::now();
    let (berlin, oslo) = SERVERS.split_at(2);
    let mut seen = [Restarts::default(), Restarts::default()];
    fault(stack, load, "rolling restart", async {
        seen = tokio::join!(restart_in_turn(stack, berlin), restart_in_turn(stack, oslo)).into();
    })
    .await;
    let longest = |at: usize| seen.iter().map(|site| site.drains[at]).max().unwrap_or_default().as_secs_f64();
    let drains: Vec<String> =
        SERVICES.iter().enumerate().map(|(at, service)| format!("{service} {:.1} s", longest(at))).collect();
    let away = seen.iter().map(|site| site.away).max().unwrap_or_default().as_secs_f64();
    stack.report(&format!("longest drains: {}; longest away: {away:.1} s", drains.join(", ")));
    let balance = load.ledger.balance(stack, since).await;
    let (slowest, id) = (balance.slowest, balance.slowest_id);
    // A figure to look at: how long a start takes depends on the machine, and a message may wait for several in turn.
    stack.report(&format!("slowest message: {:.1} s, {id}", slowest.as_secs_f64()));
}

/// What restarts of a site took at most.
#[derive(Default)]
struct Restarts {
    /// To drain, in the order of [`SERVICES`].
    drains: [Duration; SERVICES.len()],
    /// From the signal until the service is ready again.
    away: Duration,
}

async fn restart_in_turn(stack: &Stack, servers: &[Server]) -> Restarts {
    let mut seen = Restarts::default();
    for server in servers {
        for (service, longest) in SERVICES.into_iter().zip(&mut seen.drains) {
            let (container, started) = (format!("@{}-{service}", server.name), Instant::now());
            *longest = stop(stack, &container).await.max(*longest);
            stack.docker(&["start", &container]).await;
            stack.wait_until_ready(*server, service).await;
            seen.away = seen.away.max(started.elapsed());
        }
    }
    seen
}

/// Accepted = delivered + failed + expired + removed + queued, on every server.
pub(crate) async fn the_counts_balance(stack: &Stack) {
    for server in SERVERS {
        let mut last = String::new();
        testkit::until(&format!("the counts of {} balance", server.name), async || {
            let (accepted, ends) = stack.counts(server).await.conservation();
            let now =
                format!("{}: accepted {accepted}; delivered, failed, expired, removed, queued {ends:?}", server.name);
            if now != last {
                stack.report(&now);
                last = now;
            }
            (accepted == ends.iter().sum::<u64>()).then_some(())
        })
        .await;
    }
}
