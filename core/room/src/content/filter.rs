//! Blocked words and patterns, matched in one pass over a chat line.

use aho_corasick::{
    Input, Match,
    automaton::{Automaton as _, OverlappingState},
    nfa::contiguous::NFA,
};
use wire::{OnMatch, Pattern, Reason, limits};

/// Blocked words and patterns, compiled.
///
/// The filter folds a line into lower-case words with one space before and after each. A word that must stand
/// alone then simply has spaces around it, and one automaton searches for all patterns, in time that grows
/// with the line and not with the patterns. The filter searches for the part after a `*` inside a word in the
/// rest of that word.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    automaton: Option<NFA>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    action: OnMatch,
    /// Pieces that must follow in the same word, in order.
    rest: Vec<Vec<u8>>,
}

impl Filter {
    /// Compiles the patterns; fails with the reason for the first invalid one.
    pub(crate) fn new<'a>(patterns: impl IntoIterator<Item = Pattern<'a>>) -> Result<Self, Reason> {
        let (mut firsts, mut rules) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let mut pieces = pieces(pattern.text)?;
            firsts.push(pieces.remove(0));
            rules.push(Rule { action: pattern.action, rest: pieces });
        }
        if rules.len() > limits::PATTERNS {
            return Err(Reason::OutOfRange);
        }
        // `NFA::new` fails on more states than any list within the limits has.
        let automaton = if firsts.is_empty() { None } else { NFA::new(firsts).ok() };
        Ok(Self { automaton, rules })
    }

    /// Returns the action for a line, if a pattern matches. `folded` is memory to work in.
    pub(crate) fn check(&self, text: &str, folded: &mut Vec<u8>) -> Option<OnMatch> {
        self.check_with(text, folded, follows)
    }

    /// The check, with the search for a pattern's further pieces as an argument, so that a test can count its calls.
    fn check_with(
        &self,
        text: &str,
        folded: &mut Vec<u8>,
        mut follows: impl FnMut(&[u8], &[Vec<u8>]) -> bool,
    ) -> Option<OnMatch> {
        let automaton = self.automaton.as_ref()?;
        fold(text, folded);
        let line = Input::new(&folded[..]);
        let mut state = OverlappingState::start();
        let mut found = None;
        let mut tried = Tried::default();
        // The search fails only on an automaton that was not built for it.
        while automaton.try_find_overlapping(&line, &mut state).is_ok()
            && let Some(hit) = state.get_match()
        {
            let rule = &self.rules[hit.pattern().as_usize()];
            if found >= Some(rule.action) {
                continue;
            }
            let after = &folded[hit.end()..];
            if rule.rest.is_empty()
                || (tried.first_in_word(self.rules.len(), &hit, after) && follows(after, &rule.rest))
            {
                found = Some(rule.action);
                if found == Some(OnMatch::Reject) {
                    break;
                }
            }
        }
        found
    }
}

/// The word in which each rule was tried last. A rule that does not match at its first position in a word
/// does not match at a later one, and trying again would take time quadratic in the word.
#[derive(Default)]
struct Tried {
    /// The end of the word, by rule.
    in_word: Vec<usize>,
    /// The end of the word of the last hit. Hits come in the order of their ends, so that each word is searched once.
    word_end: usize,
}

impl Tried {
    fn first_in_word(&mut self, rules: usize, hit: &Match, after: &[u8]) -> bool {
        self.in_word.resize(rules, 0);
        if hit.end() > self.word_end {
            self.word_end = hit.end() + after.iter().position(|byte| *byte == b' ').unwrap_or(after.len());
        }
        std::mem::replace(&mut self.in_word[hit.pattern().as_usize()], self.word_end) != self.word_end
    }
}

/// Returns whether the pieces occur in the rest of a word, one after the other. A last piece that ends with a
/// space can match only at the word's end.
fn follows(mut rest: &[u8], pieces: &[Vec<u8>]) -> bool {
    for piece in pieces {
        let word = rest.iter().position(|byte| *byte == b' ').map_or(rest.len(), |end| end + 1);
        let starts = 0..word.min(rest.len());
        let Some(at) = starts.into_iter().find(|at| rest[*at..].starts_with(piece)) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// Splits a pattern into its literal parts, in the form of a folded line.
fn pieces(pattern: &str) -> Result<Vec<Vec<u8>>, Reason> {
    let pattern = pattern.trim();
    if pattern.len() > limits::PATTERN {
        return Err(Reason::TooLong { max: limits::PATTERN as u16 });
    }
    let parts: Vec<&str> = pattern.split('*').collect();
    let mut pieces = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let mut folded = Vec::new();
        fold(part, &mut folded);
        let mut piece = &folded[..];
        // A star, and a letter of a script without spaces, mark no edge of a word.
        let edge = |c: Option<char>| c.is_some_and(|c| !unspaced(c));
        if index > 0 && !part.starts_with(' ') || !edge(part.chars().next()) {
            piece = piece.strip_prefix(b" ").unwrap_or(piece);
        }
        if index + 1 < parts.len() && !part.ends_with(' ') || !edge(part.chars().last()) {
            piece = piece.strip_suffix(b" ").unwrap_or(piece);
        }
        if piece.iter().any(|byte| *byte != b' ') {
            pieces.push(piece.to_vec());
        }
    }
    if pieces.is_empty() { Err(Reason::Empty) } else { Ok(pieces) }
}

/// Returns whether the character's script writes words without spaces.
fn unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Folds to lower-case letters and digits; one space at each end, and in place of anything else.
fn fold(text: &str, out: &mut Vec<u8>) {
    out.clear();
    out.push(b' ');
    if text.is_ascii() {
        return fold_ascii(text.as_bytes(), out);
    }
    for c in text.chars() {
        // Full-width forms of ASCII would slip through: fold them to ASCII.
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            // Joiners do not separate words.
            '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => continue,
            c => c,
        };
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase() as u8);
        } else if c.is_alphanumeric() {
            for small in c.to_lowercase() {
                out.extend_from_slice(small.encode_utf8(&mut [0; 4]).as_bytes());
            }
        } else if out.last() != Some(&b' ') {
            out.push(b' ');
        }
    }
    if out.last() != Some(&b' ') {
        out.push(b' ');
    }
}

/// Returns a name without case, width, spaces and signs; a name of signs alone as it is.
pub(crate) fn folded_name(name: &str) -> Box<[u8]> {
    let mut folded = Vec::new();
    fold(name, &mut folded);
    folded.retain(|byte| *byte != b' ');
    if folded.is_empty() { name.as_bytes().into() } else { folded.into() }
}

/// Folded form of each ASCII character.
const FOLDED: [u8; 128] = {
    let mut folded = [b' '; 128];
    let mut at = 0u8;
    while at < 128 {
        if at.is_ascii_alphanumeric() {
            folded[at as usize] = at.to_ascii_lowercase();
        }
        at += 1;
    }
    folded
};

/// Folds pure ASCII, as most lines are, without a branch for each character.
fn fold_ascii(text: &[u8], out: &mut Vec<u8>) {
    out.resize(text.len() + 2, b' ');
    let (mut end, mut last) = (1, b' ');
    for byte in text {
        let folded = FOLDED[usize::from(byte & 0x7f)];
        out[end] = folded;
        end += usize::from(folded != b' ' || last != b' ');
        last = folded;
    }
    end += usize::from(last != b' ');
    out[end - 1] = b' ';
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> Filter {
        let patterns = patterns.iter().map(|text| Pattern { text, action: OnMatch::Reject });
        Filter::new(patterns).expect("patterns")
    }

    fn hit(pattern: &str, text: &str) -> bool {
        filter(&[pattern]).check(text, &mut Vec::new()).is_some()
    }

    #[test]
    fn blocked_lines_are_folded() {
        let folded = |text: &str| {
            let mut out = Vec::new();
            fold(text, &mut out);
            String::from_utf8(out).expect("text")
        };
        for text in ["", " ", "a", "A b", " a  b ", "!a!", "a!", "--", "a.b:C", "x1  "] {
            let same = folded(text);
            // A letter outside ASCII makes the same line take the slow path.
            let long = folded(&format!("{text} ß"));
            assert_eq!(long, format!("{} ß ", same.trim_end()), "{text:?}");
            assert!(same.starts_with(' ') && same.ends_with(' ') && !same.contains("  "), "{same:?}");
        }
        assert_eq!(folded("Hello, World!"), " hello world ");
    }

    #[test]
    fn blocked_words_stand_alone() {
        for text in ["spam", "SPAM!", "no spam, please", "(Spam)", "ｓｐａｍ", "sp\u{200d}am"] {
            assert!(hit("spam", text), "{text}");
        }
        for text in ["spammer", "antispam", "spa m", "s", ""] {
            assert!(!hit("spam", text), "{text}");
        }
        assert!(hit("ÄRGER", "viel ärger hier"));
        assert!(!hit("ass", "a classic pass"), "part of an innocent word");
    }

    #[test]
    fn blocked_stars() {
        assert!(hit("spam*", "spammer") && hit("spam*", "spam") && !hit("spam*", "antispam"));
        assert!(hit("*spam", "antispam") && !hit("*spam", "spammer"));
        assert!(hit("*spam*", "antispammer"));
        assert!(hit("f*k", "FrEaK it") && hit("f*k", "fk") && !hit("f*k", "f k") && !hit("f*k", "freaky"));
        assert!(hit("a*b*c", "aXXbXXc") && !hit("a*b*c", "aXXcXXb") && !hit("a*b*c", "ab c"));
        assert!(hit("f*k", "fakk"), "the first k is not the last");
    }

    #[test]
    fn blocked_phrases() {
        assert!(hit("free money", "get FREE -- money now") && !hit("free money", "free the money"));
        assert!(hit("free mon*", "free monkeys"));
    }

    #[test]
    fn blocked_without_spaces_between_words() {
        assert!(hit("垃圾", "这是垃圾吗"));
        assert!(hit("バカ", "あなたはバカです"));
    }

    #[test]
    fn blocked_hold_or_reject() {
        let hold = Pattern { text: "maybe", action: OnMatch::Hold };
        let reject = Pattern { text: "never", action: OnMatch::Reject };
        let filter = Filter::new([hold, reject]).expect("patterns");
        let check = |text| filter.check(text, &mut Vec::new());
        assert_eq!(check("well"), None);
        assert_eq!(check("maybe"), Some(OnMatch::Hold));
        assert_eq!(check("maybe never"), Some(OnMatch::Reject));
        assert_eq!(check("never maybe"), Some(OnMatch::Reject));
    }

    #[test]
    fn blocked_patterns_that_are_none() {
        let new = |text| Filter::new([Pattern { text, action: OnMatch::Reject }]).err();
        assert_eq!(new(""), Some(Reason::Empty));
        assert_eq!(new("***"), Some(Reason::Empty));
        assert_eq!(new("!?"), Some(Reason::Empty));
        assert!(matches!(new(&"x".repeat(65)), Some(Reason::TooLong { .. })));
        let many = std::iter::repeat_n(Pattern { text: "x", action: OnMatch::Reject }, 501);
        assert_eq!(Filter::new(many).err(), Some(Reason::OutOfRange));
        assert!(Filter::new([]).expect("no patterns").check("x", &mut Vec::new()).is_none());
    }

    /// A backtracking matcher tries these patterns at every letter, and takes time with a power of the line.
    #[test]
    fn hostile_patterns_are_tried_once_in_each_word() {
        let hostile: Vec<String> = (1..=30).map(|n| format!("{}*b", "*a".repeat(n))).collect();
        let filter = filter(&hostile.iter().map(String::as_str).collect::<Vec<_>>());
        for word in [limits::TEXT, 100, 4, 1] {
            let words = (limits::TEXT / (word + 1)).max(1);
            let line = vec!["a".repeat(word); words].join(" ");
            let mut tries = 0;
            let found = filter.check_with(&line, &mut Vec::new(), |after, pieces| {
                tries += 1;
                follows(after, pieces)
            });
            assert_eq!(found, None, "no b follows");
            assert_eq!(tries, hostile.len() * words, "{words} words of {word} letters");
        }
    }
}
