//! The examples of the public pages about these commands, as they are written there, run one by one against an organization that
//! has what they speak of.

use super::world::Session;

const EXAMPLES: &str = include_str!("documented.txt");
const ORGANIZATION: &str = include_str!("documented.yaml");

/// So many run as documented; fewer is a loss.
const RUN: usize = 125;
/// So many say that they, or a parameter of theirs, are not available, and why.
const ABSENT: usize = 51;

#[test]
fn documented_examples_run_as_they_are_written() {
    let (mut run, mut absent, mut failed) = (0, Vec::new(), Vec::new());
    let mut all = 0;
    for example in EXAMPLES.split("\n## ").skip(1) {
        let (name, text) = example.split_once('\n').unwrap();
        all += 1;
        // Whoever types them answers yes.
        let organization = match name.starts_with("New-") {
            // What an example makes is not there before.
            true => ORGANIZATION
                .replace("name: Contoso, domainName: contoso.com", "name: Old, domainName: old.example")
                .replace("name: Contoso X.400 Connector", "name: Old X.400 Connector")
                .replace("{name: Sales, x400DomainName: \"C=US;", "{name: Old, x400DomainName: \"C=DE;"),
            false if name.contains("MailContact") => {
                ORGANIZATION.replace("database: DB1}", "externalAddress: somebody@elsewhere.example}")
            }
            false => ORGANIZATION.to_owned(),
        };
        let (_, errors) = Session::over(&organization).run(&format!("$ConfirmPreference = 'None'\n{text}"));
        if errors.is_empty() {
            run += 1;
        } else if errors.contains("is not available yet") {
            absent.push(format!("{name}: {}", errors.lines().next().unwrap_or_default()));
        } else {
            failed.push(format!("{name}: {}", errors.lines().next().unwrap_or_default()));
        }
        assert!(!errors.contains("ParserError"), "{name} is not read: {errors}");
    }
    let told = format!(
        "{run} of {all} run, {} are not available:\n{}\nothers:\n{}",
        absent.len(),
        absent.join("\n"),
        failed.join("\n")
    );
    assert!(run >= RUN && run + absent.len() >= RUN + ABSENT, "{told}");
    println!("{told}");
}
