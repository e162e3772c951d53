//! Age by destination (AP-17): one look tells one bad domain from a server where all is slow. Shaded by number, and the number stands
//! in every field.

use std::collections::BTreeMap;
use std::time::Duration;

use envelope::ServerName;

use super::queue_words::reason;
use crate::centre::Visit;
use crate::estate::QueueView;
use crate::view::{Bit, Bits, Column, Grid};

/// Ages in minutes; beyond the last is older.
const AGES: [u64; 5] = [5, 20, 60, 240, 1440];
const TITLES: [&str; 6] = ["under 5 min", "under 20 min", "under 1 h", "under 4 h", "under 1 day", "older"];
/// Destinations that are shown, the fullest.
const ROWS: usize = 15;
/// Messages whose ages are asked for, of each server.
const MESSAGES: u32 = 5_000;

/// Messages by destination and age.
pub(crate) async fn table(visit: &Visit<'_>, queues: &[&(ServerName, QueueView)]) -> Option<Grid> {
    let full: Vec<_> = queues.iter().filter(|(_, queue)| queue.messages > 0).collect();
    if full.is_empty() {
        return None;
    }
    let mut counted: BTreeMap<String, ([u64; 6], String)> = BTreeMap::new();
    let mut servers: Vec<&ServerName> = full.iter().map(|(server, _)| server).collect();
    servers.dedup();
    servers.sort();
    servers.dedup();
    // At once: one that is slow holds up only itself.
    let asked =
        servers.into_iter().map(async |server| (server, visit.ruled.letters_known(server, None, MESSAGES).await));
    for (server, letters) in futures::future::join_all(asked).await {
        let Some((letters, _)) = letters.ok().and_then(|last| last.value) else { continue };
        for letter in letters.iter() {
            let Some((_, queue)) = full.iter().find(|(of, queue)| of == server && queue.number == letter.queue) else {
                continue;
            };
            let age = visit.now.since(letter.received);
            let at = AGES.iter().position(|minutes| age < Duration::from_secs(minutes * 60)).unwrap_or(AGES.len());
            let domain = if queue.domain.is_empty() { queue.delivery_type.clone() } else { queue.domain.clone() };
            let entry = counted.entry(domain).or_insert_with(|| ([0; 6], reason(queue)));
            entry.0[at] += 1;
            if entry.1.is_empty() {
                entry.1 = reason(queue);
            }
        }
    }
    if counted.is_empty() {
        return None;
    }
    let mut columns = vec![Column::new("Destination", "NextHopDomain")];
    columns.extend(TITLES.map(|title| Column::number(title, "")));
    columns.push(Column::new("Why", "LastError"));
    let mut grid = Grid::new("Age by destination: how many messages have waited for how long", columns);
    grid.aside = true;
    let mut rows: Vec<_> = counted.into_iter().collect();
    rows.sort_by_key(|(_, (ages, _))| std::cmp::Reverse(ages.iter().sum::<u64>()));
    let more = rows.len().saturating_sub(ROWS);
    for (domain, (ages, why)) in rows.into_iter().take(ROWS) {
        let to = form_urlencoded::Serializer::new(String::new()).append_pair("domain", &domain).finish();
        let mut cells: Vec<Bits> = vec![Bit::link(format!("/queues?{to}"), &domain).into()];
        cells.extend(ages.map(|count| Bit::Heat(count).into()));
        cells.push(why.into());
        grid.row(cells);
    }
    if more > 0 {
        grid.foot = format!("and {more} more destinations").into();
    }
    Some(grid)
}
