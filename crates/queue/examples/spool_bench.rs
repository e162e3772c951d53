//! Measures the spool: durable commits a second by number of writers, syncs and octets written, restart time and memory.
//!
//! `cargo run --release -p queue --example spool_bench -- [DIRECTORY]` (default: the directory for temporary files; it
//! must be on a real disk for the figures to mean anything).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use envelope::{
    Address, ByteSize, Envelope, MessageHead, MessageId, Origin, OriginKind, Recipient, ReversePath, Revision,
    ServerName, Timestamp,
};
use queue::{RealDisk, Recovery, Spool, SpoolOptions};

const CONTENT_OCTETS: usize = 4096;
const RUN: Duration = Duration::from_secs(4);
const RESTART_MESSAGES: u64 = 200_000;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    if std::env::args_os().nth(2).is_some() {
        return tokio::runtime::Builder::new_current_thread().build()?.block_on(restart(&base));
    }
    let dir = base.join(format!("spool-bench-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("writers  commits/s  commits/sync  octets written/octet  latency (mean)");
    for writers in [1, 16, 64, 256] {
        runtime.block_on(measure(&dir, writers, false))?;
        std::fs::remove_dir_all(&dir)?;
    }
    println!("the same, each message removed at once");
    runtime.block_on(measure(&dir, 64, true))?;
    std::fs::remove_dir_all(&dir)?;
    runtime.block_on(fill(&dir))?;
    // In a process of its own, so that the memory is that of the restart.
    std::process::Command::new(std::env::current_exe()?).arg(&dir).arg("restart").status()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn open(dir: &Path) -> Result<(Spool, Recovery), AnyError> {
    let options = SpoolOptions::new(ServerName::parse("bench")?);
    Ok(Spool::open(Arc::new(RealDisk), dir, options)?)
}

fn message(number: u64) -> Result<MessageHead, AnyError> {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let recipient = Recipient::new(Address::parse("recipient@example.com")?);
    Ok(MessageHead {
        id: MessageId::from_bytes(id),
        envelope: Envelope::new(ReversePath::Address(Address::parse("sender@example.net")?), vec![recipient]),
        arrived: Timestamp::from_millis(number),
        trace: None,
        size: ByteSize::default(),
        original_size: None,
        revision: Revision::default(),
        origin: Origin { kind: OriginKind::Anonymous, connector: "bench".into() },
        backed_off: Vec::new(),
    })
}

async fn store(spool: &Spool, number: u64, content: &Bytes) -> Result<MessageId, AnyError> {
    let mut draft = spool.begin();
    draft.write(content.clone()).await?;
    Ok(draft.commit(message(number)?).await?.receipt.message())
}

/// Commits by several tasks until `RUN` is over or `limit` is reached.
async fn run(spool: &Spool, writers: u64, limit: u64, remove: bool) -> Result<u64, AnyError> {
    let (next, content) = (Arc::new(AtomicU64::new(0)), Bytes::from(vec![b'x'; CONTENT_OCTETS]));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (spool, next, content) = (spool.clone(), Arc::clone(&next), content.clone());
        tasks.spawn(async move {
            let mut done = 0;
            while limit != u64::MAX || start.elapsed() < RUN {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= limit {
                    break;
                }
                let id = store(&spool, number, &content).await?;
                if remove {
                    spool.remove(id);
                }
                done += 1;
            }
            Ok::<u64, AnyError>(done)
        });
    }
    let mut total = 0;
    while let Some(done) = tasks.join_next().await {
        total += done??;
    }
    Ok(total)
}

async fn measure(dir: &Path, writers: u64, remove: bool) -> Result<(), AnyError> {
    let (spool, _) = open(dir)?;
    let start = Instant::now();
    let done = run(&spool, writers, u64::MAX, remove).await?;
    let seconds = start.elapsed().as_secs_f64();
    let stats = spool.stats();
    println!(
        "{writers:7}  {:9.0}  {:12.1}  {:20.3}  {:8.2} ms   log {} MiB, {} segments, {} MiB memory",
        done as f64 / seconds,
        done as f64 / stats.syncs as f64,
        stats.written.as_u64() as f64 / (done * CONTENT_OCTETS as u64) as f64,
        seconds * 1000.0 * writers as f64 / done as f64,
        stats.log.as_u64() >> 20,
        stats.segments,
        resident_mib(),
    );
    spool.close().await;
    Ok(())
}

async fn fill(dir: &Path) -> Result<(), AnyError> {
    let (spool, _) = open(dir)?;
    run(&spool, 64, RESTART_MESSAGES, false).await?;
    spool.close().await;
    Ok(())
}

async fn restart(dir: &Path) -> Result<(), AnyError> {
    let (before, start) = (resident_mib(), Instant::now());
    let (spool, mut recovery) = open(dir)?;
    let opened = start.elapsed();
    let resident = resident_mib();
    let mut heads = 0;
    loop {
        let batch = recovery.next_batch().await;
        if batch.is_empty() {
            break;
        }
        heads += batch.len();
    }
    println!(
        "restart with {} messages: opened in {opened:?}, {heads} heads read after {:?}; memory {before} -> {resident} MiB",
        recovery.report().messages,
        start.elapsed(),
    );
    spool.close().await;
    Ok(())
}

/// Resident memory of this process.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
