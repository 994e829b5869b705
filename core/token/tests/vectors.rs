//! Signatures of published test vectors verify.

use token::{Error, Keys};

/// RFC 8037, appendix A: its key, and the signature of its example, whose payload is no JWT's.
#[test]
fn the_signature_of_rfc_8037_is_right() {
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"rfc",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let keys = Keys::parse(set).expect("a key set");
    let right = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let wrong = right.replace("hgyY", "hgyZ");
    assert!(matches!(keys.verify(right, crate::NOW), Err(Error::Malformed(why)) if why.contains("payload")));
    assert!(matches!(keys.verify(&wrong, crate::NOW), Err(Error::BadSignature { .. })));
}

/// RFC 7515, appendix A.3: a JWT with ES256, whose claims another issuer chose.
#[test]
fn the_signature_of_rfc_7515_is_right() {
    let set = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"rfc",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}"#;
    let keys = Keys::parse(set).expect("a key set");
    let right = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let wrong = right.replace("DtEh", "DtEi");
    assert!(matches!(keys.verify(right, crate::NOW), Err(Error::Malformed(why)) if why.contains("room")));
    assert!(matches!(keys.verify(&wrong, crate::NOW), Err(Error::BadSignature { .. })));
}
