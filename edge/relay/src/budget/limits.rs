//! Limits: what one session, one address, one network and the node may have in use.

use moqt::Micros;

use super::{Kind, Pace};

/// A pace, with the most that may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one more may come.
    pub every: Micros,
    /// The most at once, after a quiet time.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { every: Micros(0), burst: 1 };

    /// So many a second, and so many at once.
    pub const fn per_second(count: u64, burst: u32) -> Self {
        Self { every: Micros(1_000_000 / count), burst }
    }

    /// So many an hour, and so many at once.
    pub const fn per_hour(count: u64, burst: u32) -> Self {
        Self { every: Micros(3_600_000_000 / count), burst }
    }
}

/// The share of one payer: a session, an address, a network or all sessions of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Sessions that are open.
    pub sessions: u64,
    /// Requests that are open, of any type.
    pub requests: u64,
    /// Tracks that are requested from a publisher, or the upstream, and not live. The session pays that was the first to
    /// subscribe.
    pub held: u64,
    /// Subscriptions to tracks.
    pub tracks: u64,
    /// Fetches under way.
    pub fetches: u64,
    /// Namespaces and tracks that are published.
    pub publications: u64,
    /// Subscriptions to namespaces, and to all tracks of one.
    pub interests: u64,
    /// Bytes of groups that a publisher has not followed by a newer one. An object costs 128 bytes beside its payload,
    /// a subgroup 512.
    pub open_bytes: u64,
    /// Bytes of answers to fetches that wait for the client.
    pub fetch_bytes: u64,
    /// Bytes of messages, such as answers to requests, that the client does not read. A session beyond it ends.
    pub unread_bytes: u64,
    /// Sessions upstream on behalf of a client that publishes: a client has one.
    pub behalf: u64,
    /// Sessions that are opened.
    pub session_rate: Rate,
    /// Requests that are made.
    pub request_rate: Rate,
    /// Tokens that are verified.
    pub token_rate: Rate,
    /// Identities that are minted for clients without a token.
    pub stranger_rate: Rate,
    /// Sessions that are opened upstream on behalf of a client.
    pub behalf_rate: Rate,
}

const MIB: u64 = 1 << 20;

impl Share {
    /// No limits.
    pub const UNLIMITED: Self = Self {
        sessions: u64::MAX,
        requests: u64::MAX,
        held: u64::MAX,
        tracks: u64::MAX,
        fetches: u64::MAX,
        publications: u64::MAX,
        interests: u64::MAX,
        open_bytes: u64::MAX,
        fetch_bytes: u64::MAX,
        unread_bytes: u64::MAX,
        behalf: u64::MAX,
        session_rate: Rate::UNLIMITED,
        request_rate: Rate::UNLIMITED,
        token_rate: Rate::UNLIMITED,
        stranger_rate: Rate::UNLIMITED,
        behalf_rate: Rate::UNLIMITED,
    };

    /// A session of a fan: a page has about eight tracks for each room that it shows, and rewinds with one fetch.
    pub const FAN: Self = Self {
        sessions: 1,
        requests: 128,
        held: 32,
        tracks: 64,
        fetches: 4,
        publications: 16,
        interests: 4,
        open_bytes: 8 * MIB,
        fetch_bytes: 8 * MIB,
        unread_bytes: MIB / 8,
        request_rate: Rate::per_second(10, 50),
        ..Self::UNLIMITED
    };

    /// A session of a creator, with renditions, their groups and a studio page that watches.
    pub const CREATOR: Self = Self {
        sessions: 1,
        requests: 1_024,
        held: 64,
        tracks: 256,
        fetches: 16,
        publications: 256,
        interests: 16,
        open_bytes: 256 * MIB,
        fetch_bytes: 16 * MIB,
        unread_bytes: MIB,
        request_rate: Rate::per_second(100, 1_000),
        ..Self::UNLIMITED
    };

    /// A session of an edge, which asks for what all its fans want.
    pub const EDGE: Self = Self {
        sessions: 1,
        requests: 8_192,
        held: 1_024,
        tracks: 8_192,
        fetches: 256,
        publications: 8_192,
        interests: 1_024,
        open_bytes: 512 * MIB,
        fetch_bytes: 256 * MIB,
        unread_bytes: 8 * MIB,
        request_rate: Rate::per_second(2_000, 8_000),
        ..Self::UNLIMITED
    };

    /// An address: IPv4 /32 or IPv6 /64. Behind one there may be a household, a classroom, or a thousand phones of a
    /// carrier: many sessions, each of which asks little. A bot farm has many sessions that ask much, and is stopped
    /// by what they do together.
    pub const ADDRESS: Self = Self {
        sessions: 2_048,
        requests: 16_384,
        held: 128,
        tracks: 16_384,
        fetches: 64,
        publications: 64,
        interests: 256,
        open_bytes: 32 * MIB,
        fetch_bytes: 16 * MIB,
        unread_bytes: 4 * MIB,
        behalf: 16,
        session_rate: Rate::per_second(100, 2_048),
        request_rate: Rate::per_second(500, 8_192),
        token_rate: Rate::per_second(50, 2_048),
        stranger_rate: Rate::per_hour(1_000, 2_048),
        behalf_rate: Rate::per_second(1, 16),
    };

    /// A network: IPv4 /24 or IPv6 /48, four addresses' worth.
    pub const NETWORK: Self = Self {
        sessions: 8_192,
        requests: 65_536,
        held: 256,
        tracks: 65_536,
        fetches: 128,
        publications: 128,
        interests: 1_024,
        open_bytes: 64 * MIB,
        fetch_bytes: 24 * MIB,
        unread_bytes: 8 * MIB,
        behalf: 64,
        session_rate: Rate::per_second(400, 8_192),
        request_rate: Rate::per_second(2_000, 32_768),
        token_rate: Rate::per_second(200, 8_192),
        stranger_rate: Rate::per_hour(4_000, 8_192),
        behalf_rate: Rate::per_second(4, 64),
    };

    /// All sessions whose SETUP has not come.
    pub const ARRIVING_OF_NODE: Self = Self { sessions: 4_096, ..Self::UNLIMITED };

    /// All fans of a node.
    pub const FANS_OF_NODE: Self = Self {
        sessions: 16_384,
        requests: 262_144,
        held: 2_048,
        tracks: 262_144,
        fetches: 256,
        publications: 512,
        interests: 4_096,
        open_bytes: 128 * MIB,
        fetch_bytes: 32 * MIB,
        unread_bytes: 32 * MIB,
        behalf: 256,
        ..Self::UNLIMITED
    };

    /// All creators of a node.
    pub const CREATORS_OF_NODE: Self =
        Self { sessions: 1_024, open_bytes: 1_024 * MIB, fetch_bytes: 64 * MIB, ..Self::UNLIMITED };

    /// All edges that follow a node.
    pub const EDGES_OF_NODE: Self =
        Self { sessions: 1_024, open_bytes: 1_024 * MIB, fetch_bytes: 512 * MIB, ..Self::UNLIMITED };

    /// A node's own sessions with its upstream.
    pub const UPSTREAM_OF_NODE: Self = Self { open_bytes: 1_024 * MIB, ..Self::UNLIMITED };

    pub(super) const fn amount(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Sessions => self.sessions,
            Kind::Requests => self.requests,
            Kind::Held => self.held,
            Kind::Tracks => self.tracks,
            Kind::Fetches => self.fetches,
            Kind::Publications => self.publications,
            Kind::Interests => self.interests,
            Kind::OpenBytes => self.open_bytes,
            Kind::FetchBytes => self.fetch_bytes,
            Kind::UnreadBytes => self.unread_bytes,
            Kind::Behalf => self.behalf,
        }
    }

    pub(super) const fn rate(&self, pace: Pace) -> Rate {
        match pace {
            Pace::Sessions => self.session_rate,
            Pace::Requests => self.request_rate,
            Pace::Tokens => self.token_rate,
            Pace::Strangers => self.stranger_rate,
            Pace::Behalf => self.behalf_rate,
        }
    }
}

/// The limits of a node, by payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One session of a fan.
    pub fan: Share,
    /// One session of a creator.
    pub creator: Share,
    /// One session of an edge.
    pub edge: Share,
    /// The fans of one address: IPv4 /32 or IPv6 /64.
    pub address: Share,
    /// The fans of one network: IPv4 /24 or IPv6 /48.
    pub network: Share,
    /// All sessions whose SETUP has not come.
    pub arriving: Share,
    /// All fans.
    pub fans: Share,
    /// All creators.
    pub creators: Share,
    /// All edges.
    pub edges: Share,
    /// The sessions with the upstream.
    pub upstream: Share,
}

impl Limits {
    /// No limits, for benchmarks.
    pub const UNLIMITED: Self = Self {
        fan: Share::UNLIMITED,
        creator: Share::UNLIMITED,
        edge: Share::UNLIMITED,
        address: Share::UNLIMITED,
        network: Share::UNLIMITED,
        arriving: Share::UNLIMITED,
        fans: Share::UNLIMITED,
        creators: Share::UNLIMITED,
        edges: Share::UNLIMITED,
        upstream: Share::UNLIMITED,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fan: Share::FAN,
            creator: Share::CREATOR,
            edge: Share::EDGE,
            address: Share::ADDRESS,
            network: Share::NETWORK,
            arriving: Share::ARRIVING_OF_NODE,
            fans: Share::FANS_OF_NODE,
            creators: Share::CREATORS_OF_NODE,
            edges: Share::EDGES_OF_NODE,
            upstream: Share::UPSTREAM_OF_NODE,
        }
    }
}
