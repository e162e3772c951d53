//! Measures what a service asks of a directory of a large organization, which `postroad generate` made and `postroad apply` brought
//! in: the configuration at its start; look-ups, one by one and as many at once as one question takes; what it remembers of those;
//! and how long until many who follow the configuration have a change.
//!
//! `cargo run --release -p directory --example size_bench -- DIRECTORY RECIPIENTS FOLDER`: a file, or an endpoint of etcd such as
//! `http://127.0.0.1:2379`; FOLDER is for what is remembered. `make size` runs it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{
    Author, Backend, Change, Configuration, EmbeddedSettings, EtcdSettings, LOOKUP_BATCH, LastGood, Recipients,
    WatchEvent, connect_etcd, open_embedded,
};
use envelope::{Address, Revision};
use futures::{StreamExt, stream};
use organization::Object;

/// The forest of `tests/bench/size.py`.
const FOREST: &str = "corp.example";
/// One of so many recipients of `postroad generate` is a contact, another one a group; the others are mailboxes.
const ONE_OF: u64 = 20;
/// Questions that wait for each other, and addresses of those that do not.
const IN_TURN: usize = 5_000;
const IN_ALL: usize = 40_000;
/// Questions under way at the same time.
const TOGETHER: usize = 16;
/// More different recipients than a service remembers.
const REMEMBERED: usize = 60_000;
/// Clients that follow the configuration, each with a connection of its own, as services do.
const FOLLOWERS: usize = 50;

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [place, recipients, folder] = arguments.as_slice() else {
        return Err("give a directory, how many recipients it has, and a folder".into());
    };
    let open = || -> Result<Arc<dyn Backend>, AnyError> {
        Ok(match place.strip_prefix("http") {
            Some(_) => connect_etcd(EtcdSettings::new(vec![place.clone()]), FOREST),
            None => open_embedded(&EmbeddedSettings::new(PathBuf::from(place)), FOREST)?,
        })
    };
    let mut chosen = Chosen { recipients: recipients.parse()?, at: 0 };
    println!("{:<44} {:>9} {:>10} {:>9}", "", "seconds", "processor", "MiB now");
    let directory = open()?;
    let told = Told::begin();
    let known = directory.snapshot().await?;
    told.end("the configuration, as a service starts");
    look_up(&*directory, &mut chosen).await?;
    remember(open()?, Path::new(folder), &mut chosen).await?;
    follow(&open, known.revision()).await
}

/// Mailboxes of a generated organization, far from one another, none twice until all were there.
struct Chosen {
    recipients: u64,
    at: u64,
}

impl Chosen {
    /// By a step that has no divisor with any number of recipients that is a power of ten.
    const STEP: u64 = 617_353;

    fn next(&mut self) -> Result<Address, AnyError> {
        loop {
            self.at = (self.at + Self::STEP) % self.recipients;
            if self.at % ONE_OF > 2 {
                return Ok(Address::parse(&format!("user{:07}@corp.example", self.at))?);
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<Address>, AnyError> {
        (0..count).map(|_| self.next()).collect()
    }
}

async fn look_up(directory: &dyn Backend, chosen: &mut Chosen) -> Result<(), AnyError> {
    for (what, count, size, together) in [
        ("look-ups of one, one after the other", IN_TURN, 1, 1),
        ("look-ups of one, sixteen under way", IN_ALL, 1, TOGETHER),
        ("look-ups of twenty, one after the other", IN_ALL, LOOKUP_BATCH, 1),
        ("look-ups of twenty, sixteen under way", IN_ALL, LOOKUP_BATCH, TOGETHER),
    ] {
        let addresses = chosen.take(count)?;
        let told = Told::begin();
        let asked = addresses.chunks(size).map(|some| directory.recipients(some));
        let found: Vec<_> = stream::iter(asked).buffer_unordered(together).collect().await;
        let found = found.iter().flatten().filter(|answer| matches!(answer, Ok(Some(_)))).count();
        if found != count {
            return Err(format!("{found} of {count} recipients were found").into());
        }
        told.each(what, count);
    }
    Ok(())
}

/// The same through what a service remembers.
async fn remember(directory: Arc<dyn Backend>, folder: &Path, chosen: &mut Chosen) -> Result<(), AnyError> {
    let service = LastGood::new(directory, folder.join("last-good"));
    service.snapshot().await?;
    let addresses = chosen.take(REMEMBERED)?;
    for what in ["recipients that a service did not know", "the same recipients again"] {
        let told = Told::begin();
        for some in addresses.chunks(LOOKUP_BATCH) {
            service.recipients(some).await;
        }
        told.each(what, REMEMBERED);
    }
    Ok(())
}

/// How long a change takes until all who follow have it.
async fn follow(open: &dyn Fn() -> Result<Arc<dyn Backend>, AnyError>, known: Revision) -> Result<(), AnyError> {
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        followers.push(open()?);
    }
    let seen: Vec<_> = followers.iter().map(|follower| tokio::spawn(next(follower.watch(known)))).collect();
    // The watches are to be there.
    let _ = tokio::time::timeout(Duration::from_secs(2), std::future::pending::<()>()).await;
    let directory = open()?;
    let mut connector = directory.snapshot().await?.draft().send_connectors.first().cloned().ok_or("no connector")?;
    connector.comment = format!("changed by process {}", std::process::id());
    let puts = vec![Object::SendConnector(Box::new(connector))];
    let (committing, all) = (Told::begin(), Told::begin());
    directory.commit(Change { puts, ..Change::by(Author::new("bench", "size_bench")) }).await?;
    committing.end("a change of a connector, committed");
    for one in seen {
        one.await?;
    }
    all.end(&format!("and seen by {FOLLOWERS} who follow"));
    Ok(())
}

async fn next(mut events: stream::BoxStream<'static, WatchEvent>) {
    while let Some(event) = events.next().await {
        if matches!(event, WatchEvent::Snapshot(_)) {
            return;
        }
    }
}

/// What something took.
struct Told {
    started: Instant,
    processor: f64,
}

impl Told {
    fn begin() -> Self {
        Self { started: Instant::now(), processor: processor_seconds() }
    }

    fn end(self, what: &str) {
        let (seconds, processor) = (self.started.elapsed().as_secs_f64(), processor_seconds() - self.processor);
        println!("{what:<44} {seconds:>9.3} {processor:>10.2} {:>9}", memory());
    }

    fn each(self, what: &str, count: usize) {
        let (seconds, processor) = (self.started.elapsed().as_secs_f64(), processor_seconds() - self.processor);
        let (rate, each) = (count as f64 / seconds, processor * 1e6 / count as f64);
        self.end(what);
        println!("{:<44} {rate:>9.0} a second, {each:.0} µs of the processor each", "");
    }
}

/// Time of all processors that this process has had (Linux, which counts hundredths of a second).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Memory of this process now, in MiB (Linux).
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() / 1024
}
