//! The program under test, built if need be, and programs of others.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Names another program to test than the one of this workspace: a release build, one out of a package.
pub(crate) const PROGRAM_VARIABLE: &str = "POSTROAD_PROGRAM";

/// The program under test. Cargo builds it, once, when it is not up to date, and says where it is.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(find).clone()
}

/// The program that stands in for it where disks are to fail: `src/bin/faulty_transport.rs`, which cargo builds beside the
/// one that runs here (a test of this package lies one folder deeper).
pub fn faulty_transport() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("faulty_transport"));
    let found = beside.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("not beside {}: cargo build -p integration --bins", own.display()))
}

fn find() -> PathBuf {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        return PathBuf::from(named);
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "postroad", "--bin", "postroad", "--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release"); // as this test was built
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "the program under test does not build");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let named = |message: &serde_json::Value| message["target"]["name"] == "postroad";
    let program = messages.filter(named).find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.expect("cargo says where it put the program")
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
