//! The HTTP headers of answers, by their paths: of every answer that does not set them itself.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header::Entry},
    middleware::Next,
    response::Response,
};

/// The file of headers in the format of Cloudflare, which gets the same file with the pages.
const FILE: &str = include_str!("../../_headers");

/// The headers of a path and, if it ends with `/*`, of all paths below it.
#[derive(Clone, Debug)]
struct Rule {
    path: &'static str,
    /// Headers of earlier rules that this one takes back.
    removed: Vec<HeaderName>,
    added: Vec<(HeaderName, HeaderValue)>,
}

/// The rules of the file, in its order. All that match a path count.
#[derive(Clone, Debug)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    /// Reads the file that the pages come with.
    pub(crate) fn of_pages() -> Self {
        Self::read(FILE)
    }

    fn read(file: &'static str) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        for line in file.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            match rules.last_mut() {
                Some(rule) if line.starts_with(' ') => rule.read(line.trim()),
                _ => rules.push(Rule { path: line, removed: Vec::new(), added: Vec::new() }),
            }
        }
        Self(rules)
    }

    /// Returns the headers of a path. A header that two rules add has both values, as on Cloudflare.
    fn of(&self, path: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for rule in self.0.iter().filter(|rule| rule.covers(path)) {
            for name in &rule.removed {
                headers.remove(name);
            }
            for (name, value) in &rule.added {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    /// Adds the headers of the request's path to its answer.
    pub(crate) async fn add(self, request: Request, next: Next) -> Response {
        let headers = self.of(request.uri().path());
        let mut response = next.run(request).await;
        for name in headers.keys() {
            if let Entry::Vacant(vacant) = response.headers_mut().entry(name) {
                let mut values = headers.get_all(name).iter().cloned();
                if let Some(first) = values.next() {
                    let mut entry = vacant.insert_entry(first);
                    values.for_each(|value| entry.append(value));
                }
            }
        }
        response
    }
}

impl Rule {
    fn read(&mut self, line: &'static str) {
        if let Some(name) = line.strip_prefix("! ") {
            self.removed.extend(name.parse().ok());
        } else if let Some((name, value)) = line.split_once(": ") {
            self.added.extend(name.parse().ok().map(|name| (name, HeaderValue::from_static(value))));
        }
    }

    fn covers(&self, path: &str) -> bool {
        // The slash before the star belongs to the paths that are meant.
        self.path.strip_suffix('*').map_or(self.path == path, |prefix| path.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str =
        "# A site\n/*\n  X-All: 1\n  X-Twice: a\n/in/*\n  ! X-All\n  X-Twice: b\n/in/one\n  X-One: 1\n";

    fn values(rules: &Rules, path: &str, name: &str) -> Vec<String> {
        rules.of(path).get_all(name).iter().map(|value| value.to_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn a_rule_is_for_its_path_or_for_all_below_it() {
        let rules = Rules::read(SITE);
        for (path, all, twice, one) in [
            ("/", vec!["1"], vec!["a"], vec![]),
            ("/in", vec!["1"], vec!["a"], vec![]),
            ("/inside", vec!["1"], vec!["a"], vec![]),
            ("/in/", vec![], vec!["a", "b"], vec![]),
            ("/in/one", vec![], vec!["a", "b"], vec!["1"]),
            ("/in/one/more", vec![], vec!["a", "b"], vec![]),
            ("//in/one", vec!["1"], vec!["a"], vec![]),
        ] {
            assert_eq!(values(&rules, path, "x-all"), all, "{path}");
            assert_eq!(values(&rules, path, "x-twice"), twice, "{path}");
            assert_eq!(values(&rules, path, "x-one"), one, "{path}");
        }
    }

    #[test]
    fn every_line_of_the_file_is_read() {
        let rules = Rules::of_pages();
        let paths: Vec<_> = rules.0.iter().map(|rule| rule.path).collect();
        assert_eq!(paths, ["/*", "/embed/*"]);
        let lines = FILE.lines().filter(|line| line.starts_with(' ')).count();
        let read: usize = rules.0.iter().map(|rule| rule.removed.len() + rule.added.len()).sum();
        assert_eq!(read, lines, "{FILE}");
    }

    #[test]
    fn other_sites_may_frame_embedded_pages_only() {
        let rules = Rules::of_pages();
        for (path, ancestors) in [
            ("/demo", "frame-ancestors 'self'"),
            ("/embed", "frame-ancestors 'self'"),
            ("/%65mbed/demo", "frame-ancestors 'self'"),
            ("/demo/embed/", "frame-ancestors 'self'"),
            ("/embed/demo", "frame-ancestors *"),
        ] {
            let policies = values(&rules, path, "content-security-policy");
            assert_eq!(policies.len(), 1, "{path}");
            assert!(policies[0].ends_with(ancestors), "{path}: {policies:?}");
        }
        let rest = |path| {
            values(&rules, path, "content-security-policy")[0]
                .rsplit_once(';')
                .map(|(rest, _)| rest.to_owned())
        };
        assert_eq!(rest("/demo"), rest("/embed/demo"), "all else is as in the other pages");
    }
}
