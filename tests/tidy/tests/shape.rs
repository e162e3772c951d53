//! Files and functions: sizes, module documentation, and what may not be written.

use tidy::{functions, sources};

/// Lines of a file. Source: style, "Shape".
const FILE_LINES_MAX: usize = 800;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    report(&silent.map(|source| format!("{}: no //! at the top", source.path.display())).collect::<Vec<_>>());
}

#[test]
fn files_and_functions_stay_small() {
    let mut problems = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", source.path.display()));
        }
        for (line, name, length) in functions(&source.text) {
            if length > FUNCTION_LINES_MAX {
                problems.push(format!(
                    "{}:{line}: {length} lines, at most {FUNCTION_LINES_MAX}: {name}",
                    source.path.display()
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn a_library_root_tells_the_story_and_holds_no_logic() {
    let roots = sources().into_iter().filter(|source| {
        source.path.ends_with("src/lib.rs") && source.krate != "tidy" && source.krate != "integration"
    });
    let with_logic = roots.filter(|source| {
        source
            .text
            .lines()
            .any(|line| line.starts_with("fn ") || line.starts_with("pub fn ") || line.starts_with("impl "))
    });
    report(&with_logic.map(|source| format!("{}: logic in lib.rs", source.path.display())).collect::<Vec<_>>());
}

#[test]
fn a_receipt_is_made_only_after_a_commit() {
    // Invariant 1: only the queue, after its sync, and rpc, from an acknowledgement, may make what becomes a 250.
    let makers = ["envelope", "queue", "rpc"];
    let forgers = sources().into_iter().filter(|source| {
        !source.is_test()
            && !makers.contains(&source.krate.as_str())
            && source.product_text().contains("Receipt::after_commit")
    });
    report(&forgers.map(|source| format!("{}: makes a receipt", source.path.display())).collect::<Vec<_>>());
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    let sleepers =
        sources().into_iter().filter(|source| source.is_test() && source.krate != "testkit" && source.krate != "tidy");
    let sleepers =
        sleepers.filter(|source| source.text.contains("thread::sleep(") || source.text.contains("time::sleep("));
    report(&sleepers.map(|source| format!("{}: sleeps", source.path.display())).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_half_done() {
    let marks = ["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"];
    let mut problems = Vec::new();
    for source in sources().into_iter().filter(|source| source.krate != "tidy") {
        for mark in marks.iter().filter(|mark| source.text.contains(**mark)) {
            problems.push(format!("{}: {mark}", source.path.display()));
        }
    }
    report(&problems);
}
