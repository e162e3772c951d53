//! Style, script and icon: files of the program, under names that say what is in them, so that a browser asks once.

use std::sync::LazyLock;

use net::digest::sha256;

/// A file that is served to everybody.
pub(crate) struct Asset {
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) body: &'static str,
}

fn asset(name: &str, end: &str, kind: &'static str, body: &'static str) -> Asset {
    let digest = sha256(&[body.as_bytes()]);
    let mark: String = digest[..6].iter().map(|octet| format!("{octet:02x}")).collect();
    Asset { path: format!("/static/{name}.{mark}.{end}"), kind, body }
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("centre", "css", "text/css; charset=utf-8", include_str!("../assets/centre.css")));
pub(crate) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset("centre", "js", "text/javascript; charset=utf-8", include_str!("../assets/centre.js")));
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")));

/// The file of a path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path == path)
}
