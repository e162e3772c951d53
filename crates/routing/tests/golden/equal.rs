//! Ways that cost the same and were not taken, and the rule that decided (RT-07, RT-08).

use envelope::ByteSize;
use routing::{Destination, EqualWay, RoutingTables};

use crate::world::{World, name, server};

/// `to via taken instead of other: rule` for the path from A1 to `database`.
fn equal(world: &World, database: &str) -> Vec<String> {
    let tables = RoutingTables::build(world.organization(), &server("A1")).unwrap();
    let explanation = tables.explain(Destination::Mailbox(&name(database)), ByteSize::kib(1));
    let told = |way: EqualWay| format!("{} via {} instead of {}: {}", way.to, way.taken, way.other, way.rule);
    tables.equal_ways(&explanation.route().unwrap().way.path).into_iter().map(told).collect()
}

#[test]
fn equal_ways_are_told_with_the_rule_that_decided() {
    // EX-01, EX-02: C is as near to D as B is.
    assert_eq!(equal(&World::t1(), "DB-D"), ["D via B instead of C: RT-08"]);
    assert_eq!(equal(&World::t1(), "DB-E"), ["D via B instead of C: RT-08"]);
    // EX-04: a direct link at the same cost wins by its number of links.
    let direct = World::t1().link("AE", &["A", "E"], 25);
    assert_eq!(equal(&direct, "DB-E"), ["E via A instead of D: RT-07"]);
    // EX-03: a dearer one is not equal.
    assert_eq!(equal(&World::t1().link("AE", &["A", "E"], 30), "DB-E"), ["D via B instead of C: RT-08"]);
    assert_eq!(equal(&World::t1(), "DB-B"), Vec::<String>::new());
}
