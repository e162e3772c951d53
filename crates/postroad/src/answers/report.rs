//! An answer for an administrator: a sentence first, then the arithmetic behind it.

use std::fmt::Write as _;

use inquiry::{Answer, End, Fate};
use routing::{Attempt, Candidate, Elimination, Explanation, Route, Verdict, Way};
use topology::ServerRole;

use super::gateways::Gateways;
use super::palette::{Palette, wrapped};
use super::phrase;

/// Where the second column begins.
const INDENT: usize = 14;
/// Columns of a cost.
const COST: usize = 5;
/// Longest name of a connector that candidates are aligned by.
const NAME_MAX: usize = 30;

/// Connectors that are told of when there are more than anybody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// The ones that came near: [`NEAR_SHOWN`] that match, [`STRANGERS_SHOWN`] that do not; the rest is counted.
    Near,
    /// Each.
    All,
}

/// Connectors that match and were not selected, of which each is told.
const NEAR_SHOWN: usize = 8;
/// Connectors without a matching address space, of which each is told.
const STRANGERS_SHOWN: usize = 6;

/// Several lines.
pub(crate) fn text(answer: &Answer, gateways: &Gateways, candidates: Candidates, palette: Palette) -> String {
    let mut report = Report { answer, gateways, candidates, palette, out: String::new() };
    report.whole();
    report.out
}

struct Report<'a> {
    answer: &'a Answer,
    gateways: &'a Gateways,
    candidates: Candidates,
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

    /// An address of another type that this one has inside.
    fn inside(&mut self, end: &End) {
        let organization = self.answer.tables.organization().clone();
        let Some((kind, text)) = organization.encapsulated(&end.address) else { return };
        let domain = match organization.x400_domain(&kind, &text) {
            Some(domain) if domain.external_relay => {
                format!("; in X.400 domain {}, whose other recipients are elsewhere (EN-72)", domain.name)
            }
            Some(domain) => format!("; in X.400 domain {} of the organization (EN-72)", domain.name),
            None => String::new(),
        };
        self.row("inside", &format!("{kind}:{text} (PL-45){domain}"));
    }

    fn fate(&mut self, end: &End) {
        match &end.fate {
            Fate::Routed(explanation) => self.explanation(end, explanation),
            Fate::GivenUp(failure) => {
                let text = format!(
                    "Is given up, the sender gets a non-delivery notification: {failure} ({}).",
                    failure.rule()
                );
                self.sentence(&text, false);
                self.asked();
                self.inside(end);
                if let Some(advice) = phrase::advice_for(failure, end, self.answer) {
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

    fn explanation(&mut self, end: &End, explanation: &Explanation) {
        let organization = self.answer.tables.organization();
        let sentence = phrase::outcome(explanation, organization);
        self.sentence(&sentence, explanation.route().is_some());
        self.asked();
        self.inside(end);
        if let Some(route) = explanation.route() {
            self.row("next hop", &route.key.to_string());
            self.path(&route.way);
            self.compared(explanation);
            self.stops(&route.way);
            self.attempts(route, explanation);
        }
        for (at, gateway) in self.gateways.of(end, self.answer.tables.organization()).iter().enumerate() {
            self.row(if at == 0 { "now" } else { "" }, gateway.text());
        }
        if end.leads_back(self.answer.tables.organization()) {
            self.row("caution", &phrase::leads_back(end));
        }
        if let Some(advice) = phrase::advice(explanation, self.answer.tables.organization()) {
            self.row("to change", &advice);
        }
        self.candidates(explanation);
    }

    /// The arithmetic of the path (RT-02, RT-06…RT-08).
    fn path(&mut self, way: &Way) {
        let path = &way.path;
        let sites: Vec<&str> = path.sites().map(envelope::SiteName::as_str).collect();
        if path.legs.is_empty() {
            let here = match self.answer.tables.local_server() {
                edge if edge.role == ServerRole::Edge => format!("{} counts as there", edge.name),
                _ => "the message is there".to_owned(),
            };
            return self.row("path", &format!("{}: {here}, cost 0", sites.join(" ▸ ")));
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
            return self.row("attempts", &phrase::connects(route, explanation));
        }
        let runs = attempts.chunk_by(|a, b| (a.reason, &a.site) == (b.reason, &b.site));
        for (at, run) in runs.enumerate() {
            let label = if at == 0 { "attempts" } else { "" };
            self.row(label, &format!("{}. {}", at + 1, self.run(run, route)));
        }
        let stops_here = self.answer.tables.local_server().role == ServerRole::Mailbox
            && path.legs.is_empty()
            && attempts.iter().all(|attempt| !matches!(attempt.reason.0, "RT-16" | "PL-27"));
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
        self.line(format_args!("\n  {}", self.palette.quiet("Send connectors considered")));
        let (strangers, near): (Vec<&Candidate>, Vec<&Candidate>) = candidates
            .iter()
            .partition(|candidate| matches!(candidate.verdict, Verdict::Eliminated(Elimination::NoMatch { .. })));
        let (near, far) = nearest(near, self.most(NEAR_SHOWN + 1));
        let (strangers, others) = nearest(strangers, self.most(STRANGERS_SHOWN));
        let shown = || near.iter().chain(&strangers);
        let width = shown().map(|candidate| candidate.connector.as_str().chars().count()).max();
        let width = width.unwrap_or_default().min(NAME_MAX);
        near.iter().for_each(|candidate| self.candidate(candidate, width));
        self.further(far, "more match and come after those");
        strangers.iter().for_each(|candidate| self.candidate(candidate, width));
        self.further(others, "more have no address space that matches");
        if !strangers.is_empty() {
            let text = "To change what does not match, add an address space that covers the recipient.";
            self.out.push_str(&wrapped("    ", 4, text, self.palette.columns()));
        }
    }

    fn most(&self, near: usize) -> usize {
        if self.candidates == Candidates::All { usize::MAX } else { near }
    }

    /// How many are not told of.
    fn further(&mut self, count: usize, what: &str) {
        if count > 0 {
            let text = format!("and {count} {what}; --all tells of each");
            self.out.push_str(&wrapped("    ", 4, &text, self.palette.columns()));
        }
    }

    fn candidate(&mut self, candidate: &Candidate, width: usize) {
        let (palette, columns) = (self.palette, self.palette.columns());
        let name = candidate.connector.as_str();
        let indent = 4 + width + 2;
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
        // A name that is longer than the column has a line of its own.
        let first = match name.chars().count() > width {
            false => format!("  {mark} {name:width$}  "),
            true => format!("  {mark} {name}\n{}", " ".repeat(indent)),
        };
        self.out.push_str(&wrapped(&first, indent, &text, columns));
        if let Some(advice) = advice {
            self.out.push_str(&wrapped(&" ".repeat(indent), indent, &advice, columns));
        }
    }
}

/// The `most` that came nearest to being selected, in the order that they came in, and how many others there are.
fn nearest(mut candidates: Vec<&Candidate>, most: usize) -> (Vec<&Candidate>, usize) {
    let others = candidates.len().saturating_sub(most);
    if others > 0 {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by_key(|at| distance(&candidates[*at].verdict));
        order.truncate(most);
        order.sort_unstable();
        candidates = order.into_iter().map(|at| candidates[at]).collect();
    }
    (candidates, others)
}

/// How far a candidate got: the later the rule that eliminated it, the nearer it came.
fn distance(verdict: &Verdict) -> (u8, u64) {
    let Verdict::Eliminated(elimination) = verdict else { return (0, 0) };
    match elimination {
        Elimination::LaterName(_) => (1, 0),
        Elimination::Farther { .. } => (2, 0),
        Elimination::Costlier { own, .. } => (3, own.total().0),
        Elimination::TooSmall { .. } => (4, 0),
        Elimination::LessPrecise { .. } => (5, 0),
        Elimination::NoPath | Elimination::NoServerAtEdgeSite | Elimination::NotOnThisEdge | Elimination::OwnDomain => {
            (6, 0)
        }
        Elimination::Disabled | Elimination::Scoped(_) => (7, 0),
        Elimination::NoMatch { .. } => (8, 0),
    }
}

/// It has nothing to do with the recipient: told last, and in one line.
fn is_stranger(elimination: &Elimination) -> bool {
    matches!(elimination, Elimination::NoMatch { .. })
}
