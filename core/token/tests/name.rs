//! Names in tokens are shown without what would deceive or disturb others.

use token::{Claims, Verified, clean_name, fan_id, holder};

use crate::claims;

#[test]
fn a_name_is_cleaned_of_controls_and_of_what_turns_the_text_after_it() {
    for (name, clean) in [
        ("ada", "ada"),
        ("  Ada Lovelace ", "Ada Lovelace"),
        ("a\u{1b}[2Jd\na\0", "a[2Jda"),
        ("\u{202e}ada\u{202c}", "ada"),
        ("a\u{200b}d\u{2060}a\u{feff}", "ada"),
        ("a\u{2066}d\u{2069}a", "ada"),
        ("e\u{301}", "e\u{301}"),
        ("z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}", "z\u{300}\u{301}\u{302}\u{303}"),
        ("\u{1f468}\u{200d}\u{1f469}", "\u{1f468}\u{200d}\u{1f469}"),
        ("אדה", "אדה"),
        ("\u{200b}", ""),
    ] {
        assert_eq!(clean_name(name), clean, "{name:?}");
    }
    assert_eq!(clean_name(&"é".repeat(200)), "é".repeat(64));
    assert_eq!(clean_name(&"e".repeat(200)), "e".repeat(128));
}

/// The identity depends on the name as the token has it: otherwise one could become another by an invisible letter.
#[test]
fn a_cleaned_name_is_nobody_elses_identity() {
    let (ada, hidden) = (claims(), Claims { name: "a\u{200b}da".into(), ..claims() });
    assert_ne!(fan_id(&ada), fan_id(&hidden));
    let token = Verified { claims: hidden.clone(), kid: String::new(), scope: None };
    let shown = holder(&token, "demo");
    assert_eq!(shown.identity().name, "ada");
    assert_eq!(shown.identity().id, fan_id(&hidden));
}
