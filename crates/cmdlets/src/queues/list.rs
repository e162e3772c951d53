//! Sorting and pages of lists (QU-57): `SortOrder`, `ResultSize`, bookmarks.

use std::cmp::Ordering;
use std::rc::Rc;

use shell::{Call, Failure, Object, Objects, Session, Value};

/// Results unless told otherwise (CM-76).
pub(crate) const RESULTS_DEFAULT: usize = 1_000;

/// How many results are wanted; none for all.
pub(crate) fn result_size(call: &Call<'_>) -> Result<Option<usize>, Failure> {
    match call.bound.get("ResultSize") {
        None => Ok(Some(RESULTS_DEFAULT)),
        Some(Value::Limit(None)) => Ok(None),
        Some(size) => match size.text().parse() {
            Ok(size) if size > 0 => Ok(Some(size)),
            _ => {
                let message = format!("ResultSize is a number above 0, or unlimited, not '{}'.", size.text());
                Err(Failure::new("InvalidArgument", "InvalidResultSize", message))
            }
        },
    }
}

/// Whether a list must be there as a whole before anything of it is given.
pub(crate) fn needs_all(call: &Call<'_>) -> bool {
    ["SortOrder", "BookmarkIndex", "BookmarkObject", "SearchForward"].iter().any(|name| call.bound.has(name))
}

/// By which properties, each ascending or not.
fn order(call: &Call<'_>) -> Vec<(String, bool)> {
    let entries = call.bound.get("SortOrder").map(Value::each).unwrap_or_default();
    let texts = entries.iter().map(Value::text).collect::<Vec<_>>().join(",");
    let entry = |entry: &str| match entry.trim() {
        entry if entry.starts_with('-') => (entry[1..].to_owned(), false),
        entry => (entry.trim_start_matches('+').to_owned(), true),
    };
    texts.split(',').filter(|text| !text.trim().is_empty()).map(entry).collect()
}

fn compare(one: &Object, other: &Object, order: &[(String, bool)]) -> Ordering {
    let by = |(name, ascending): &(String, bool)| {
        let (one, other) = (one.get(name).unwrap_or_default(), other.get(name).unwrap_or_default());
        let found = match (&one, &other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            _ => match (one.number(), other.number()) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                _ => one.text().to_lowercase().cmp(&other.text().to_lowercase()),
            },
        };
        if *ascending { found } else { found.reverse() }
    };
    order.iter().map(by).find(|found| *found != Ordering::Equal).unwrap_or(Ordering::Equal)
}

/// The wanted page of objects, which come in the order of their identities.
///
/// # Errors
/// Two bookmarks, a size that is none, a property that there is not.
pub(crate) fn page(
    call: &Call<'_>,
    mut objects: Vec<Rc<Object>>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let order = order(call);
    if let (Some(first), Some((name, _))) =
        (objects.first(), order.iter().find(|(name, _)| objects.first().is_some_and(|first| first.get(name).is_none())))
    {
        let message = format!("A {} has no property '{name}' to be sorted by.", first.of);
        return Err(Failure::new("InvalidArgument", "InvalidSortOrder", message));
    }
    objects.sort_by(|one, other| compare(one, other, &order));
    let count = objects.len();
    let size = result_size(call)?.unwrap_or(usize::MAX).min(count.max(1));
    let is = |name: &str| call.bound.get(name).is_none_or(Value::truth);
    let (forward, include) = (is("SearchForward"), is("IncludeBookmark"));
    let from = match bookmark(call, &objects, &order)? {
        None if forward => 0,
        None => count.saturating_sub(size),
        Some(at) if forward => (at + usize::from(!include)).min(count.saturating_sub(size)),
        Some(at) => (at + usize::from(include)).max(size).min(count).saturating_sub(size),
    };
    let to = from.saturating_add(size).min(count);
    if !needs_all(call) && to < count {
        session.warn(&format!("There are more results; -ResultSize says how many of the {count} are shown."));
    }
    let mut page: Vec<Value> = objects.drain(from..to).map(Value::Object).collect();
    if call.bound.is_on("ReturnPageInfo") {
        let properties = vec![("PageOffset", Value::count(from + 1)), ("TotalCount", Value::count(count))];
        page.push(Value::Object(super::show::object("PageInfo", "", properties)));
    }
    Ok(Box::new(page.into_iter()))
}

/// Where the bookmark is.
fn bookmark(call: &Call<'_>, objects: &[Rc<Object>], order: &[(String, bool)]) -> Result<Option<usize>, Failure> {
    let last = objects.len().saturating_sub(1);
    match (call.bound.get("BookmarkIndex"), call.bound.get("BookmarkObject")) {
        (Some(_), Some(_)) => {
            let message = "BookmarkIndex and BookmarkObject exclude each other.";
            Err(Failure::new("InvalidArgument", "TwoBookmarks", message).by("QU-57"))
        }
        (Some(Value::Whole(index)), None) => {
            let index = usize::try_from(index.saturating_sub(1)).unwrap_or(0);
            Ok(Some(index.min(last)))
        }
        (_, Some(Value::Object(object))) => {
            let same = |known: &Rc<Object>| known.text == object.text;
            let at = objects.iter().position(same);
            // What is gone has a place nevertheless: the closest.
            let closest = || objects.partition_point(|known| compare(known, object, order) == Ordering::Less).min(last);
            Ok(Some(at.unwrap_or_else(closest)))
        }
        _ => Ok(None),
    }
}
