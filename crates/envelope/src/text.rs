//! Characters and comparison of texts that people write: names, local parts of addresses.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Format characters (Unicode general category Cf) but the joiners, which some scripts are written with.
const FORMAT: [(char, char); 20] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'), // line and paragraph separators before them
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e007f}'),
];

/// Whether a character changes how others are shown, or ends a line, and is not seen itself: it has no place in a name or an
/// address, where it could make one look like another.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    let within = |(first, last): &(char, char)| (*first..=*last).contains(&character);
    character.is_control() || (!character.is_ascii() && FORMAT.iter().any(within))
}

/// The form in which texts are compared without regard to case: lower-case, composed (NFC).
#[must_use]
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|octet| octet.is_ascii_uppercase()) {
            true => text.to_ascii_lowercase().into(),
            false => text.into(),
        };
    }
    let lower: String = text.chars().flat_map(char::to_lowercase).collect();
    Cow::Owned(ComposingNormalizerBorrowed::new_nfc().normalize(&lower).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_folded_and_characters_that_are_not_seen_are_known() {
        for (text, expected) in
            [("Abc", "abc"), ("MÜ", "mü"), ("mu\u{308}", "mü"), ("İ", "i\u{307}"), ("ΑΣ", "ασ"), ("Ⱥ", "ⱥ")]
        {
            assert_eq!(folded(text), expected);
        }
        for character in ['\0', '\n', '\u{7f}', '\u{85}', '\u{2028}', '\u{202e}', '\u{200b}', '\u{feff}', '\u{e0041}'] {
            assert!(is_unprintable(character), "{character:?}");
        }
        assert!(!['a', 'ü', '\u{200d}', '🙂', '字', ' '].into_iter().any(is_unprintable));
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,20}|[ȺİßẞΣς\u{308}uÜ]{0,9}") {
            let once = folded(&text).into_owned();
            prop_assert_eq!(folded(&once).into_owned(), once);
        }
    }
}
