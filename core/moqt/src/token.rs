//! Authorization tokens (Section 10.2.2).

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{SessionCode, Violation, varint, wire::Reader};

/// Bytes of cache that a registered token takes besides its value (Section 10.3.1.3).
const ENTRY_OVERHEAD: u64 = 16;

/// A token as it is on the wire. Applications send [`Token::value`] and, in
/// events, see nothing else: the session resolves aliases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// Forget the token with this alias.
    Delete {
        /// The alias to drop.
        alias: u64,
    },
    /// Use this token, and remember it under an alias.
    Register {
        /// The alias to register.
        alias: u64,
        /// The token's type, from the IANA registry.
        kind: u64,
        /// The token's bytes.
        value: Bytes,
    },
    /// Use the token remembered under this alias.
    UseAlias {
        /// The alias of a registered token.
        alias: u64,
    },
    /// Use this token, without an alias.
    UseValue {
        /// The token's type; 0 is whatever both sides agreed on elsewhere.
        kind: u64,
        /// The token's bytes.
        value: Bytes,
    },
}

impl Token {
    /// Returns a token of a type agreed on elsewhere (type 0), such as a JWT.
    pub fn value(value: impl Into<Bytes>) -> Self {
        Self::UseValue { kind: 0, value: value.into() }
    }

    pub(crate) fn decode(value: Bytes) -> Result<Self, Violation> {
        const SHORT: Violation = Violation::formatting("a token shorter than its alias type promises");
        let mut reader = Reader::new(value);
        let varint = |reader: &mut Reader| reader.varint().map_err(|_| SHORT);
        let token = match varint(&mut reader)? {
            0 => Self::Delete { alias: varint(&mut reader)? },
            1 => Self::Register {
                alias: varint(&mut reader)?,
                kind: varint(&mut reader)?,
                value: reader.rest(),
            },
            2 => Self::UseAlias { alias: varint(&mut reader)? },
            3 => Self::UseValue { kind: varint(&mut reader)?, value: reader.rest() },
            _ => return Err(Violation::formatting("a token with an unknown alias type")),
        };
        if !reader.is_empty() {
            return Err(Violation::formatting("a token longer than its alias type promises"));
        }
        Ok(token)
    }

    /// The token behind its length, as both SETUP and parameters carry it.
    pub(crate) fn encode_prefixed(&self, out: &mut BytesMut) {
        let (head, value): (&[u64], &[u8]) = match self {
            Self::Delete { alias } => (&[0, *alias], &[]),
            Self::Register { alias, kind, value } => (&[1, *alias, *kind], value),
            Self::UseAlias { alias } => (&[2, *alias], &[]),
            Self::UseValue { kind, value } => (&[3, *kind], value),
        };
        let len: usize = head.iter().map(|n| varint::len(*n)).sum::<usize>() + value.len();
        varint::put(out, len as u64);
        for n in head {
            varint::put(out, *n);
        }
        out.put_slice(value);
    }
}

/// The message with this token is to be refused: its alias stands for nothing.
#[derive(Debug)]
pub(crate) struct UnknownAlias;

/// The tokens the peer registered, within the size we allowed.
#[derive(Debug)]
pub(crate) struct TokenCache {
    max: u64,
    used: u64,
    tokens: BTreeMap<u64, (u64, Bytes)>,
}

impl TokenCache {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, used: 0, tokens: BTreeMap::new() }
    }

    /// Replaces aliases by what they stand for. What the tokens register or
    /// delete holds whether or not the message is then refused.
    pub(crate) fn resolve(&mut self, tokens: &mut Vec<Token>) -> Result<Result<(), UnknownAlias>, Violation> {
        let mut outcome = Ok(());
        let mut resolved = Vec::with_capacity(tokens.len());
        for token in tokens.drain(..) {
            match token {
                Token::Register { alias, kind, value } => {
                    self.register(alias, kind, &value)?;
                    resolved.push(Token::UseValue { kind, value });
                }
                Token::Delete { alias } => match self.tokens.remove(&alias) {
                    Some((_, value)) => self.used -= ENTRY_OVERHEAD + value.len() as u64,
                    None => outcome = Err(UnknownAlias),
                },
                Token::UseAlias { alias } => match self.tokens.get(&alias) {
                    Some((kind, value)) => {
                        resolved.push(Token::UseValue { kind: *kind, value: value.clone() });
                    }
                    None => outcome = Err(UnknownAlias),
                },
                Token::UseValue { .. } => resolved.push(token),
            }
        }
        *tokens = resolved;
        Ok(outcome)
    }

    /// The tokens of a SETUP: no aliases to use yet, and one that does not fit
    /// is used without being remembered (Section 10.3.1.4).
    pub(crate) fn resolve_setup(&mut self, tokens: &mut [Token]) -> Result<(), Violation> {
        for token in tokens {
            match token {
                Token::Register { alias, kind, value } => {
                    match self.register(*alias, *kind, value) {
                        Err(violation) if violation.code != SessionCode::AUTH_TOKEN_CACHE_OVERFLOW => {
                            return Err(violation);
                        }
                        _ => {}
                    }
                    *token = Token::UseValue { kind: *kind, value: value.clone() };
                }
                Token::UseValue { .. } => {}
                Token::Delete { .. } | Token::UseAlias { .. } => {
                    return Err(Violation::protocol("a token alias used in SETUP"));
                }
            }
        }
        Ok(())
    }

    fn register(&mut self, alias: u64, kind: u64, value: &Bytes) -> Result<(), Violation> {
        if self.tokens.contains_key(&alias) {
            return Err(Violation::new(
                SessionCode::DUPLICATE_AUTH_TOKEN_ALIAS,
                "a token alias registered twice",
            ));
        }
        let size = ENTRY_OVERHEAD + value.len() as u64;
        if self.used + size > self.max {
            return Err(Violation::new(
                SessionCode::AUTH_TOKEN_CACHE_OVERFLOW,
                "more registered tokens than MAX_AUTH_TOKEN_CACHE_SIZE",
            ));
        }
        self.used += size;
        self.tokens.insert(alias, (kind, value.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(alias: u64, value: &'static str) -> Token {
        Token::Register { alias, kind: 7, value: Bytes::from(value) }
    }

    #[test]
    fn an_alias_stands_for_its_token_until_it_is_deleted() {
        let mut cache = TokenCache::new(100);
        let mut tokens = vec![register(1, "secret"), Token::UseAlias { alias: 1 }];
        cache.resolve(&mut tokens).unwrap().unwrap();
        let plain = Token::UseValue { kind: 7, value: Bytes::from("secret") };
        assert_eq!(tokens, [plain.clone(), plain]);

        cache.resolve(&mut vec![Token::Delete { alias: 1 }]).unwrap().unwrap();
        let mut gone = vec![Token::UseAlias { alias: 1 }];
        assert!(cache.resolve(&mut gone).unwrap().is_err());
        assert_eq!(cache.used, 0);
    }

    #[test]
    fn the_cache_has_a_size_and_aliases_are_not_reused() {
        let mut cache = TokenCache::new(30);
        cache.resolve(&mut vec![register(1, "ten bytes.")]).unwrap().unwrap();
        let twice = cache.resolve(&mut vec![register(1, "")]).unwrap_err();
        assert_eq!(twice.code, SessionCode::DUPLICATE_AUTH_TOKEN_ALIAS);
        let full = cache.resolve(&mut vec![register(2, "")]).unwrap_err();
        assert_eq!(full.code, SessionCode::AUTH_TOKEN_CACHE_OVERFLOW);
    }

    #[test]
    fn in_setup_a_token_that_does_not_fit_is_used_all_the_same() {
        let mut cache = TokenCache::new(0);
        let mut tokens = [register(1, "secret")];
        cache.resolve_setup(&mut tokens).unwrap();
        assert_eq!(tokens, [Token::UseValue { kind: 7, value: Bytes::from("secret") }]);
        assert!(cache.resolve_setup(&mut [Token::UseAlias { alias: 1 }]).is_err());
    }
}
