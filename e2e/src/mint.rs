//! Tokens that the API server would take for its own, signed with its key: what nobody outside of a test can make.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::Value;

/// Names the file with the key that signs service accounts' tokens.
const KEY: &str = "YAGURA_SIGNING_KEY";

/// The same token with other times, in seconds since the Unix epoch.
pub fn with_times(token: &str, issued: i64, expires: i64) -> Result<String> {
    let mut parts = token.split('.');
    let (head, claims) = parts.next().zip(parts.next()).context("not a token")?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    claims["iat"] = issued.into();
    claims["nbf"] = issued.into();
    claims["exp"] = expires.into();
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?));
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key()?, &random)
        .map_err(|rejected| anyhow::anyhow!("the signing key is not usable: {rejected}"))?;
    let signature = key
        .sign(&random, signed.as_bytes())
        .map_err(|unspecified| anyhow::anyhow!("cannot sign: {unspecified}"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn key() -> Result<Vec<u8>> {
    let path = std::env::var_os(KEY)
        .with_context(|| format!("{KEY} is not set: name the key that signs tokens of service accounts"))?;
    let pem = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", std::path::Path::new(&path).display()))?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).context("the signing key is not PEM")
}
