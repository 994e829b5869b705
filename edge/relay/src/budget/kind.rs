//! Kinds of what is charged: amounts in use, and paces.

/// Something of which a client has an amount in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    /// Open sessions.
    Sessions,
    /// Requests that are open, of any type.
    Requests,
    /// Subscriptions whose track is not live: they wait for a publisher.
    Held,
    /// Subscriptions to tracks.
    Tracks,
    /// Fetches under way.
    Fetches,
    /// Namespaces and tracks that are published.
    Publications,
    /// Subscriptions to namespaces, and to all tracks of one.
    Interests,
    /// Bytes of groups that a publisher has not followed by a newer one, so that they cannot be shed.
    OpenBytes,
    /// Bytes of answers to fetches that wait for the client.
    FetchBytes,
    /// Bytes of messages, such as answers to requests, that the client does not read.
    UnreadBytes,
    /// Sessions upstream on behalf of a client that publishes.
    Behalf,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub(crate) const ALL: [Self; 11] = [
        Self::Sessions,
        Self::Requests,
        Self::Held,
        Self::Tracks,
        Self::Fetches,
        Self::Publications,
        Self::Interests,
        Self::OpenBytes,
        Self::FetchBytes,
        Self::UnreadBytes,
        Self::Behalf,
    ];

    /// Returns the kind's name in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Requests => "requests",
            Self::Held => "held",
            Self::Tracks => "tracks",
            Self::Fetches => "fetches",
            Self::Publications => "publications",
            Self::Interests => "interests",
            Self::OpenBytes => "open_bytes",
            Self::FetchBytes => "fetch_bytes",
            Self::UnreadBytes => "unread_bytes",
            Self::Behalf => "behalf",
        }
    }

    /// Returns the kind in words, for the reason of a refusal.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Requests => "open requests",
            Self::Held => "subscriptions that wait for a publisher",
            Self::Tracks => "subscribed tracks",
            Self::Fetches => "fetches",
            Self::Publications => "published tracks and namespaces",
            Self::Interests => "subscriptions to namespaces",
            Self::OpenBytes => "bytes in groups that have not ended",
            Self::FetchBytes => "fetched bytes that wait",
            Self::UnreadBytes => "bytes of answers that are not read",
            Self::Behalf => "sessions upstream",
        }
    }
}

/// Something that a client may do so many times in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Pace {
    /// Sessions that are opened.
    Sessions,
    /// Requests that are made.
    Requests,
    /// Tokens that are verified.
    Tokens,
    /// Identities that are minted for strangers.
    Strangers,
    /// Sessions that are opened upstream on behalf of a client that publishes.
    Behalf,
}

impl Pace {
    /// All paces, in the order of their numbers.
    pub(crate) const ALL: [Self; 5] =
        [Self::Sessions, Self::Requests, Self::Tokens, Self::Strangers, Self::Behalf];

    /// Returns the pace's name in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Sessions => "sessions_pace",
            Self::Requests => "requests_pace",
            Self::Tokens => "tokens_pace",
            Self::Strangers => "strangers_pace",
            Self::Behalf => "behalf_pace",
        }
    }

    /// Returns the pace in words, for the reason of a refusal.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Sessions => "new sessions",
            Self::Requests => "new requests",
            Self::Tokens => "tokens to verify",
            Self::Strangers => "new strangers",
            Self::Behalf => "new sessions upstream",
        }
    }
}
