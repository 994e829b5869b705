//! Refusals, and the token and address that the server receives.

use creator::Error;
use moqt::{RequestCode, Token, message::RequestError};

use crate::server::{Fan, Server, Way, demo, publish, within};

#[tokio::test]
async fn a_refusal_is_an_error_with_its_reason() {
    for scheme in ["moqt", "https"] {
        let server = Server::start();
        let mut fan = Fan::new(Way::Subscribe, |_| false);
        let reason = "room \"tests/loopback\" is live with creator \"ada\"";
        fan.refusal = Some(RequestError::new(RequestCode::UNINTERESTED, reason));
        let mut options = server.options(scheme);
        options.token = Some("header.claims.signature".to_owned());
        options.takeover = true;
        let publishing = publish(options, demo());
        let (outcome, _) = within(async { tokio::join!(publishing, server.serve(&mut fan)) }).await;

        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.ends_with(reason), "{text}");
        assert!(!text.contains("signature"), "the token stays between us: {text}");

        let setup = fan.setup.unwrap();
        assert_eq!(setup.tokens, [Token::value("header.claims.signature")]);
        assert!(setup.implementation.unwrap().starts_with(b"fanfare/"));
        let query = "takeover=1";
        match fan.url {
            Some(url) => assert_eq!(url.query(), Some(query)),
            None => assert_eq!(setup.path.unwrap(), format!("/stage?{query}")),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error() {
    let server = Server::start();
    let mut options = server.options("moqt");
    drop(server);
    options.token = Some("secret".to_owned());
    let error = within(publish(options, demo())).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot connect to moqt://127.0.0.1:"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
