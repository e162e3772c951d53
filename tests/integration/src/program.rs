//! The program under test, which is built before, and programs of others.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Names another program to test than the one of this workspace: a release build, one out of a package.
pub(crate) const PROGRAM_VARIABLE: &str = "POSTROAD_PROGRAM";

/// The program under test: the one that the environment names, else what lies beside the tests. Tests never build it: two
/// builds at once wait for each other, and a build inside of a test counts as the test's time.
///
/// # Panics
/// When it is not there, or older than one of its sources: a test of yesterday's program says nothing.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let named = || std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from);
    PROGRAM.get_or_init(|| named().unwrap_or_else(|| built("postroad"))).clone()
}

/// The program that stands in for it where disks are to fail: `src/bin/faulty_transport.rs`.
pub fn faulty_transport() -> PathBuf {
    built("faulty_transport")
}

/// A program that cargo has put beside the one that runs here (a test lies one folder deeper).
fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let advice = format!("cargo build --workspace --bins{release}");
    let program = beside.unwrap_or_else(|| panic!("no {name} beside {}: {advice}", own.display()));
    if let Some(source) = newer_source(&program) {
        panic!("{} is older than {}: {advice}", program.display(), source.display());
    }
    program
}

/// A source that was written after the program was linked. Cargo lists them beside it.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let written =
        |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let linked = written(program);
    let list = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let (_, sources) = list.split_once(": ")?;
    sources.split_whitespace().map(PathBuf::from).find(|source| written(source) > linked)
}

/// Runs the program with these arguments in the folder of the workspace. Whether it succeeded is for the caller to see.
pub async fn run_postroad(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    run(command).await
}

/// Runs a command to its end while the lab goes on.
pub async fn run(mut command: Command) -> Output {
    let program = command.get_program().to_owned();
    let ended = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    ended.unwrap_or_else(|error| {
        panic!("{}: {error}; tests need etcd-server, swaks and postfix of Debian", program.display())
    })
}
