//! A certificate before it is put into place: which connectors of the server would show it, and the handshake with their next hops
//! rehearsed, step by step as it comes (WA-37). No mail is sent, and the key is kept no longer than the rehearsal takes.

use std::sync::Arc;

use authority::{Act, Feature};

use super::{Answered, Outcome, missing};
use crate::centre::Visit;
use crate::estate::{TriedCertificate, TriedStep};
use crate::rehearsals::Rehearsal;
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Its address: files are brought to it.
pub(crate) const PATH: &str = "/certificates/rehearse";
/// Octets of a file: a chain of certificates is some thousand.
const FILE_MAX: usize = 256 * 1024;

const fn act() -> Act {
    Act::Change(Feature::Certificates)
}

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    match (visit.ask.post, rest) {
        (false, ["rehearse"]) => Ok(Outcome::Sheet(form(visit, ""))),
        (true, ["rehearse"]) => begin(visit).await,
        (false, ["rehearsals", id]) => {
            visit.ruled.may_see_certificates()?;
            let found = visit.centre.rehearsals.find(id);
            Ok(Outcome::Sheet(shown(&*found.ok_or_else(|| missing("rehearsal that is kept:", id))?)))
        }
        _ => Err(missing("page", &visit.ask.path)),
    }
}

fn form(visit: &Visit<'_>, wrong: &str) -> Sheet {
    let mut sheet = Sheet::new("Rehearse a certificate").under("/certificates", "Certificates").says(
        "Which connectors of this server would show it, and whether their next hops take a session with it. Nothing is put into \
         place, and no mail is sent.",
    );
    let file = |name: &str, label: &str, help: &str| {
        Field::line(name, label, "").with(Entry::File { several: false }).needed().helped(help)
    };
    let recipient = Field::line("recipient", "Somebody outside", visit.ask.field("recipient"))
        .helped("Connectors that route by DNS need somebody towards whose hosts the handshake is tried.");
    let mut instead = Field::line("instead", "In the place of the server's own certificate, not beside it", "");
    instead.entry = Entry::Check;
    let mut offline = Field::line("offline", "Open no connection: only say what changes", "");
    offline.entry = Entry::Check;
    sheet.form(Form {
        action: PATH.to_owned(),
        files: true,
        groups: vec![Group {
            fields: vec![
                file("certificate", "Certificate (PEM)", "With the chain after it.").wrong(wrong),
                file("key", "Private key (PEM)", "It is used for the rehearsal and forgotten."),
                recipient,
                instead,
                offline,
            ],
            ..Group::default()
        }],
        buttons: vec![Button::primary("Rehearse").unless(visit.ruled.why_not(act()))],
        ..Form::default()
    });
    sheet.add(Block::More {
        title: "The same as a command".to_owned(),
        text: "postroad cert preview new-certificate --recipient someone@fabrikam.example".to_owned(),
    });
    sheet
}

async fn begin(visit: &Visit<'_>) -> Answered {
    visit.ruled.may_rehearse(act())?;
    let again = |why: &str| {
        let mut sheet = form(visit, why);
        sheet.status = 422;
        Ok(Outcome::Sheet(sheet))
    };
    let [certificate, key] = &visit.ask.files[..] else {
        return again("choose the files of a certificate and its key");
    };
    if certificate.1.len().max(key.1.len()) > FILE_MAX {
        return again("a file is larger than 256 kB: it is no certificate or key in PEM");
    }
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).ok();
    let (Some(chain), Some(key)) = (text(&certificate.1), text(&key.1)) else {
        return again("the files are not PEM: convert them, for example by openssl");
    };
    let recipient = Some(visit.ask.field("recipient").trim().to_owned()).filter(|text| !text.is_empty());
    let is_on = |name: &str| visit.ask.field(name) == "true" || visit.ask.fields(name).any(|value| value == "true");
    let candidate = TriedCertificate { chain, key, recipient, instead: is_on("instead"), offline: is_on("offline") };
    let Some((id, rehearsal)) = visit.centre.rehearsals.begin(visit.person.name(), visit.now) else {
        return again("others rehearse just now: try again in a moment");
    };
    visit.ruled.note("Test-ExchangeCertificate", "a certificate for SMTP, rehearsed", None);
    let (estate, known) = (Arc::clone(&visit.centre.estate), Arc::clone(&visit.centre.known));
    tokio::spawn(async move {
        let told = Arc::clone(&rehearsal);
        let tell = {
            let known = Arc::clone(&known);
            Box::new(move |steps: Vec<TriedStep>| {
                told.steps.lock().extend(steps);
                known.wake();
            })
        };
        let ended = estate.rehearse(candidate, tell).await;
        *rehearsal.ended.lock() = Some(ended);
        known.wake();
    });
    Ok(Outcome::See(format!("/certificates/rehearsals/{id}")))
}

fn shown(rehearsal: &Rehearsal) -> Sheet {
    let mut sheet =
        Sheet::new("Rehearsal of a certificate").under("/certificates", "Certificates").under(PATH, "Rehearse");
    let steps = rehearsal.steps.lock().clone();
    let wrong = steps.iter().filter(|step| step.tone == Tone::Bad.class()).count();
    match &*rehearsal.ended.lock() {
        None => {
            sheet.live = true;
            sheet.notice(Tone::Plain, "It goes on", vec!["Each step is shown when it is done.".into()]);
        }
        Some(Err(why)) => sheet.notice(Tone::Bad, "It did not come to its end", vec![why.clone().into()]),
        Some(Ok(())) if wrong == 0 => sheet.notice(Tone::Good, "Nothing is wrong with it", Vec::new()),
        Some(Ok(())) => {
            let title = crate::text::some(wrong, "thing is wrong", "things are wrong");
            sheet.notice(Tone::Bad, title, vec!["Put it into place when they are mended.".into()]);
        }
    }
    sheet.add(Block::Prose(Bits::of(vec![
        Bit::Quiet(format!("Begun by {} at", rehearsal.by)),
        Bit::Time(rehearsal.at),
    ])));
    let mut grids: Vec<(String, Grid)> = Vec::new();
    for step in steps {
        let tone = match step.tone {
            "good" => Tone::Good,
            "warn" => Tone::Warn,
            _ => Tone::Bad,
        };
        if grids.last().is_none_or(|(of, _)| *of != step.of) {
            let columns = ["Step", "How", "What was seen", "What to do"].map(|title| Column::new(title, "")).to_vec();
            grids.push((step.of.clone(), Grid::new(step.of.clone(), columns)));
        }
        if let Some((_, grid)) = grids.last_mut() {
            let word = match tone {
                Tone::Good => "good",
                Tone::Warn => "warning",
                _ => "wrong",
            };
            let cells =
                vec![step.name.into(), Bit::Badge(tone, word.into()).into(), step.text.into(), step.advice.into()];
            grid.row(cells);
        }
    }
    sheet.blocks.extend(grids.into_iter().map(|(_, grid)| Block::Grid(grid)));
    sheet
}
