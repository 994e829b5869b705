//! The HTTP headers of every answer that does not set them itself.

use axum::http::{HeaderName, HeaderValue};

/// The file of headers in the format of Cloudflare, which gets the same file with the pages.
const FILE: &str = include_str!("../../_headers");

/// Returns the headers of the file.
pub(crate) fn headers() -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse().ok()?, HeaderValue::from_static(value)))
    })
}

/// Returns the lines that are headers: they are indented, and the paths they are for are not.
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
