//! The page about the commands, and the module for PowerShell, are what the catalogue says.

use std::fs;
use std::path::Path;

fn compare(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        fs::write(&path, page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{name} is not what the catalogue says; POSTROAD_REWRITE=1 writes it anew");
}

#[test]
fn the_page_and_the_module_are_the_catalogue() {
    compare("docs/cmdlets.md", &crate::page::cmdlets());
    compare("deploy/powershell/Postroad.psm1", &crate::page::module());
}
