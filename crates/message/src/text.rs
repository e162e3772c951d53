//! The words of a message, for whoever passes on words alone: a gateway of text messages, a chat.

use mail_parser::MessageParser;

/// Longest content that is read for its words. Ours: what is longer is no text message.
pub const TEXT_CONTENT_OCTETS_MAX: usize = 1 << 20;

/// The first text of a message, as plain text; nothing where there is none, or the message is too long.
#[must_use]
pub fn plain_text(content: &[u8]) -> Option<String> {
    if content.len() > TEXT_CONTENT_OCTETS_MAX {
        return None;
    }
    // Of the header only what says how parts are encoded: nothing else of it is decoded here.
    let parsed = MessageParser::new().with_mime_headers().parse(content)?;
    parsed.body_text(0).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_whatever_they_are_wrapped_in() {
        for (content, expected) in [
            ("Subject: a\r\n\r\nhello\r\n", Some("hello")),
            (
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n",
                Some("hello"),
            ),
            (
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>no</b>\r\n--b--\r\n",
                Some("hello"),
            ),
            ("Content-Type: text/html\r\n\r\n<p>hello</p>\r\n", Some("hello")),
        ] {
            let found = plain_text(content.as_bytes());
            assert_eq!(found.as_deref().map(str::trim), expected, "{content}");
        }
        assert_eq!(plain_text(&vec![b'a'; TEXT_CONTENT_OCTETS_MAX + 1]), None);
    }
}
