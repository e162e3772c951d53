//! All entries of a source, page by page (RFC 2696), and nothing less: an answer that may be incomplete is an error, because
//! what is missing in it would be taken for deleted.

use std::time::Duration;

use ldap3::controls::{Control, ControlType, PagedResults};
use ldap3::{Ldap, Scope, SearchEntry, SearchOptions};

use crate::connection::{Connected, LdapError, connect};
use crate::entry::Entry;
use crate::source::{Identity, LdapSource, Schema};

/// Entries of a page. Active Directory gives 1,000 at most (`MaxPageSize`).
pub const PAGE_ENTRIES: i32 = 500;
/// Entries of a source; with more nothing of it is used. Ours: a quarter of a gigabyte of memory.
pub const ENTRIES_MAX: usize = 200_000;
/// Octets of all answers of a search.
pub const OCTETS_MAX: u64 = 1 << 30;
/// Time for one page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// Pieces of one attribute (Active Directory gives 1,500 values in each).
const PIECES_MAX: usize = 1000;

/// What is searched.
#[derive(Clone, Debug)]
pub struct Search {
    /// Below this entry.
    pub base: String,
    /// Which entries (RFC 4515); the schema's by default.
    pub filter: Option<String>,
    /// Which attributes.
    pub schema: Schema,
}

/// Every entry, read as `identity`, or as nobody.
///
/// # Errors
/// [`LdapError`]; there is no part of an answer.
pub async fn search(
    source: &LdapSource,
    identity: Option<&Identity>,
    search: &Search,
) -> Result<Vec<Entry>, LdapError> {
    let Connected { ldap, at, answer: (code, text) } = connect(source, 0, OCTETS_MAX, identity).await?;
    let server = source.servers[at].to_string();
    if let Some(identity) = identity.filter(|_| code != 0) {
        return Err(LdapError::Refused { server, name: identity.name.clone(), text: said(code, &text) });
    }
    let search = search.clone();
    // On its own: ldap3 panics at an answer that is malformed.
    let reading = tokio::spawn(async move { all_pages(ldap, &search).await });
    let read = reading.await.unwrap_or_else(|_| Err("an answer is malformed".into()));
    read.map_err(|text| LdapError::Answer(format!("{server}: {text}")))
}

async fn all_pages(mut ldap: Ldap, search: &Search) -> Result<Vec<Entry>, String> {
    let filter = search.filter.as_deref().unwrap_or(search.schema.filter());
    let mut entries = Vec::new();
    let mut cookie = Vec::new();
    loop {
        let page = page(&mut ldap, (&search.base, Scope::Subtree), filter, search.schema.attributes(), cookie);
        let (found, next) = in_time(page).await?;
        entries.extend(found);
        if entries.len() > ENTRIES_MAX {
            return Err(format!("there are more than {ENTRIES_MAX} entries; narrow `base` or `filter` of the source"));
        }
        cookie = next;
        if cookie.is_empty() {
            break;
        }
    }
    for entry in &mut entries {
        complete(&mut ldap, entry).await?;
    }
    Ok(entries)
}

async fn in_time<T>(asking: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let answered = tokio::time::timeout(PAGE_TIMEOUT, asking).await;
    answered.unwrap_or_else(|_| Err(format!("no answer in {} s", PAGE_TIMEOUT.as_secs())))
}

/// One page, and the cookie of the next; empty after the last.
async fn page(
    ldap: &mut Ldap,
    (base, scope): (&str, Scope),
    filter: &str,
    attributes: &[&str],
    cookie: Vec<u8>,
) -> Result<(Vec<Entry>, Vec<u8>), String> {
    let control = PagedResults { size: PAGE_ENTRIES, cookie };
    ldap.with_controls(vec![control.into()]);
    ldap.with_search_options(SearchOptions::new().timelimit(i32::try_from(PAGE_TIMEOUT.as_secs()).unwrap_or(i32::MAX)));
    let asked = ldap.streaming_search(base, scope, filter, attributes).await;
    let mut stream = asked.map_err(|error| match error {
        ldap3::LdapError::FilterParsing => format!("{filter:?} is no filter (RFC 4515)"),
        other => other.to_string(),
    })?;
    let mut found = Vec::new();
    while let Some(item) = stream.next().await.map_err(|error| format!("the answer is cut off: {error}"))? {
        // Where else something might be is not followed: other servers are other sources.
        if item.is_ref() || item.is_intermediate() {
            continue;
        }
        found.push(entry(SearchEntry::construct(item)));
        // A server that does not know pages may send without end.
        if found.len() > ENTRIES_MAX {
            return Err(format!("there are more than {ENTRIES_MAX} entries; narrow `base` or `filter` of the source"));
        }
    }
    let result = stream.finish().await;
    if result.rc != 0 {
        return Err(format!("{base:?} cannot be read: {}", said(result.rc, &result.text)));
    }
    let next = result.ctrls.iter().find_map(|Control(kind, raw)| {
        matches!(kind, Some(ControlType::PagedResults)).then(|| raw.parse::<PagedResults>().cookie)
    });
    Ok((found, next.unwrap_or_default()))
}

fn entry(read: SearchEntry) -> Entry {
    let mut entry = Entry::new(read.dn);
    for (attribute, values) in read.attrs {
        entry.add(&attribute, values.into_iter().map(String::into_bytes));
    }
    for (attribute, values) in read.bin_attrs {
        entry.add(&attribute, values);
    }
    entry
}

/// Reads the rest of an attribute of which Active Directory gave the first piece only: `member;range=0-1499`.
async fn complete(ldap: &mut Ldap, entry: &mut Entry) -> Result<(), String> {
    for _ in 0..PIECES_MAX {
        let Some((attribute, next)) = entry.take_piece() else { return Ok(()) };
        let Some(next) = next else { continue };
        let wanted = format!("{attribute};range={next}-*");
        let place = (entry.name.as_str(), Scope::Base);
        let (found, _) = in_time(page(ldap, place, "(objectClass=*)", &[&wanted], Vec::new())).await?;
        let piece = found.into_iter().next().ok_or_else(|| format!("{:?} has gone meanwhile", entry.name))?;
        entry.add_piece(piece);
    }
    Err(format!("{:?} has too many members", entry.name))
}

fn said(code: u32, text: &str) -> String {
    let meaning = match code {
        3 => "the time limit is exceeded",
        4 | 11 => "the directory's size limit is exceeded; it must know pages (RFC 2696), or allow the reader more",
        8 | 13 => "the directory wants another kind of authentication",
        32 => "there is no such entry; check `base`",
        34 => "that is no distinguished name",
        49 => "invalid credentials",
        50 => "insufficient access",
        _ => "refused",
    };
    let text = text.trim_end_matches('\0').trim();
    if text.is_empty() { format!("{meaning} (result {code})") } else { format!("{meaning} (result {code}: {text})") }
}
