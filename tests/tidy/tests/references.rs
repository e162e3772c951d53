//! What the text of this repository refers to is there: pages exist.

use std::collections::BTreeSet;

use tidy::rules::FAMILIES;
use tidy::texts;

/// Words that lead to documents which are not here: sections of something without its name, reference files.
const ELSEWHERE: [&str; 5] = ["(design §", "design, §", "limits file", "errata", "the specification's"];

#[test]
fn no_text_leads_to_a_page_that_is_not_here() {
    let texts = texts();
    let names: BTreeSet<String> =
        texts.iter().filter_map(|(path, _)| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    let mut wrong = BTreeSet::new();
    for (path, text) in texts.iter().filter(|(path, _)| !path.starts_with("tests/tidy") && !path.ends_with("rules.md"))
    {
        for word in text.split(|one: char| one.is_whitespace() || "()[]`\"'<>,;|#*".contains(one)) {
            let page = word.trim_end_matches(['.', ':']);
            let name = page.rsplit('/').next().unwrap_or_default();
            let is_page =
                name.len() > 3 && name.ends_with(".md") && !page.contains("://") && !page.contains(['{', '…']);
            if is_page && !names.contains(name) {
                wrong.insert(format!("{}: {page}", path.display()));
            }
        }
        let elsewhere = ELSEWHERE.iter().filter(|words| text.contains(**words));
        wrong.extend(elsewhere.map(|words| format!("{}: {words}", path.display())));
        let section = |family: &&&str| text.contains(&format!(" {family} §")) || text.contains(&format!("({family} §"));
        wrong.extend(FAMILIES.iter().filter(section).map(|family| format!("{}: {family} §", path.display())));
    }
    assert!(wrong.is_empty(), "these are not in the repository: {wrong:#?}");
}
