//! Credentials: what a client presents, and what it proves.

use std::{borrow::Cow, fmt, net::IpAddr, rc::Rc};

use moqt::{Micros, Token, message::RequestError};
use token::{Claims, Verified};

use crate::{
    Platform,
    budget::{Pace, Payer},
};

/// The most tokens that are looked at for one session, those of its URL and of its SETUP together.
pub const MAX_TOKENS: usize = 2;

/// A token, and the outcome of its one verification.
pub struct Proof {
    /// The token.
    pub jwt: String,
    /// The verified token, or the reason for which it was refused.
    pub outcome: Result<Verified, token::Error>,
}

/// The credentials that a client presented, which its upstream session presents on its behalf.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The query of the URL that it connected to.
    pub query: Option<String>,
    /// The tokens of its SETUP.
    pub tokens: Vec<Token>,
    /// The outcome of the one verification of each token, if the node has keys.
    proofs: Rc<[Proof]>,
    payer: Option<(Rc<Payer>, Rc<dyn Platform>)>,
}

impl Credentials {
    /// Creates the credentials of a client that has not proven anything.
    pub fn new(query: Option<String>, tokens: Vec<Token>) -> Self {
        Self { query, tokens, proofs: Rc::default(), payer: None }
    }

    pub(crate) fn paid_by(mut self, payer: &Rc<Payer>, platform: &Rc<dyn Platform>) -> Self {
        self.payer = Some((Rc::clone(payer), Rc::clone(platform)));
        self
    }

    /// Returns the JSON Web Tokens: those of SETUP, then those of the query, at most [`MAX_TOKENS`].
    pub fn jwts(&self) -> Vec<Cow<'_, str>> {
        let in_setup = self.tokens.iter().filter_map(|token| match token {
            Token::UseValue { value, .. } | Token::Register { value, .. } => {
                String::from_utf8(value.to_vec()).ok()
            }
            Token::Delete { .. } | Token::UseAlias { .. } => None,
        });
        let in_query = form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes());
        let in_query = in_query.filter(|(key, _)| key == "jwt").map(|(_, value)| value);
        in_setup.map(Into::into).chain(in_query).take(MAX_TOKENS).collect()
    }

    /// Returns the query without the tokens in it: upstream they are said in SETUP.
    pub fn query_without_tokens(&self) -> Option<String> {
        let mut rest = form_urlencoded::Serializer::new(String::new());
        let pairs = form_urlencoded::parse(self.query.as_deref()?.as_bytes());
        rest.extend_pairs(pairs.filter(|(key, _)| key != "jwt"));
        Some(rest.finish()).filter(|rest| !rest.is_empty())
    }

    /// Verifies the tokens. It happens once for a session, since verifying costs the time of the thread that carries the
    /// media.
    pub(crate) fn verify(&mut self, keys: &token::Keys, now: wire::Micros) {
        let proof = |jwt: Cow<'_, str>| Proof { outcome: keys.examine(&jwt, now), jwt: jwt.into_owned() };
        self.proofs = self.jwts().into_iter().map(proof).collect();
    }

    /// Returns the client's tokens with what became of them; none if the node has no keys.
    pub fn proofs(&self) -> &[Proof] {
        &self.proofs
    }

    /// Returns the tokens that are valid.
    pub fn valid(&self) -> impl Iterator<Item = &Verified> {
        self.proofs.iter().filter_map(|proof| proof.outcome.as_ref().ok())
    }

    /// Returns whether an upstream may take what these keys do not: without any keys here, or with a token of another key.
    pub(crate) fn are_for_upstream(&self, has_keys: bool) -> bool {
        let is_known_false = |proof: &Proof| match &proof.outcome {
            Ok(_) | Err(token::Error::UnknownKey { .. }) => false,
            Err(_) => true,
        };
        !has_keys || self.proofs.iter().any(|proof| !is_known_false(proof))
    }

    /// Returns the first token that is valid, and still in its time.
    pub fn standing(&self, now: wire::Micros) -> Option<(&Verified, &str)> {
        let in_time = |token: &&Verified| token.claims.check_time(now).is_ok();
        self.proofs
            .iter()
            .find_map(|proof| Some((proof.outcome.as_ref().ok().filter(in_time)?, proof.jwt.as_str())))
    }

    /// Returns the claims of the first token that is valid, and still in its time.
    pub fn claims(&self, now: wire::Micros) -> Option<&Claims> {
        self.standing(now).map(|(token, _)| &token.claims)
    }

    /// Returns the one token that the client's upstream session presents: the first that is valid here, else the first.
    pub(crate) fn passed_on(&self) -> Option<Token> {
        let valid = self.proofs.iter().find(|proof| proof.outcome.is_ok()).map(|proof| proof.jwt.clone());
        valid.or_else(|| Some(self.jwts().into_iter().next()?.into_owned())).map(Token::value)
    }

    /// Returns the client's address, if the platform knows one.
    pub fn address(&self) -> Option<IpAddr> {
        self.payer.as_ref()?.0.address()
    }

    /// Charges the client's address for an identity that is minted for it.
    pub fn mint_stranger(&self) -> Result<(), RequestError> {
        let Some((payer, platform)) = &self.payer else { return Ok(()) };
        let now: Micros = platform.now();
        payer.pace(now, Pace::Strangers).map_err(RequestError::from)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens are secrets: only their number is written.
        f.debug_struct("Credentials").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_the_query_is_passed_on_in_setup_alone() {
        let query = Some("takeover=1&jwt=SECRET&room=a%20b".to_owned());
        let credentials = Credentials::new(query, Vec::new());
        assert_eq!(credentials.query_without_tokens().as_deref(), Some("takeover=1&room=a+b"));
        assert_eq!(credentials.passed_on(), Some(Token::value("SECRET")));
        assert_eq!(Credentials::new(Some("jwt=SECRET".into()), Vec::new()).query_without_tokens(), None);
    }
}
