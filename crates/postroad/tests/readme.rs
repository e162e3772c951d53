//! Every command of the README works as it stands there: those in `sh` blocks are run, in order, in one folder. What runs
//! until it is stopped (`console` blocks) is run by `tests/integration`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of the repository that the README's commands name.
const FOLDERS: [&str; 2] = ["deploy", "crates"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Lines of the blocks marked `sh`.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readme_work() {
    let folder = tempfile::tempdir().unwrap();
    for name in FOLDERS {
        std::os::unix::fs::symlink(root().join(name).canonicalize().unwrap(), folder.path().join(name)).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_postroad")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let commands = commands(&std::fs::read_to_string(root().join("README.md")).unwrap());
    assert!(commands.len() >= 8, "the README has lost its tour: {commands:?}");
    for command in commands {
        let run = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).env("PATH", &path).output();
        let output = run.unwrap();
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "$ {command}\n{said}{complained}");
    }
}
