//! Patterns of room names.

/// Names of rooms, in which `*` stands for any run of characters. A pattern that matches a room also covers the
/// namespaces below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPatterns(Vec<String>);

impl RoomPatterns {
    /// Returns whether a room, or one above it, matches a pattern.
    pub fn cover(&self, room: &str) -> bool {
        let ends = room.match_indices('/').map(|(at, _)| at).chain([room.len()]);
        ends.into_iter().any(|end| {
            let ancestor = &room[..end];
            self.0.iter().any(|pattern| matches(pattern, ancestor))
        })
    }

    /// The patterns as text.
    pub fn texts(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<String>> for RoomPatterns {
    fn from(patterns: Vec<String>) -> Self {
        Self(patterns)
    }
}

/// Returns whether `text` matches `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let Some((middle, tail)) = rest.rsplit_once('*') else {
        return text.len() >= rest.len() && text.ends_with(rest);
    };
    for part in middle.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.len() >= tail.len() && text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_patterns_cover_what_is_below() {
        let private = RoomPatterns::from(["staff", "vip-*", "a*b*c"].map(String::from).to_vec());
        for room in ["staff", "staff/cam", "vip-", "vip-1", "vip-1/x", "abc", "a--b--c"] {
            assert!(private.cover(room), "{room}");
        }
        for room in ["staffroom", "vip", "demo", "ab", "ac", "acb"] {
            assert!(!private.cover(room), "{room}");
        }
    }
}
