//! `postroad rule`: what the rules say that explanations, errors and queues name, and where that was taken from.

use std::fmt::Write as _;
use std::process::ExitCode;

use routing::Rule;

use super::output;

const EXAMPLES: &str = "\
Examples:
  # An explanation named two rules.
  postroad rule RT-51 RT-52
  # All of a kind: RT routing, QU queues, PL the pipeline, DS notifications, LM limits, BP back pressure,
  # SC Send connectors, RC Receive connectors, TA TLS and authentication.
  postroad rule QU";

/// Arguments of `postroad rule`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RuleArguments {
    /// Rules, or kinds of rules, in any case.
    #[arg(required = true, value_name = "RULE")]
    names: Vec<String>,
}

pub(crate) fn run(arguments: &RuleArguments) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for name in &arguments.names {
        let kind = name.to_uppercase() + "-";
        let found: Vec<&Rule> = match Rule::find(name) {
            Some(rule) => vec![rule],
            None => Rule::all().filter(|rule| rule.id.0.starts_with(&kind)).collect(),
        };
        anyhow::ensure!(
            !found.is_empty(),
            "there is no rule {name}; docs/rules.md lists them, and `postroad rule RT` those of routing"
        );
        for rule in found {
            writeln!(text, "{}  {}", rule.id, rule.text)?;
            for source in &rule.sources {
                writeln!(text, "       {source}")?;
            }
        }
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
