//! A moment of every target, the same in every run: what lies in the corpus, and some inputs made of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fuzz::{Mutator, TARGETS, corpus, target};

/// The same inputs in every run.
const SEED: u64 = 1;

fn short(name: &str) {
    let target = target(name).expect("a target");
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "corpus/{name} is empty");
    for input in &corpus {
        (target.run)(input);
    }
    let mut mutator = Mutator::new(SEED);
    for number in 0..target.inputs {
        let input = mutator.input(&corpus);
        let broken = std::panic::catch_unwind(|| (target.run)(&input)).is_err();
        assert!(!broken, "input {number}: {:?}", String::from_utf8_lossy(&input));
    }
}

macro_rules! short {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                short(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_its_test_and_its_corpus() {
            let tests = BTreeSet::from([$(stringify!($name)),*]);
            let targets: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(tests, targets);
            let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).expect("the corpus");
            for folder in folders.flatten() {
                let name = folder.file_name().to_string_lossy().into_owned();
                assert!(target(&name).is_some(), "corpus/{name} is no target's");
            }
        }
    };
}

short! {
    smtp_command smtp_server smtp_reply smtp_client data_stream header_block mime_scan xtext address address_space
    organization_file stored_object spool protobuf settings certificate_name shell_script
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let corpus = corpus("address");
    let inputs = |seed| {
        let mut mutator = Mutator::new(seed);
        (0..50).map(|_| mutator.input(&corpus)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}
