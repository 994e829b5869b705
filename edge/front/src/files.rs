//! The number of files that the process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most files that are asked for: more sockets than one node has clients.
const MOST: u64 = 1 << 20;

/// Raises the number of files that the process may open as far as the system lets it, and returns that number. Each
/// connection is a file, and the usual limit is 1,024.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(MOST), limit.maximum.unwrap_or(MOST));
    let wanted = hard.min(MOST);
    if wanted <= soft {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays at {soft}");
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        let now = raise_file_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current.unwrap_or(MOST), now);
        assert!(now == MOST || now >= limit.maximum.unwrap_or(MOST).min(MOST));
    }
}
