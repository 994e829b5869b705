//! Detection of links in a chat line.

/// Last labels of host names that make a word with a dot a link. `end.Next` is not one, though such names
/// exist: a missing space is more frequent in chat.
const ENDS: [&[u8]; 28] = [
    b"app", b"be", b"biz", b"cn", b"co", b"com", b"de", b"dev", b"edu", b"gg", b"gl", b"info", b"io", b"jp",
    b"link", b"live", b"ly", b"me", b"net", b"online", b"org", b"ru", b"shop", b"site", b"top", b"tv", b"uk",
    b"xyz",
];

/// Returns whether the text has something that a page or a person would take for a link.
pub(crate) fn has_link(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Most lines have neither a dot nor a colon.
    if !bytes.iter().fold(false, |found, byte| found | matches!(byte, b'.' | b':')) {
        return false;
    }
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b':' => bytes[at..].starts_with(b"://") && at > 0 && bytes[at - 1].is_ascii_alphanumeric(),
        b'.' => at > 0 && is_link_dot(&bytes[..at], &bytes[at + 1..]),
        _ => false,
    })
}

/// Returns whether a dot belongs to a host name, from the text before and after it.
fn is_link_dot(before: &[u8], after: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte >= 0x80;
    if !before.last().is_some_and(letter) {
        return false;
    }
    let www = before.len() >= 3 && before[before.len() - 3..].eq_ignore_ascii_case(b"www");
    let label = &after[..after.iter().position(|byte| !letter(byte)).unwrap_or(after.len())];
    (www && !label.is_empty()) || ENDS.iter().any(|end| label.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_seen() {
        for text in [
            "http://x",
            "see HTTPS://example.org/a",
            "www.example",
            "example.com",
            "go to Twitch.TV/me now",
            "a.b.co",
            "discord.gg/abc",
            "例子.com",
            "x.com.",
            "ftp://1.2.3.4",
        ] {
            assert!(has_link(text), "{text}");
        }
    }

    #[test]
    fn links_are_not_everywhere() {
        for text in
            ["hello", "well...no", "3.14", "end.Next one", "a:b", "://", ".com", "www", "no. me", "e.g. this"]
        {
            assert!(!has_link(text), "{text}");
        }
    }
}
