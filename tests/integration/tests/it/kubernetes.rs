//! The manifests of `deploy/k8s` are what Kubernetes takes, the chart is made of them, and what they lay out is what the program reads.

use std::path::Path;
use std::process::Command;

use integration::program;

/// What the script ends with where its tools cannot be had.
const NOT_CHECKED: i32 = 3;

#[test]
fn the_manifests_and_the_chart_are_valid_and_lay_out_what_services_read() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/k8s/check.sh");
    let output = Command::new(script).env("POSTROAD", program()).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NOT_CHECKED) {
        eprintln!("left out: {complained}");
        return;
    }
    assert!(output.status.success(), "{said}{complained}");
    for overlay in ["trying", "zones", "production"] {
        assert!(said.contains(&format!("{overlay}: ")), "{said}");
    }
}
