//! `-like`: `*`, `?`, `[a-z]`, `[abc]`, a back-tick before what is meant itself (SH-23).

/// One piece of a pattern.
enum Piece {
    Any,
    One,
    Of(Vec<(char, char)>),
    Is(char),
}

/// Whether the whole text is like the pattern.
#[must_use]
pub fn like(text: &str, pattern: &str, case: bool) -> bool {
    let fold = |one: char| if case { one } else { one.to_lowercase().next().unwrap_or(one) };
    let text: Vec<char> = text.chars().map(fold).collect();
    let pieces = pieces(pattern, fold);
    // Back to the last `*` when something does not fit: text times pattern at most.
    let (mut at, mut piece, mut star) = (0, 0, None);
    loop {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                star = Some((piece, at));
                piece += 1;
                continue;
            }
            Some(wanted) if at < text.len() && fits(wanted, text[at]) => {
                (at, piece) = (at + 1, piece + 1);
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        let Some((back, from)) = star.filter(|(_, from)| *from < text.len()) else { return false };
        star = Some((back, from + 1));
        (at, piece) = (from + 1, back + 1);
    }
}

/// Whether a text has characters that make it a pattern.
#[must_use]
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn fits(piece: &Piece, one: char) -> bool {
    match piece {
        Piece::Any | Piece::One => true,
        Piece::Of(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&one)),
        Piece::Is(wanted) => *wanted == one,
    }
}

fn pieces(pattern: &str, fold: impl Fn(char) -> char) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern.chars();
    while let Some(one) = rest.next() {
        pieces.push(match one {
            '*' => Piece::Any,
            '?' => Piece::One,
            '`' => Piece::Is(rest.next().map_or('`', &fold)),
            '[' => match rest.as_str().split_once(']') {
                Some((set, after)) if !set.is_empty() => {
                    rest = after.chars();
                    Piece::Of(ranges(set, &fold))
                }
                _ => Piece::Is('['),
            },
            other => Piece::Is(fold(other)),
        });
    }
    pieces
}

fn ranges(set: &str, fold: impl Fn(char) -> char) -> Vec<(char, char)> {
    let set: Vec<char> = set.chars().map(fold).collect();
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            ranges.push((set[at], set[at + 2]));
            at += 3;
        } else {
            ranges.push((set[at], set[at]));
            at += 1;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_cover_whole_texts() {
        // SH-23
        for (text, pattern, is) in [
            ("SMTP:*;10", "smtp:*;10", true),
            ("MBX01", "MBX*", true),
            ("MBX01", "mbx??", true),
            ("MBX01", "mbx?", false),
            ("MBX01", "[a-m]bx[0-1]1", true),
            ("a*b", "a`*b", true),
            ("axb", "a`*b", false),
            ("", "*", true),
            ("", "?", false),
            ("aXbXc", "*x*c", true),
            ("[", "[", true),
        ] {
            assert_eq!(like(text, pattern, false), is, "{text} -like {pattern}");
        }
        assert!(!like("MBX01", "mbx*", true));
    }
}
