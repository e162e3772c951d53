//! An answer for an administrator: a sentence first, then the arithmetic behind it.

use std::fmt::Write as _;

use routing::{Attempt, Candidate, Elimination, Explanation, Route, Verdict, Way};

use super::answer::{Answer, End, Fate};
use super::palette::{Palette, wrapped};
use super::phrase;

/// Where the second column begins.
const INDENT: usize = 14;
/// Columns of a cost.
const COST: usize = 5;
/// Longest name of a connector that candidates are aligned by.
const NAME_MAX: usize = 24;

/// Several lines.
pub(crate) fn text(answer: &Answer, palette: Palette) -> String {
    let mut report = Report { answer, palette, out: String::new() };
    report.whole();
    report.out
}

struct Report<'a> {
    answer: &'a Answer,
    palette: Palette,
    out: String,
}

impl Report<'_> {
    fn line(&mut self, text: impl std::fmt::Display) {
        writeln!(self.out, "{text}").expect("a text can be written to");
    }

    /// A paragraph under a label; without one it goes on.
    fn row(&mut self, label: &str, text: &str) {
        let first = format!("  {label:width$}", width = INDENT - 2);
        let first = if label.is_empty() { first } else { first.replace(label, &self.palette.quiet(label)) };
        self.out.push_str(&wrapped(&first, INDENT, text, self.palette.columns()));
    }

    fn whole(&mut self) {
        let Answer { subject, ends, expanded, contact, .. } = self.answer;
        if *expanded {
            let server = &self.answer.tables.local_server().name;
            let count = if ends.len() == 1 { "1 recipient".to_owned() } else { format!("{} recipients", ends.len()) };
            let title = self.palette.bold(subject.recipient.as_str());
            self.line(format_args!("{title} is a group, expanded on {server} to {count} (PL-49)"));
            for (at, end) in ends.iter().enumerate() {
                let title = self.palette.bold(end.address.as_str());
                self.line(format_args!("\n[{} of {}] {title}", at + 1, ends.len()));
                self.fate(end);
            }
        } else {
            for end in ends {
                let title = self.palette.bold(subject.recipient.as_str());
                match (end.address.key() == subject.recipient.key(), contact) {
                    (true, _) => self.line(title),
                    (false, true) => self.line(format_args!("{title} is a contact for {} (PL-49)", end.address)),
                    (false, false) => self.line(format_args!("{title} stands for {} (PL-44)", end.address)),
                }
                self.fate(end);
            }
        }
        if let Some(limit) = &self.answer.limit {
            let text = format!(
                "where limits for senders and recipients apply, this size is refused: {limit} ({}). \
                 They decide when --sender is given.",
                limit.rule()
            );
            self.row("limit", &text);
        }
    }

    fn fate(&mut self, end: &End) {
        match &end.fate {
            Fate::Routed(explanation) => self.explanation(explanation),
            Fate::GivenUp(failure) => {
                let text = format!(
                    "Is given up, the sender gets a non-delivery notification: {failure} ({}).",
                    failure.rule()
                );
                self.sentence(&text, false);
                self.asked();
                if let Some(advice) = phrase::advice_for(failure, end.address.domain_str()) {
                    self.row("to change", &advice);
                }
            }
        }
    }

    fn sentence(&mut self, text: &str, good: bool) {
        let lines = wrapped("  ", 2, text, self.palette.columns());
        for line in lines.lines() {
            let text = line.trim_start();
            let painted = if good { self.palette.good(text) } else { self.palette.bad(text) };
            self.line(format_args!("  {painted}"));
        }
        self.line("");
    }

    fn asked(&mut self) {
        let Answer { subject, tables, .. } = self.answer;
        let server = tables.local_server();
        let sender = match subject.sender.text() {
            Some(sender) => format!(" from {sender}"),
            None => String::new(),
        };
        let revision = tables.revision();
        let text = format!("{}{sender}, on {} in site {}, revision {revision}", subject.size, server.name, server.site);
        self.row("message", &text);
    }

    fn explanation(&mut self, explanation: &Explanation) {
        let organization = self.answer.tables.organization();
        let sentence = phrase::outcome(explanation, organization);
        self.sentence(&sentence, explanation.route().is_some());
        self.asked();
        if let Some(route) = explanation.route() {
            self.row("next hop", &route.key.to_string());
            self.path(&route.way);
            self.compared(explanation);
            self.stops(&route.way);
            self.attempts(route, explanation);
        }
        if let Some(advice) = phrase::advice(explanation) {
            self.row("to change", &advice);
        }
        self.candidates(explanation);
    }

    /// The arithmetic of the path (RT-02, RT-06…RT-08).
    fn path(&mut self, way: &Way) {
        let path = &way.path;
        let sites: Vec<&str> = path.sites().map(envelope::SiteName::as_str).collect();
        if path.legs.is_empty() {
            return self.row("path", &format!("{}: the message is there, cost 0", sites.join(" ▸ ")));
        }
        let hops = if path.hops().0 == 1 { "1 hop".to_owned() } else { format!("{} hops", path.hops()) };
        self.row("path", &format!("{}, {hops}, cost {}", sites.join(" ▸ "), path.cost()));
        let organization = self.answer.tables.organization().clone();
        for leg in &path.legs {
            let link = organization.site_links().iter().find(|link| link.name == leg.link);
            let which = match link {
                Some(link) if link.exchange_cost.is_some() => {
                    format!("its ExchangeCost, which replaces AD cost {} (RT-02)", link.cost.get())
                }
                _ => "its AD cost".to_owned(),
            };
            self.sum(&leg.cost.to_string(), &format!("to {} by site link {}, {which}", leg.to, leg.link));
        }
        for equal in self.answer.tables.equal_ways(path) {
            let why = match equal.rule.0 {
                "RT-07" => format!("has more links ({})", equal.hops),
                _ => "comes later by name".to_owned(),
            };
            let text = format!(
                "To {} by {} costs the same {}: {} {why}, so {} was taken ({}).",
                equal.to, equal.other, equal.cost, equal.other, equal.taken, equal.rule
            );
            self.row("", &text);
        }
    }

    /// A cost, and what for.
    fn sum(&mut self, cost: &str, text: &str) {
        let first = format!("{}{cost:>COST$}  ", " ".repeat(INDENT));
        self.out.push_str(&wrapped(&first, INDENT + COST + 2, text, self.palette.columns()));
    }

    fn compared(&mut self, explanation: &Explanation) {
        if let Some(Verdict::Selected { cost, .. }) = explanation.selected().map(|selected| &selected.verdict) {
            let text = format!(
                "{} for the path + {} of the address space = {}, the aggregate cost of the connector (RT-51)",
                cost.links,
                cost.space.get(),
                cost.total()
            );
            self.row("cost", &text);
        }
    }

    fn stops(&mut self, way: &Way) {
        if let Some((last, hubs)) = way.stops.split_last().filter(|(_, hubs)| !hubs.is_empty()) {
            let hubs: Vec<&str> = hubs.iter().map(envelope::SiteName::as_str).collect();
            self.row("stops in", &format!("hub site {} (RT-27), then {last}", hubs.join(", ")));
        }
    }

    /// RT-34…RT-41 in words.
    fn attempts(&mut self, route: &Route, explanation: &Explanation) {
        let Way { attempts, path, .. } = route.way.as_ref();
        if attempts.is_empty() {
            return self.row("attempts", &format!("{} connects to the next hop itself (RT-16)", explanation.from));
        }
        let runs = attempts.chunk_by(|a, b| (a.reason, &a.site) == (b.reason, &b.site));
        for (at, run) in runs.enumerate() {
            let label = if at == 0 { "attempts" } else { "" };
            self.row(label, &format!("{}. {}", at + 1, self.run(run, route)));
        }
        let stops_here = path.legs.is_empty() && attempts.iter().all(|attempt| attempt.reason.0 != "RT-16");
        let nearer = if stops_here { " No other server of the site would be nearer (RT-36)." } else { "" };
        self.row("", &format!("Then it waits on {} and is tried again (RT-39).{nearer}", explanation.from));
    }

    fn run(&self, run: &[Attempt], route: &Route) -> String {
        let servers: Vec<&str> = run.iter().map(|attempt| attempt.server.as_str()).collect();
        let shared = if run.len() > 1 { ", in turn" } else { "" };
        let why = phrase::attempt(&run[0], route.key.delivery_type);
        format!("{} in {}{shared}: {why} ({})", servers.join(" or "), run[0].site, run[0].reason)
    }

    fn candidates(&mut self, explanation: &Explanation) {
        let candidates = &explanation.candidates;
        if candidates.is_empty() {
            return;
        }
        let names = candidates.iter().map(|candidate| candidate.connector.as_str().chars().count());
        let width = names.max().unwrap_or_default().min(NAME_MAX);
        self.line(format_args!("\n  {}", self.palette.quiet("Send connectors considered")));
        let (strangers, near): (Vec<&Candidate>, Vec<&Candidate>) = candidates.iter().partition(
            |candidate| matches!(&candidate.verdict, Verdict::Eliminated(elimination) if is_stranger(elimination)),
        );
        for candidate in near.into_iter().chain(strangers.iter().copied()) {
            self.candidate(candidate, width);
        }
        if !strangers.is_empty() {
            let text = "To change what does not match, add an address space that covers the recipient.";
            self.out.push_str(&wrapped("    ", 4, text, self.palette.columns()));
        }
    }

    fn candidate(&mut self, candidate: &Candidate, width: usize) {
        let (palette, columns) = (self.palette, self.palette.columns());
        let name = candidate.connector.as_str();
        let indent = 4 + name.chars().count().max(width) + 2;
        let (mark, text, advice) = match &candidate.verdict {
            Verdict::Selected { precision, cost, distance } => {
                let text = format!("selected: {precision}, aggregate cost {cost}, nearest source server {distance}");
                (palette.good("✔"), text, None)
            }
            Verdict::Eliminated(elimination) => {
                let advice = format!("To change this, {}.", elimination.advice());
                let advice = Some(advice).filter(|_| !is_stranger(elimination));
                (palette.bad("✘"), format!("{} {elimination}", elimination.rule()), advice)
            }
        };
        let first = format!("  {mark} {name:width$}  ");
        self.out.push_str(&wrapped(&first, indent, &text, columns));
        if let Some(advice) = advice {
            self.out.push_str(&wrapped(&" ".repeat(indent), indent, &advice, columns));
        }
    }
}

/// It has nothing to do with the recipient: told last, and in one line.
fn is_stranger(elimination: &Elimination) -> bool {
    matches!(elimination, Elimination::NoMatch { .. })
}
