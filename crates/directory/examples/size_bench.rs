//! Measures a directory of a large organization: applying a file of `postroad generate` the first time, a second time without
//! changes, and with one; look-ups; the start of a follower; and the memory of all of it.
//!
//! `cargo run --release -p directory --example size_bench -- FILE FOLDER [ETCD]`: without an endpoint such as
//! `http://127.0.0.1:2379` in a file in FOLDER. `make size` runs it.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{
    Author, Backend, Census, EmbeddedSettings, EtcdSettings, WatchEvent, apply_telling, connect_etcd, open_embedded,
};
use envelope::{Address, Revision};
use futures::{StreamExt, stream};
use organization::recipients::Linter;
use organization::{Contents, Object, PIECE_OCTETS, Pieces, Plan, WithoutSecrets};
use topology::DirectoryRecipient;

const FOREST: &str = "size.example";
/// Questions of one address, and how many are asked at a time.
const LOOKUPS: usize = 20_000;
const TOGETHER: usize = 16;

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, folder, rest @ ..] = arguments.as_slice() else {
        return Err("give a file of `postroad generate`, a folder, and perhaps an endpoint of etcd".into());
    };
    let open = || -> Result<Arc<dyn Backend>, AnyError> {
        Ok(match rest.first() {
            Some(endpoint) => connect_etcd(EtcdSettings::new(vec![endpoint.clone()]), FOREST),
            None => open_embedded(&EmbeddedSettings::new(Path::new(folder).join("directory.db")), FOREST)?,
        })
    };
    let directory = open()?;
    let text = std::fs::read_to_string(file)?;
    println!("{:<34} {:>10} {:>12}", "", "seconds", "peak, MiB");
    for what in ["first apply", "second apply, no changes"] {
        let (changes, spent) = apply(&*directory, &text, |_| {}).await?;
        line(&format!("{what} ({changes} changes)"), spent);
    }
    let change = |recipient: &mut DirectoryRecipient| {
        if recipient.name.as_str() == "user0000003" {
            recipient.proxy_addresses.clear();
        }
    };
    let (changes, spent) = apply(&*directory, &text, change).await?;
    line(&format!("apply ({changes} change)"), spent);
    drop(text);
    follow(&open()?).await?;
    look_up(&*open()?).await?;
    Ok(())
}

/// What `postroad apply` does with a file, without asking.
async fn apply(
    directory: &dyn Backend,
    text: &str,
    mut change: impl FnMut(&mut DirectoryRecipient),
) -> Result<(usize, Duration), AnyError> {
    // What was the most before is no matter of this one.
    let _kept_where_forbidden = std::fs::write("/proc/self/clear_refs", "5");
    let started = Instant::now();
    let mut census = Census::take(directory).await?;
    step("read what is stored", started);
    let pieces = Pieces::divide(text.to_owned(), PIECE_OCTETS).map_err(|_| "its recipients are no block list")?;
    let Contents { organization, .. } = organization::load(&pieces.configuration(), Revision(0))?;
    let before = directory.snapshot().await?;
    let current = organization::objects(before.draft(), &[]);
    let mut plan: Plan = organization::plan(current, organization::objects(organization.draft(), &[]));
    let mut linter = Linter::of(organization.draft());
    for piece in pieces.iter() {
        let (mut recipients, _) = piece.read(&WithoutSecrets)?;
        recipients.iter_mut().for_each(&mut change);
        if linter.lint(&recipients).has_errors() {
            return Err("the file is not good".into());
        }
        census.want(recipients);
    }
    drop(pieces);
    step("read and compare the file", started);
    plan.changes.extend(census.changes(directory).await?);
    let changes = plan.changes.len();
    if changes > 0 {
        let author = Author::new("bench", "size_bench");
        apply_telling(directory, plan, before.revision(), &author, &|_, _| {}).await?;
    }
    Ok((changes, started.elapsed()))
}

/// How long a service waits for its configuration, and a change takes to be seen.
async fn follow(directory: &Arc<dyn Backend>) -> Result<(), AnyError> {
    let started = Instant::now();
    let known = directory.snapshot().await?;
    line("the configuration, as a service starts", started.elapsed());
    let mut events = directory.watch(known.revision());
    let next = tokio::spawn(async move {
        loop {
            if let Some(WatchEvent::Snapshot(newer)) = events.next().await {
                return newer.revision();
            }
        }
    });
    // The watch is to be there.
    let _ = tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
    let mut link = known.draft().send_connectors.first().cloned().ok_or("there is no connector")?;
    link.comment = format!("changed by process {}", std::process::id());
    let author = Author::new("bench", "size_bench");
    let puts = vec![Object::SendConnector(Box::new(link))];
    let started = Instant::now();
    directory.commit(directory::Change { puts, ..directory::Change::by(author) }).await?;
    line("a change of a connector, committed", started.elapsed());
    next.await?;
    line("and seen by a follower", started.elapsed());
    Ok(())
}

async fn look_up(directory: &dyn Backend) -> Result<(), AnyError> {
    let page = directory.list_recipients(None, 10_000).await?;
    let some: Vec<&Address> = page.iter().map(|recipient| &recipient.primary_address).collect();
    let started = Instant::now();
    let asked = (0..LOOKUPS).map(|at| {
        let address = some[at.wrapping_mul(7_919) % some.len()];
        async move { directory.recipient(address).await.map(|found| found.is_some()) }
    });
    let found: Vec<_> = stream::iter(asked).buffer_unordered(TOGETHER).collect().await;
    if !found.iter().all(|found| found == &Ok(true)) {
        return Err("a recipient is not found".into());
    }
    let spent = started.elapsed();
    line(&format!("{LOOKUPS} look-ups"), spent);
    println!("{:<34} {:>10.0} a second", "", LOOKUPS as f64 / spent.as_secs_f64());
    Ok(())
}

fn step(what: &str, started: Instant) {
    println!("    {what:<30} {:>10.2}", started.elapsed().as_secs_f64());
}

fn line(what: &str, spent: Duration) {
    println!("{what:<34} {:>10.3} {:>12}", spent.as_secs_f64(), peak());
}

/// Most memory of this process until now, in MiB (Linux).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() / 1024
}
