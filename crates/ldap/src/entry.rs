//! An entry as it is read: names of attributes without regard to case, values as octets.

use std::collections::BTreeMap;

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its distinguished name.
    pub name: String,
    attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Entry {
    /// An entry of that name without attributes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), attributes: BTreeMap::new() }
    }

    /// Adds values of an attribute.
    pub fn add(&mut self, attribute: &str, values: impl IntoIterator<Item = Vec<u8>>) {
        self.attributes.entry(attribute.to_ascii_lowercase()).or_default().extend(values);
    }

    /// The values of an attribute, as octets.
    pub fn octets(&self, attribute: &str) -> impl Iterator<Item = &[u8]> {
        self.attributes.get(&attribute.to_ascii_lowercase()).into_iter().flatten().map(Vec::as_slice)
    }

    /// The values of an attribute that are texts and not empty.
    pub fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.octets(attribute).filter_map(|value| std::str::from_utf8(value).ok()).filter(|text| !text.is_empty())
    }

    /// The first of them.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.texts(attribute).next()
    }

    /// Takes the values of an attribute that came in pieces (`member;range=0-1499`) for those of the attribute, and says with
    /// which number the next piece begins; none after the last. Nothing when no attribute came in pieces.
    pub(crate) fn take_piece(&mut self) -> Option<(String, Option<u64>)> {
        let (key, attribute, last) = self.attributes.keys().find_map(|key| {
            let (attribute, range) = key.split_once(";range=")?;
            let (_, last) = range.split_once('-')?;
            Some((key.clone(), attribute.to_owned(), last.to_owned()))
        })?;
        let values = self.attributes.remove(&key).unwrap_or_default();
        self.add(&attribute, values);
        Some((attribute, last.parse::<u64>().ok().and_then(|last| last.checked_add(1))))
    }

    /// Adds what a further answer about the same entry says.
    pub(crate) fn add_piece(&mut self, piece: Self) {
        for (attribute, values) in piece.attributes {
            self.add(&attribute, values);
        }
    }

    /// Whether it is of an object class.
    #[must_use]
    pub fn is_a(&self, class: &str) -> bool {
        self.texts("objectClass").any(|own| own.eq_ignore_ascii_case(class))
    }
}

/// A distinguished name as it is compared: without regard to case and to blanks around its parts (RFC 4514).
#[must_use]
pub fn name_key(name: &str) -> String {
    let mut parts: Vec<String> = vec![String::new()];
    let mut escaped = false;
    for character in name.chars() {
        match character {
            ',' | '=' | '+' if !escaped => {
                parts.push(character.to_string());
                parts.push(String::new());
            }
            _ => parts.last_mut().expect("there is always a part").extend(character.to_lowercase()),
        }
        escaped = character == '\\' && !escaped;
    }
    parts.iter().map(|part| part.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_come_in_pieces_become_one() {
        let values = |range: std::ops::Range<u32>| range.map(|number| format!("cn={number}").into_bytes());
        let mut entry = Entry::new("cn=all");
        entry.add("member", []);
        entry.add("member;range=0-1499", values(0..1500));
        assert_eq!(entry.take_piece(), Some(("member".into(), Some(1500))));
        let mut piece = Entry::new("cn=all");
        piece.add("member;range=1500-*", values(1500..1600));
        entry.add_piece(piece);
        assert_eq!(entry.take_piece(), Some(("member".into(), None)));
        assert_eq!((entry.take_piece(), entry.texts("member").count()), (None, 1600));
    }

    #[test]
    fn names_are_compared_by_their_parts() {
        let key = name_key("CN=Berg\\, Anna,OU=People, DC=contoso,DC=com");
        assert_eq!(key, "cn=berg\\, anna,ou=people,dc=contoso,dc=com");
        assert_eq!(name_key("cn = berg\\, anna , ou=PEOPLE,dc=contoso,dc=com"), key);
        assert_ne!(name_key("cn=berg,anna,ou=people,dc=contoso,dc=com"), key);
    }
}
