//! The routing table log's document (LG-31…LG-33), word for word.

use routing::{LogTime, log_file_name};

use crate::world::World;

const WRITTEN: LogTime<'_> = LogTime("2026-11-22T05:00:00.000Z");

#[test]
fn lg_33_the_document_holds_what_explains_a_decision() {
    let world = World::default()
        .sites(&["Berlin", "Oslo & \"North\"", "Far"])
        .link("Berlin-Oslo", &["Berlin", "Oslo & \"North\""], 10)
        .exchange_cost("Berlin-Oslo", 4)
        .hub("Oslo & \"North\"")
        .server("BERLIN1", "Berlin")
        .server("OSLO1", "Oslo & \"North\"")
        .server("FAR1", "Far")
        .dag("DAG1", &["OSLO1"])
        .dag_database("DB-OSLO", "DAG1", "OSLO1")
        .database("DB-BERLIN", "BERLIN1")
        .connector("Internet", &["*;1"], &["BERLIN1"])
        .connector("Off", &["*;1"], &["BERLIN1"])
        .with(|connector| connector.enabled = false)
        .connector("Oslo <out>", &["*.example;5"], &["OSLO1"])
        .foreign("Fax", &["FAX:*"], &["BERLIN1"]);
    let document = world.tables("BERLIN1").log_document(WRITTEN);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/log.xml");
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        std::fs::write(golden, &document).unwrap();
    }
    assert_eq!(document, std::fs::read_to_string(golden).unwrap(), "POSTROAD_REWRITE=1 writes it anew; then read it");
}

#[test]
fn lg_33_names_of_files() {
    assert_eq!(log_file_name(3, WRITTEN), "RoutingConfig#3@2026-11-22T05-00-00.000Z.xml");
}

#[test]
fn the_same_tables_write_the_same_document() {
    let world = World::t1().connector("Out", &["*"], &["E1"]);
    assert_eq!(world.tables("A1").log_document(WRITTEN), world.tables("A1").log_document(WRITTEN));
}
