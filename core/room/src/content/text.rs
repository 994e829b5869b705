//! Allowed characters of a text, and their number as users perceive them.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;
use wire::{Reason, limits};

/// Combining marks on one letter, at most. No language uses more: they would smear over the neighbours.
const MARKS: usize = 4;

/// Treatment of a character.
#[derive(PartialEq, Eq)]
enum Fate {
    Keep,
    /// Removed: it is invisible, or reverses the text that follows.
    Drop,
    /// Begins an isolate, a part with a direction of its own.
    Isolate,
    /// Ends an isolate.
    Pop,
    /// Combines with the letter before.
    Mark,
    /// Makes the text invalid: it cannot be part of one line.
    Refuse,
}

fn fate(c: char) -> Fate {
    match c {
        ' '..='\u{7e}' => Fate::Keep,
        c if c.is_control() => Fate::Refuse,
        // Separators of lines and paragraphs, and code points that are no characters.
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' => Fate::Refuse,
        '\u{2066}'..='\u{2068}' => Fate::Isolate,
        '\u{2069}' => Fate::Pop,
        // Embeddings and overrides are removed: only an isolate may change the direction, so that no name or
        // line affects text outside itself (Unicode TR 9, section 2.4). So are characters of zero width and
        // blank letters; not joiners, which languages and emoji need.
        '\u{202a}'..='\u{202e}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}' => Fate::Drop,
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}' => Fate::Mark,
        _ => Fate::Keep,
    }
}

/// Returns the text without invisible characters and with balanced isolates, or the reason for refusing it.
/// `max` counts characters as users perceive them.
pub(crate) fn clean(text: &str, max: usize) -> Result<Cow<'_, str>, Reason> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    let too_long = Reason::TooLong { max: max as u16 };
    if text.len() > limits::TEXT {
        return Err(too_long);
    }
    // The loop reads all bytes without a branch, so that the compiler can vectorise it.
    if text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        return if text.len() <= max { Ok(Cow::Borrowed(text)) } else { Err(too_long) };
    }
    let text = visible(text)?;
    let mut count = 0;
    for grapheme in text.graphemes(true) {
        if grapheme.len() > limits::GRAPHEME {
            return Err(Reason::Characters);
        }
        count += 1;
    }
    if count > max { Err(too_long) } else { Ok(text) }
}

fn visible(text: &str) -> Result<Cow<'_, str>, Reason> {
    let (mut open, mut marks, mut changed, mut seen) = (0usize, 0, false, false);
    for c in text.chars() {
        let fate = fate(c);
        marks = if fate == Fate::Mark { marks + 1 } else { 0 };
        if fate == Fate::Refuse || marks > MARKS {
            return Err(Reason::Characters);
        }
        match fate {
            Fate::Isolate => open += 1,
            Fate::Pop if open > 0 => open -= 1,
            Fate::Drop | Fate::Pop => changed = true,
            Fate::Keep | Fate::Mark | Fate::Refuse => {
                let joiner = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
                seen |= !joiner && !c.is_whitespace();
            }
        }
    }
    if !seen {
        return Err(Reason::Empty);
    }
    if !changed && open == 0 {
        return Ok(Cow::Borrowed(text));
    }
    let (mut out, mut open) = (String::with_capacity(text.len() + 3 * open), 0usize);
    for c in text.chars() {
        match fate(c) {
            Fate::Drop => continue,
            Fate::Isolate => open += 1,
            Fate::Pop if open == 0 => continue,
            Fate::Pop => open -= 1,
            _ => {}
        }
        out.push(c);
    }
    out.extend(std::iter::repeat_n('\u{2069}', open));
    Ok(Cow::Owned(out))
}

/// Returns whether a text consists of emoji and spaces only.
pub(crate) fn is_emoji(text: &str) -> bool {
    text.graphemes(true).filter(|grapheme| !grapheme.trim().is_empty()).all(|grapheme| {
        let keycap = grapheme.ends_with('\u{20e3}');
        keycap || grapheme.chars().next().is_some_and(pictographic)
    })
}

/// Returns whether the character is in a block with Extended_Pictographic characters (Unicode), or a flag.
fn pictographic(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}'
        | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}

/// Returns a hash that two different texts hardly ever have in common: enough to detect repetition.
pub(crate) fn fingerprint(text: &str) -> u64 {
    let mut hash = text.len() as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut mix = |word: u64| {
        hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
    };
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        mix(u64::from_le_bytes(*word));
    }
    mix(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> String {
        clean(text, 300).unwrap_or_else(|reason| panic!("{text:?}: {reason}")).into_owned()
    }

    #[test]
    fn text_as_it_is() {
        for text in
            ["hello", "加油！", "مرحبا", "नमस्ते", "שלום", "Việt Nam", "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽", "می‌خواهم", "e\u{301}"]
        {
            assert_eq!(ok(text), text);
            assert!(matches!(clean(text, 300), Ok(Cow::Borrowed(_))), "{text} is copied");
        }
        assert_eq!(ok("  spaces around \u{3000}"), "spaces around");
    }

    #[test]
    fn text_length_is_in_perceived_characters() {
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(clean(&family.repeat(3), 3).as_deref(), Ok(&*family.repeat(3)));
        assert_eq!(clean(&family.repeat(4), 3), Err(Reason::TooLong { max: 3 }));
        assert_eq!(clean("abcd", 3), Err(Reason::TooLong { max: 3 }));
        assert_eq!(clean(&"x".repeat(limits::TEXT + 1), 9999), Err(Reason::TooLong { max: 9999 }));
    }

    #[test]
    fn text_of_nothing() {
        for text in ["", "  ", "\u{200b}\u{feff}", "\u{3164}", "\u{200d}", "\u{2067}\u{2069}", "\u{202e}"] {
            assert_eq!(clean(text, 9), Err(Reason::Empty), "{text:?}");
        }
    }

    #[test]
    fn text_control_characters() {
        for text in ["a\0b", "a\nb", "a\tb", "a\u{7f}", "a\u{85}b", "a\u{1b}[31m", "a\u{2028}b", "x\u{ffff}"]
        {
            assert_eq!(clean(text, 9), Err(Reason::Characters), "{text:?}");
        }
    }

    #[test]
    fn text_direction_stays_inside() {
        assert_eq!(ok("a\u{202e}cba"), "acba", "an override");
        assert_eq!(ok("\u{2067}abc"), "\u{2067}abc\u{2069}", "an isolate left open");
        assert_eq!(ok("ab\u{2069}c\u{2066}d\u{2069}"), "abc\u{2066}d\u{2069}", "a pop of nothing");
    }

    #[test]
    fn text_smears() {
        assert_eq!(clean("z\u{300}\u{301}\u{302}\u{303}\u{304}", 9), Err(Reason::Characters));
        let joined = format!("a{}", "\u{200d}👍".repeat(20));
        assert_eq!(clean(&joined, 50), Err(Reason::Characters), "one character of 140 bytes");
    }

    #[test]
    fn text_emoji() {
        for text in ["🎉", "🎉 🎉", "👨‍👩‍👧‍👦", "🇩🇪", "3️⃣", "❤️", "👍🏽"]
        {
            assert!(is_emoji(text), "{text}");
        }
        for text in ["a", "🎉!", "3", "加油", "🎉 yes"] {
            assert!(!is_emoji(text), "{text}");
        }
    }

    #[test]
    fn text_fingerprints_differ() {
        let texts = ["", "a", "b", "ab", "ba", "abcdefgh", "abcdefghi", "abcdefgh\0", "bbcdefgh"];
        let mut all: Vec<_> = texts.iter().map(|text| fingerprint(text)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), texts.len());
    }
}
