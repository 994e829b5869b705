//! Revocations: tokens that are no longer valid, before their time.

use serde::{Deserialize, Serialize};

use crate::claims::Claims;
use crate::scope::{EdgeNumber, Scope};

/// Entries in a list of revocations, at most.
pub const MAX_REVOCATIONS: usize = 4096;

/// One entry: it revokes the tokens that match all of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The one token with this `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub jti: Option<String>,
    /// The tokens of the holder with this `sub`, or with this name if they have none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub subject: Option<String>,
    /// The tokens that the key with this `kid` signed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub kid: Option<String>,
    /// The tokens of this edge, and those that its keys signed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub edge: Option<EdgeNumber>,
    /// Only tokens issued before this time, in seconds of Unix time. A token that does not say when it was issued is
    /// older than any time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub before: Option<u64>,
}

impl Revocation {
    /// Returns whether the entry names a token, a holder, a key or an edge.
    pub fn is_usable(&self) -> bool {
        self.jti.is_some() || self.subject.is_some() || self.kid.is_some() || self.edge.is_some()
    }

    /// Returns whether the entry revokes a token, by its claims, its key and that key's scope.
    fn matches(&self, claims: &Claims, kid: &str, scope: Option<&Scope>) -> bool {
        let is = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| has == Some(wanted))
        };
        let is_edges = self.edge.is_none_or(|edge| {
            claims.edge_number() == Some(edge) || scope.is_some_and(|scope| scope.edge == Some(edge))
        });
        self.is_usable()
            && is(&self.jti, claims.jti.as_deref())
            && is(&self.subject, Some(claims.sub.as_deref().unwrap_or(&claims.name)))
            && is(&self.kid, Some(kid))
            && is_edges
            && self.before.is_none_or(|before| claims.iat.unwrap_or_default() < before)
    }
}

/// A list of revocations: the file `revoked.json` in a folder of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    /// The entries. Each revokes on its own.
    pub revoked: Vec<Revocation>,
}

impl Revocations {
    /// Reads a list from JSON. Returns the fault as text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let list: Self =
            serde_json::from_str(text).map_err(|error| format!("it is no list of revocations: {error}"))?;
        if list.revoked.len() > MAX_REVOCATIONS {
            return Err(format!("it has more than {MAX_REVOCATIONS} entries; delete those that are over"));
        }
        match list.revoked.iter().position(|entry| !entry.is_usable()) {
            Some(at) => Err(format!("entry {} has neither jti, subject, kid nor edge", at + 1)),
            None => Ok(list),
        }
    }

    /// Returns the list as JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns whether an entry revokes a token.
    pub(crate) fn has(&self, claims: &Claims, kid: &str, scope: Option<&Scope>) -> bool {
        self.revoked.iter().any(|entry| entry.matches(claims, kid, scope))
    }
}
