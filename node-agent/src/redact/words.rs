//! Names that announce a secret, and values that are none whatever the name.

use super::mark::Kind;

/// What a name announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Password,
    /// `pass` alone, which is also a verb.
    Pass,
    /// `pwd`, which is also the working directory.
    Pwd,
    Secret,
    Token,
    Key,
    Cookie,
    Authorization,
    /// Of a URL that carries its own permission.
    Signature,
}

impl Class {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Password | Self::Pass | Self::Pwd => "password",
            Self::Secret => "secret",
            Self::Token => "token",
            Self::Key => "key",
            Self::Cookie => "cookie",
            Self::Authorization => "authorization",
            Self::Signature => "signature",
        }
    }
}

/// What may stand before `key` in the name of a key that is secret. A public or primary key is not.
const KEYS: [&str; 20] = [
    "access",
    "account",
    "admin",
    "api",
    "app",
    "auth",
    "client",
    "consumer",
    "deploy",
    "encryption",
    "license",
    "master",
    "private",
    "root",
    "secret",
    "server",
    "service",
    "session",
    "shared",
    "signing",
];

/// Ends of names, longest first where one is the end of another.
const ENDS: [(&str, Class); 13] = [
    ("password", Class::Password),
    ("passwd", Class::Password),
    ("passphrase", Class::Password),
    ("passcode", Class::Password),
    ("passkey", Class::Password),
    ("pwd", Class::Pwd),
    ("pass", Class::Pass),
    ("secret", Class::Secret),
    ("token", Class::Token),
    ("_auth", Class::Token),
    ("cookie", Class::Cookie),
    ("authorization", Class::Authorization),
    ("signature", Class::Signature),
];

/// What a name announces: `--db-password`, `clientSecret`, `PGPASSWORD`, `x-api-key`.
pub(super) fn class(name: &[u8]) -> Option<Class> {
    if let Some((end, class)) = ENDS
        .iter()
        .find(|(end, _)| ends_with(name, end.as_bytes()))
        .map(|(end, class)| (name.len() - end.len(), *class))
    {
        let before = end.checked_sub(1).map(|at| name[at]);
        let apart = before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        return match class {
            Class::Pass if !apart && !name[end].is_ascii_uppercase() => None,
            class => Some(class),
        };
    }
    if !ends_with(name, b"key") {
        return None;
    }
    let rest = &name[..name.len() - 3];
    let rest = rest
        .strip_suffix(b"_")
        .or_else(|| rest.strip_suffix(b"-"))
        .unwrap_or(rest);
    let secret = KEYS.iter().any(|word| ends_with(rest, word.as_bytes()));
    secret.then_some(Class::Key)
}

fn ends_with(name: &[u8], end: &[u8]) -> bool {
    name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// Longest value that may be no secret although its name announces one.
const MAX_HARMLESS: usize = 256;

/// Whether a value is certainly no secret: nothing, a switch, a reference, a stand-in, a file where a file may stand.
pub(super) fn harmless(class: Class, name: &[u8], value: &[u8]) -> bool {
    const SWITCHES: [&str; 12] = [
        "true",
        "false",
        "null",
        "none",
        "nil",
        "yes",
        "no",
        "on",
        "off",
        "undefined",
        "required",
        "optional",
    ];
    let switch = SWITCHES
        .iter()
        .any(|switch| value.eq_ignore_ascii_case(switch.as_bytes()));
    if value.is_empty() {
        return true;
    }
    // What is long is no switch and no name, and who reads on behind it would read it again and again.
    value.len() <= MAX_HARMLESS
        && (switch
            || is_reference(value)
            || value.iter().all(|byte| *byte == b'*' || *byte == b'.')
            || value == "…".as_bytes()
            || match class {
                Class::Pwd => value[0] == b'/' && !has_word_before(name),
                Class::Pass => value.iter().all(u8::is_ascii_digit),
                Class::Secret | Class::Token | Class::Key => is_path(value) || value.starts_with(b"id="),
                Class::Signature => value.len() < 20,
                Class::Password | Class::Cookie | Class::Authorization => false,
            })
}

/// Whether `pwd` has something before it, as in `DB_PWD` and unlike `PWD` and `OLDPWD`.
fn has_word_before(name: &[u8]) -> bool {
    name.len() > 3 && !ends_with(name, b"oldpwd")
}

/// `$NAME`, `${NAME}`, `$(command)`, `%NAME%`, `{{template}}`, `<name>`: what stands in place of a value.
fn is_reference(value: &[u8]) -> bool {
    let is_name = |name: &[u8]| {
        name.iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
    };
    match value {
        [b'$'] | [b'$', b'(' | b'{', ..] | [b'{', b'{', ..] | [b'<', .., b'>'] => true,
        [b'$', name @ ..] | [b'%', name @ .., b'%'] => !name.is_empty() && is_name(name),
        _ => false,
    }
}

/// A file by its path. A random value in base64 may begin with `/` as well, but hardly has the rest.
fn is_path(value: &[u8]) -> bool {
    if [&b"./"[..], b"../", b"~/"]
        .iter()
        .any(|start| value.starts_with(start))
    {
        return true;
    }
    let path = value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-@:".contains(byte));
    let names = value.split(|byte| *byte == b'/').count();
    path && value[0] == b'/' && names >= 3 && value.len() != 40
}

#[cfg(test)]
mod tests {
    use super::{Class, class, harmless};

    #[test]
    fn names_announce_secrets_by_their_ends() {
        for (name, expected) in [
            ("--password", Some(Class::Password)),
            ("PGPASSWORD", Some(Class::Password)),
            ("clientSecret", Some(Class::Secret)),
            ("dbPass", Some(Class::Pass)),
            ("DB_PASS", Some(Class::Pass)),
            ("bypass", None),
            ("api-key", Some(Class::Key)),
            ("apiKey", Some(Class::Key)),
            ("aws_secret_access_key", Some(Class::Key)),
            ("public-key", None),
            ("key", None),
            ("--token-ttl", None),
            ("--password-file", None),
            ("_authToken", Some(Class::Token)),
        ] {
            assert_eq!(class(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn references_and_files_are_no_secrets() {
        let harmless = |class, name: &str, value: &str| harmless(class, name.as_bytes(), value.as_bytes());
        assert!(harmless(Class::Password, "password", "${DB_PASSWORD}"));
        assert!(harmless(Class::Password, "password", "$DB_PASSWORD"));
        assert!(!harmless(Class::Password, "password", "$ecret"));
        assert!(harmless(Class::Token, "token", "/var/run/secrets/token"));
        assert!(!harmless(Class::Password, "password", "/var/run/x"));
        assert!(harmless(Class::Pwd, "OLDPWD", "/root"));
        assert!(!harmless(Class::Pwd, "DB_PWD", "/root"));
    }
}
