//! The custom resource definitions of the manifests are those of the schema.

use std::path::Path;

/// Set to write the file instead of comparing it.
const REWRITE: &str = "POSTROAD_REWRITE";

#[test]
fn the_definitions_in_the_manifests_are_those_of_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/k8s/controller/crds.yaml");
    let wanted = controller::definitions::manifest();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == wanted, "run the test with {REWRITE}=1 to write deploy/k8s/controller/crds.yaml anew");
}
