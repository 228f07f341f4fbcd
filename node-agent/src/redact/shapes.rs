//! Tokens that tell themselves by how they begin, as their issuers document them.

use super::Span;
use super::mark::Kind;

/// A token's beginning, and what it is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// As it is written; case counts.
    pub(super) prefix: &'static str,
    /// What follows.
    class: Class,
    /// At least so many bytes follow. Fewer than the issuer says, since values are cut at their limits.
    least: usize,
    /// What a class and a length cannot say.
    check: fn(&[u8]) -> bool,
}

/// Bytes that a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Upper,
    Hex,
    Alnum,
    /// Base64 for URLs: letters, digits, `-` and `_`.
    Url,
    /// The same and `.`.
    Dotted,
    /// The same, `=`, `/`, `+` and `%`.
    Path,
}

impl Class {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Self::Path => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=' | b'/' | b'+' | b'%')
            }
        }
    }
}

const fn shape(kind: Kind, prefix: &'static str, class: Class, least: usize) -> Shape {
    Shape {
        kind,
        prefix,
        class,
        least,
        check: |_| true,
    }
}

const fn checked(shape: Shape, check: fn(&[u8]) -> bool) -> Shape {
    Shape { check, ..shape }
}

/// Every token that is known.
pub(super) const SHAPES: &[Shape] = &[
    // AWS Identity and Access Management, "unique identifiers": long-term and temporary access keys.
    checked(shape("aws-access-key", "AKIA", Class::Upper, 16), exactly_16),
    checked(shape("aws-access-key", "ASIA", Class::Upper, 16), exactly_16),
    checked(shape("aws-access-key", "ABIA", Class::Upper, 16), exactly_16),
    checked(shape("aws-access-key", "ACCA", Class::Upper, 16), exactly_16),
    shape("github-token", "ghp_", Class::Alnum, 16),
    shape("github-token", "gho_", Class::Alnum, 16),
    shape("github-token", "ghu_", Class::Alnum, 16),
    shape("github-token", "ghs_", Class::Alnum, 16),
    shape("github-token", "ghr_", Class::Alnum, 16),
    shape("github-token", "github_pat_", Class::Url, 16),
    shape("gitlab-token", "glpat-", Class::Dotted, 16),
    shape("gitlab-token", "gldt-", Class::Dotted, 16),
    shape("gitlab-token", "glrt-", Class::Dotted, 16),
    shape("gitlab-token", "glptt-", Class::Dotted, 16),
    shape("gitlab-token", "glft-", Class::Dotted, 16),
    shape("gitlab-token", "glcbt-", Class::Dotted, 16),
    shape("gitlab-token", "glsoat-", Class::Dotted, 16),
    shape("gitlab-token", "glagent-", Class::Dotted, 16),
    shape("slack-token", "xoxa-", Class::Url, 10),
    shape("slack-token", "xoxb-", Class::Url, 10),
    shape("slack-token", "xoxe-", Class::Url, 10),
    shape("slack-token", "xoxe.xoxp-", Class::Url, 10),
    shape("slack-token", "xoxo-", Class::Url, 10),
    shape("slack-token", "xoxp-", Class::Url, 10),
    shape("slack-token", "xoxr-", Class::Url, 10),
    shape("slack-token", "xoxs-", Class::Url, 10),
    shape("slack-token", "xapp-", Class::Url, 10),
    shape("slack-webhook", "hooks.slack.com/services/", Class::Path, 16),
    shape("slack-webhook", "hooks.slack.com/workflows/", Class::Path, 16),
    shape("discord-webhook", "discord.com/api/webhooks/", Class::Path, 16),
    shape("discord-webhook", "discordapp.com/api/webhooks/", Class::Path, 16),
    shape("google-api-key", "AIza", Class::Url, 24),
    shape("google-oauth-token", "ya29.", Class::Url, 16),
    shape("google-client-secret", "GOCSPX-", Class::Url, 16),
    // A header and a payload that are JSON objects, in base64, and a signature (RFC 7519).
    checked(shape("jwt", "eyJ", Class::Dotted, 20), two_dots),
    shape("stripe-key", "sk_live_", Class::Alnum, 10),
    shape("stripe-key", "sk_test_", Class::Alnum, 10),
    shape("stripe-key", "rk_live_", Class::Alnum, 10),
    shape("stripe-key", "rk_test_", Class::Alnum, 10),
    shape("stripe-key", "whsec_", Class::Path, 16),
    checked(shape("npm-token", "npm_", Class::Alnum, 24), has_digit),
    shape("pypi-token", "pypi-AgE", Class::Url, 24),
    shape("rubygems-key", "rubygems_", Class::Hex, 24),
    shape("docker-token", "dckr_pat_", Class::Url, 16),
    shape("docker-token", "dckr_oat_", Class::Url, 16),
    shape("vault-token", "hvs.", Class::Url, 20),
    shape("vault-token", "hvb.", Class::Url, 20),
    shape("vault-token", "hvr.", Class::Url, 20),
    shape("sendgrid-key", "SG.", Class::Dotted, 32),
    shape("digitalocean-token", "dop_v1_", Class::Hex, 24),
    shape("digitalocean-token", "doo_v1_", Class::Hex, 24),
    shape("digitalocean-token", "dor_v1_", Class::Hex, 24),
    checked(shape("hugging-face-token", "hf_", Class::Alnum, 24), has_digit),
    checked(shape("openai-key", "sk-proj-", Class::Url, 20), has_digit),
    checked(shape("openai-key", "sk-svcacct-", Class::Url, 20), has_digit),
    checked(shape("anthropic-key", "sk-ant-", Class::Url, 20), has_digit),
    checked(shape("openai-key", "sk-", Class::Alnum, 32), has_digit),
    shape("databricks-token", "dapi", Class::Hex, 32),
    shape("doppler-token", "dp.pt.", Class::Alnum, 24),
    shape("grafana-token", "glsa_", Class::Url, 24),
    shape("grafana-token", "glc_", Class::Path, 24),
    shape("new-relic-key", "NRAK-", Class::Upper, 20),
    shape("postman-key", "PMAK-", Class::Url, 24),
    shape("shopify-token", "shpat_", Class::Hex, 24),
    shape("shopify-token", "shpca_", Class::Hex, 24),
    shape("shopify-token", "shppa_", Class::Hex, 24),
    shape("shopify-token", "shpss_", Class::Hex, 24),
    shape("square-token", "sq0atp-", Class::Url, 16),
    shape("square-token", "sq0csp-", Class::Url, 16),
    shape("pulumi-token", "pul-", Class::Hex, 32),
    shape("linear-key", "lin_api_", Class::Alnum, 24),
    shape("atlassian-token", "ATATT3", Class::Path, 32),
    shape("age-key", "AGE-SECRET-KEY-1", Class::Upper, 32),
    shape("mailgun-key", "key-", Class::Hex, 32),
    shape("planetscale-token", "pscale_tkn_", Class::Url, 24),
    shape("planetscale-token", "pscale_pw_", Class::Url, 24),
];

fn exactly_16(run: &[u8]) -> bool {
    run.len() == 16
}

fn has_digit(run: &[u8]) -> bool {
    run.iter().any(u8::is_ascii_digit)
}

fn two_dots(run: &[u8]) -> bool {
    run.split(|byte| *byte == b'.').count() >= 3
}

/// How far a text was read for tokens of each kind of bytes. A run that held no token holds none from its middle
/// on either, so that it is read once, however often something in it looks like a beginning.
#[derive(Debug, Default)]
pub(super) struct Progress(Vec<(Class, usize)>);

impl Progress {
    fn passed(&self, class: Class, start: usize) -> bool {
        self.0.iter().any(|(other, end)| *other == class && start < *end)
    }

    fn pass(&mut self, class: Class, end: usize) {
        match self.0.iter_mut().find(|(other, _)| *other == class) {
            Some(entry) => entry.1 = end,
            None => self.0.push((class, end)),
        }
    }
}

impl Shape {
    /// The token that begins at `start`, where the prefix was found in any case.
    pub(super) fn at(&self, text: &[u8], start: usize, progress: &mut Progress) -> Option<Span> {
        let begins = start
            .checked_sub(1)
            .is_none_or(|before| !text[before].is_ascii_alphanumeric() && text[before] != b'_');
        let rest = text[start..].strip_prefix(self.prefix.as_bytes())?;
        if !begins || progress.passed(self.class, start) {
            return None;
        }
        let run = rest.iter().take_while(|byte| self.class.has(**byte)).count();
        let end = start + self.prefix.len() + run;
        progress.pass(self.class, end);
        let fits = run >= self.least && (self.check)(&rest[..run]);
        fits.then_some(Span {
            start,
            end,
            kind: self.kind,
        })
    }
}
