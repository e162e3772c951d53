//! Compiles `proto/` with protox: no protoc is needed for our own files.

use std::error::Error;
use std::path::Path;

const FILES: [&str; 5] = [
    "postroad/transfer/v1/transfer.proto",
    "postroad/proxy/v1/proxy.proto",
    "postroad/mailboxes/v1/mailboxes.proto",
    "postroad/logons/v1/logons.proto",
    "postroad/agent/v1/agent.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    for part in ["transfer", "proxy", "mailboxes", "logons", "agent"] {
        println!("cargo::rerun-if-changed={}", root.join("postroad").join(part).display());
    }
    let descriptors = protox::compile(FILES, [&root])?;
    // Content is handed on as it arrived, without a copy.
    tonic_prost_build::configure()
        .bytes(".postroad.transfer.v1")
        .bytes(".postroad.proxy.v1")
        .bytes(".postroad.mailboxes.v1")
        .bytes(".postroad.logons.v1")
        .bytes(".postroad.agent.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
