//! Files that need each other in a circle cannot be read, tested or moved one by one. Parents and children may.

use std::collections::BTreeMap;

use tidy::modules::{circles, uses};
use tidy::{Source, sources};

#[test]
fn files_stand_in_no_circle() {
    let sources = sources();
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in &sources {
        crates.entry(&source.krate).or_default().push(source);
    }
    let mut problems = Vec::new();
    for (krate, sources) in crates {
        let found = circles(&uses(&sources));
        problems.extend(found.iter().map(|circle| format!("{krate}: {circle:?}")));
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
