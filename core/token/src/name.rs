//! Names in tokens, cleaned as the names are that fans choose.

use std::borrow::Cow;

use wire::limits;

/// Combining marks on one letter, at most. No language uses more: they would smear over the neighbours.
const MARKS: usize = 4;

/// Returns a name without control characters, line separators, characters that are invisible or that change the
/// direction of the text after them, and without marks that smear; no longer than a name may be.
pub fn clean_name(name: &str) -> Cow<'_, str> {
    let cut = &name[..name.floor_char_boundary(limits::NAME)];
    if cut.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(cut.trim());
    }
    let mut marks = 0;
    let kept = name.chars().filter(|c| {
        marks = if is_mark(*c) { marks + 1 } else { 0 };
        !is_hidden(*c) && marks <= MARKS
    });
    let mut name: String = kept.collect();
    name.truncate(name.floor_char_boundary(limits::NAME));
    Cow::Owned(name.trim().to_owned())
}

/// Returns whether a character is invisible, or affects text outside the name (Unicode TR 9, section 2.4). Joiners are
/// kept, since languages and emoji need them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{61c}' | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}'
                | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}'
        )
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}
