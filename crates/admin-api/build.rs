//! Compiles `proto/postroad/admin` with protox: no protoc is needed for our own files.

use std::error::Error;
use std::path::Path;

const FILES: [&str; 8] = [
    "postroad/admin/v1/queues.proto",
    "postroad/admin/v1/tracking.proto",
    "postroad/admin/v1/directory.proto",
    "postroad/admin/v1/audit.proto",
    "postroad/admin/v1/databases.proto",
    "postroad/admin/v1/health.proto",
    "postroad/admin/v1/edge.proto",
    "postroad/admin/v1/certificates.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.join("postroad/admin").display());
    let descriptors = protox::compile(FILES, [&root])?;
    tonic_prost_build::configure().bytes(".postroad.admin.v1").compile_fds(descriptors)?;
    Ok(())
}
