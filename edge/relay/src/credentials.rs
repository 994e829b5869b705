//! Credentials: what a client presents, and what it proves.

use std::{borrow::Cow, fmt, rc::Rc};

use moqt::{Micros, Token, message::RequestError};
use token::Claims;

use crate::{
    Platform,
    budget::{Pace, Payer},
};

/// The most tokens that are looked at for one session, those of its URL and of its SETUP together.
pub const MAX_TOKENS: usize = 2;

/// The credentials that a client presented, which its upstream session presents on its behalf.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The query of the URL that it connected to.
    pub query: Option<String>,
    /// The tokens of its SETUP.
    pub tokens: Vec<Token>,
    /// The outcome of the one verification, if the client presented a token and the node has keys.
    proof: Option<Rc<Result<Claims, token::Error>>>,
    payer: Option<(Rc<Payer>, Rc<dyn Platform>)>,
}

impl Credentials {
    /// Creates the credentials of a client that has not proven anything.
    pub fn new(query: Option<String>, tokens: Vec<Token>) -> Self {
        Self { query, tokens, proof: None, payer: None }
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

    /// Verifies the tokens: the first that is valid counts, else the last one's error. It happens once for a session,
    /// since verifying costs the time of the thread that carries the media.
    pub(crate) fn verify(&mut self, keys: &token::Keys, now: wire::Micros) {
        let mut proof = None;
        for jwt in self.jwts() {
            let verified = keys.verify(&jwt, now);
            let is_valid = verified.is_ok();
            proof = Some(Rc::new(verified));
            if is_valid {
                break;
            }
        }
        self.proof = proof;
    }

    /// Returns the claims that the client has proven, or the reason for which its token was refused. `None` if it has
    /// presented no token, or if the node has no keys.
    pub fn proof(&self) -> Option<Result<&Claims, &token::Error>> {
        self.proof.as_ref().map(|proof| (**proof).as_ref())
    }

    /// Returns the claims that the client has proven, while they are valid.
    pub fn claims(&self, now: wire::Micros) -> Option<&Claims> {
        self.proof()?.ok().filter(|claims| claims.check_time(now).is_ok())
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
