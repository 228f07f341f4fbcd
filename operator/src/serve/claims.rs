//! What a token says about itself, read without its key: only to refuse early what cannot be
//! right. Whether it is true is asked of the API server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::auth::Refusal;

/// Bytes of a token; the API server's are about 1 KiB.
const MAX_TOKEN: usize = 16 * 1_024;

/// The claims that are looked at.
#[derive(Debug, Deserialize)]
struct Payload {
    aud: Audience,
    exp: i64,
    sub: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Checks shape, audience, expiry and subject. Returns when the token expires, in seconds since
/// the Unix epoch.
pub(super) fn check(token: &str, audience: &str, subject: &str, now: i64) -> Result<i64, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::Malformed);
    }
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    let malformed = |_not_base64| Refusal::Malformed;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(malformed)?;
    let payload: Payload = serde_json::from_slice(&payload).map_err(|_not_claims| Refusal::Malformed)?;
    let ours = match &payload.aud {
        Audience::One(name) => name == audience,
        Audience::Many(names) => names.iter().any(|name| name == audience),
    };
    if !ours {
        return Err(Refusal::Audience);
    }
    if payload.exp <= now {
        return Err(Refusal::Expired);
    }
    if payload.sub != subject {
        return Err(Refusal::Subject);
    }
    Ok(payload.exp)
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::{Refusal, check};

    pub(in super::super) fn token(audience: &serde_json::Value, exp: i64, subject: &str) -> String {
        let payload = json!({"aud": audience, "exp": exp, "sub": subject, "iss": "test"});
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        format!("header.{payload}.signature")
    }

    #[test]
    fn a_token_that_cannot_be_right_is_refused_by_what_is_wrong() {
        let verdict = |token: &str| check(token, "ours", "sub", 100);
        assert_eq!(verdict(&token(&json!("ours"), 101, "sub")), Ok(101));
        assert_eq!(verdict(&token(&json!(["x", "ours"]), 101, "sub")), Ok(101));
        assert_eq!(verdict(&token(&json!(["x"]), 101, "sub")), Err(Refusal::Audience));
        assert_eq!(verdict(&token(&json!([]), 101, "sub")), Err(Refusal::Audience));
        assert_eq!(verdict(&token(&json!("ours"), 100, "sub")), Err(Refusal::Expired));
        assert_eq!(
            verdict(&token(&json!("ours"), 101, "other")),
            Err(Refusal::Subject)
        );
        for shape in ["", "a.b", "a.!.c", "a.e30.c", "a.b.c.d", &"x".repeat(20_000)] {
            assert_eq!(verdict(shape), Err(Refusal::Malformed), "{shape:.40}");
        }
    }
}
