//! What every answer has with it, unless it says otherwise.

use axum::http::{HeaderName, HeaderValue};

/// The same file goes to Cloudflare with the pages, in the form that is read there.
const FILE: &str = include_str!("../../_headers");

/// The headers of the file.
pub(crate) fn headers() -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse().ok()?, HeaderValue::from_static(value)))
    })
}

/// Its lines that are one; what they are for is not indented.
fn lines() -> impl Iterator<Item = &'static str> {
    FILE.lines().filter(|line| line.starts_with(' ')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_header_for_every_path() {
        assert!(lines().count() > 0);
        assert_eq!(headers().count(), lines().count(), "{FILE}");
        let paths: Vec<_> =
            FILE.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '#'])).collect();
        assert_eq!(paths, ["/*"]);
    }
}
