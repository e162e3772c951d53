//! The search box of every page: straight to what is meant, else a list (WA-45).

use organization::Kind;

use super::{AREAS, Answered, Outcome, edit, objects, place_of, segment};
use crate::centre::Visit;
use crate::view::{Bit, Bits, Column, Grid, Sheet};

/// Results that are shown.
const SHOWN: usize = 100;

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let wanted = visit.ask.query("q").trim().to_owned();
    if wanted.is_empty() {
        return Ok(Outcome::See("/".to_owned()));
    }
    let organization = visit.ruled.organization().await?;
    let kinds = AREAS.iter().map(|area| (area.kind, area.one)).chain([(Kind::Server, "server")]);
    let kinds: Vec<(Kind, &str)> = kinds.filter(|(kind, _)| *kind != Kind::TransportConfig).collect();
    for (kind, _) in &kinds {
        if let Some(object) = edit::named(&organization, *kind, &wanted) {
            return Ok(Outcome::See(place_of(*kind, &object.name())));
        }
    }
    if let Some((server, number)) = wanted.split_once('\\')
        && number.parse::<u64>().is_ok()
    {
        return Ok(Outcome::See(format!("/queues/{}/{number}", segment(server))));
    }
    if wanted.starts_with('<') || (wanted.len() >= 32 && wanted.bytes().all(|octet| octet.is_ascii_hexdigit())) {
        return Ok(Outcome::See(format!("/messages/{}", segment(&wanted))));
    }
    if wanted.contains('@') {
        return Ok(Outcome::See(format!("/explain?recipient={}", segment(&wanted))));
    }
    let folded = wanted.to_lowercase();
    let mut grid = Grid::new("Found", vec![Column::new("Name", ""), Column::new("What", "")]);
    let mut count = 0;
    for (kind, one) in &kinds {
        for object in edit::objects_of(&organization, *kind) {
            if objects::searched(&object).contains(&folded) {
                count += 1;
                if count <= SHOWN {
                    grid.row(vec![Bit::link(place_of(*kind, &object.name()), object.name()).into(), (*one).into()]);
                }
            }
        }
    }
    if count > SHOWN {
        grid.foot = format!("{SHOWN} of {count}").into();
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("domain", &wanted).finish();
    grid.empty = Bits::of(vec![
        Bit::text(format!("Nothing is called “{wanted}” or has it in a property.")),
        Bit::link(format!("/messages/{}", segment(&wanted)), "Search for a message of that id"),
        Bit::link(format!("/send-connectors?{query}"), "Who would take mail for that domain"),
    ]);
    let mut sheet = Sheet::new(format!("Search: {wanted}"));
    sheet.grid(grid);
    Ok(Outcome::Sheet(sheet))
}
