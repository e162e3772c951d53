//! Files of a form (RFC 7578), as browsers send them: the whole body is here already, bounded by whoever read it.

use memchr::memmem;

/// Parts of a form; more are none of ours.
const PARTS_MAX: usize = 200;
/// Octets of the head of a part.
const HEAD_MAX: usize = 4 * 1024;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// The name of a file, where it is one; empty where none was chosen.
    pub(crate) file: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// The boundary that a content type names.
pub(crate) fn boundary(kind: &str) -> Option<&str> {
    let rest = kind.strip_prefix("multipart/form-data")?;
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    // RFC 2046 §5.1.1
    (1..=70).contains(&value.len()).then_some(value)
}

/// The parts of a body; nothing where it is malformed or does not end.
pub(crate) fn parts(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let between = format!("\r\n--{boundary}").into_bytes();
    // The first stands at the beginning, without a line before it.
    let mut rest = body.strip_prefix(&between[2..])?;
    let mut all = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(all);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = memmem::find(rest.get(..rest.len().min(HEAD_MAX))?, b"\r\n\r\n")?;
        let (head, after) = (&rest[..head_end], &rest[head_end + 4..]);
        let end = memmem::find(after, &between)?;
        let (name, file) = names(std::str::from_utf8(head).ok()?)?;
        all.push(Part { name, file, body: after[..end].to_vec() });
        if all.len() > PARTS_MAX {
            return None;
        }
        rest = &after[end + between.len()..];
    }
}

/// The name of a field, and of a file.
fn names(head: &str) -> Option<(String, Option<String>)> {
    let is_it = |line: &&str| line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"));
    let line = head.split("\r\n").find(is_it)?;
    // Browsers write quotes in names as %22 (WHATWG HTML, multipart/form-data encoding).
    let value = |name: &str| {
        let start = line.find(&format!("; {name}=\""))? + name.len() + 4;
        Some(line[start..].split('"').next()?.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
    };
    Some((value("name")?, value("filename")))
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const BODY: &[u8] = b"--xX\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n--xX\r\n\
        content-disposition: form-data; name=\"files\"; filename=\"a %22b%22.csv\"\r\nContent-Type: text/csv\r\n\r\n1\r\n2\r\n\r\n--xX--\r\n";

    #[test]
    fn fields_and_files_are_taken_as_browsers_send_them() {
        // RFC 7578
        let all = parts(BODY, boundary("multipart/form-data; boundary=xX").unwrap()).unwrap();
        assert_eq!(all[0], Part { name: "token".into(), file: None, body: b"abc".to_vec() });
        assert_eq!(
            all[1],
            Part { name: "files".into(), file: Some("a \"b\".csv".into()), body: b"1\r\n2\r\n".to_vec() }
        );
        assert_eq!(parts(b"--xX--", "xX"), Some(Vec::new()));
        for kind in ["multipart/form-data", "multipart/form-data; boundary=", "text/plain; boundary=x"] {
            assert_eq!(boundary(kind), None, "{kind}");
        }
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        let seed = 20_261_130;
        let mut random = StdRng::seed_from_u64(seed);
        // Every beginning that lacks the end, and bodies in which an octet is another.
        for end in 0..BODY.len() - 4 {
            assert_eq!(parts(&BODY[..end], "xX"), None, "{end}");
        }
        for case in 0..2_000 {
            let mut body = BODY.to_vec();
            let at = random.random_range(0..body.len());
            body[at] = random.random();
            if let Some(all) = parts(&body, "xX") {
                assert!(all.len() <= 2, "seed {seed}, case {case}");
            }
        }
    }
}
