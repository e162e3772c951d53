//! Inputs to begin with, and those that once were too much: one file each under `corpus/<target>`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The inputs of a target, in the order of their names.
#[must_use]
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder(target)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Keeps an input that a target failed on, so that it is tried in every run from now on.
///
/// # Errors
/// As the file system says.
pub fn keep(target: &str, input: &[u8]) -> io::Result<PathBuf> {
    let sum = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let path = folder(target).join(format!("found-{sum:016x}"));
    fs::create_dir_all(folder(target))?;
    fs::write(&path, input)?;
    Ok(path)
}
