//! The texts of the watch page, in each of its languages.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

fn www() -> Result<std::path::PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?.join("www"))
}

fn messages(language: &str) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(www()?.join(format!("messages/{language}.json")))?;
    let keys = text.lines().filter(|line| line.trim_start().starts_with('"')).count();
    let messages: Map<String, Value> = serde_json::from_str(&text)?;
    assert_eq!(messages.len(), keys, "a key is twice in {language}");
    Ok(messages)
}

/// The names of the values in a message.
fn placeholders(message: &str) -> BTreeSet<&str> {
    message.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

#[test]
fn every_language_says_the_same() -> Result<()> {
    let (english, chinese) = (messages("en")?, messages("zh-CN")?);
    assert!(english.keys().eq(chinese.keys()), "other keys, or in another order");
    for (key, message) in &english {
        let (message, other) =
            (message.as_str().context(key.clone())?, chinese[key].as_str().unwrap_or_default());
        assert_eq!(placeholders(message), placeholders(other), "{key}");
        assert!(!message.is_empty() && !other.is_empty(), "{key} is empty");
    }
    Ok(())
}

#[test]
fn every_message_is_used_and_every_rejection_explained() -> Result<()> {
    let mut page = String::new();
    for file in fs::read_dir(www()?)? {
        let path = file?.path();
        if path.extension().is_some_and(|kind| kind == "js" || kind == "html") {
            page.push_str(&fs::read_to_string(path)?);
        }
    }
    let types = www()?.with_file_name("client-wasm/js/index.d.ts");
    let types = fs::read_to_string(types)?;
    let codes =
        types.split_once("type RoomErrorCode =").context("no codes")?.1.split_once(';').context("no end")?.0;
    let codes: BTreeSet<&str> = codes.split('\'').skip(1).step_by(2).collect();
    let english = messages("en")?;
    for key in english.keys() {
        let used = match key.split_once('.') {
            Some(("error", code)) => codes.contains(code),
            Some(("role", role)) => types.contains(&format!("'{role}'")),
            _ => ['\'', '"'].iter().any(|quote| page.contains(&format!("{quote}{key}{quote}"))),
        };
        assert!(used, "{key} is not used");
    }
    for code in codes {
        assert!(english.contains_key(&format!("error.{code}")), "{code} is not explained");
    }
    for start in ["t('", "data-t=\"", "data-t-label=\"", "data-t-placeholder=\""] {
        let end = start.chars().next_back().unwrap_or('"');
        for (at, _) in page.match_indices(start) {
            let is_other = page[..at].ends_with(|before: char| before.is_alphanumeric());
            let key = page[at + start.len()..].split(end).next().unwrap_or_default();
            assert!(is_other || english.contains_key(key), "there is no {key}");
        }
    }
    Ok(())
}
