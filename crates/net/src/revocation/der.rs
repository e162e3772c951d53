//! Reading and writing the few shapes of DER (X.690 §8) that OCSP has.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;

/// A tag in the context of its structure, constructed.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// Without tag and length.
    pub(super) content: &'a [u8],
    /// With them.
    pub(super) whole: &'a [u8],
}

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    /// The next one; none at the end, or where there is none.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let element = first(self.0)?;
        self.0 = &self.0[element.whole.len()..];
        Some(element)
    }

    /// The next one, which is of this kind.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next one if it is of this kind, which it need not be.
    pub(super) fn maybe(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }
}

impl<'a> Element<'a> {
    pub(super) fn elements(self) -> Elements<'a> {
        Elements(self.content)
    }
}

fn first(octets: &[u8]) -> Option<Element<'_>> {
    let (&tag, &short) = (octets.first()?, octets.get(1)?);
    let (header, length) = match short {
        0..=0x7f => (2, usize::from(short)),
        // Nothing here is longer than 16 MiB.
        0x81..=0x83 => {
            let more = usize::from(short - 0x80);
            let digits = octets.get(2..2 + more)?;
            (2 + more, digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
        }
        _ => return None,
    };
    let whole = octets.get(..header + length)?;
    Some(Element { tag, content: &whole[header..], whole })
}

/// An element of these parts.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let digits = length.to_be_bytes();
    let digits = &digits[digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len())..];
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            out.push(0x80 | u8::try_from(digits.len()).expect("a length has eight octets at most"));
            out.extend_from_slice(digits);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_what_is_cut_off_does_not() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let written = element(OCTET_STRING, &[&content]);
            let read = Elements(&written).expect(OCTET_STRING).unwrap();
            assert_eq!((read.content, read.whole), (&content[..], &written[..]));
            assert!(Elements(&written[..written.len() - 1]).next().is_none());
        }
        let mut two = Elements(&[NULL, 0, INTEGER, 1, 5]);
        assert!(two.maybe(INTEGER).is_none());
        assert_eq!(two.next().map(|one| one.tag), Some(NULL));
        assert_eq!(two.expect(INTEGER).unwrap().content, [5]);
        assert!(two.next().is_none());
        assert!(Elements(&[SEQUENCE, 0x84, 1, 0, 0, 0]).next().is_none());
    }
}
