//! Values of Secrets, as the kubelet puts them into files: the operator asks the API server for no
//! Secret but its own.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt as _;
use yagura_crds::notification_route::receiver::{SecretKeyRef, SecretSource, ValueSource};

/// A longer value is no token, password or certificate.
const MOST: u64 = 64 * 1024;

/// A value that is not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Hides a value that is made of a secret one.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself: for what is sent, and for nothing that is logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A value cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such file.
    #[error(
        "key {key} of Secret {name} is not mounted: create it in the operator's namespace, name the Secret in the chart's value notifications.secrets, and give the kubelet a minute"
    )]
    Missing {
        /// Name of the Secret.
        name: String,
        /// Its key.
        key: String,
    },
    /// The file cannot be read.
    #[error("key {key} of Secret {name} cannot be read")]
    Unreadable {
        /// Name of the Secret.
        name: String,
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is in there is no text, empty or too long.
    #[error("key {key} of Secret {name} is {what}; put the value there as it is")]
    Unusable {
        /// Name of the Secret.
        name: String,
        /// Its key.
        key: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Neither a value nor a Secret, which the API server's schema would not have let through.
    #[error("neither value nor secretKeyRef is given")]
    Nothing,
}

/// The Secrets that are mounted.
#[derive(Clone, Debug)]
pub struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// Secrets as folders of files below a folder.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The value of a key, as it is now: a changed Secret is used without a restart.
    pub async fn read(&self, reference: &SecretKeyRef) -> Result<Secret, SecretError> {
        let SecretKeyRef { name, key } = reference;
        // The schema allows no other names; a file may be read from elsewhere.
        let is_plain = |part: &str| !part.is_empty() && !part.contains('/') && !part.starts_with('.');
        let missing = || SecretError::Missing {
            name: name.clone(),
            key: key.clone(),
        };
        let unusable = |what| SecretError::Unusable {
            name: name.clone(),
            key: key.clone(),
            what,
        };
        if !is_plain(name) || !is_plain(key) {
            return Err(missing());
        }
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => missing(),
            _ => SecretError::Unreadable {
                name: name.clone(),
                key: key.clone(),
                source,
            },
        };
        let path = self.folder.join(name).join(key);
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MOST + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(unreadable)?;
        if bytes.len() as u64 > MOST {
            return Err(unusable("longer than 64 KiB"));
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(unusable("not UTF-8"));
        };
        // Editors and `echo` end a file with a line break that no token has.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(unusable("empty"));
        }
        Ok(Secret(text.to_owned()))
    }

    /// Why the first of these that cannot be read cannot.
    pub async fn first_missing(&self, references: &[SecretKeyRef]) -> Option<String> {
        for reference in references {
            if let Err(error) = self.read(reference).await {
                return Some(yagura_telemetry::chain(&error).to_string());
            }
        }
        None
    }

    /// The value of a reference.
    pub async fn of(&self, source: &SecretSource) -> Result<Secret, SecretError> {
        self.read(&source.secret_key_ref).await
    }

    /// The value of a reference that may be left out.
    pub async fn of_optional(&self, source: Option<&SecretSource>) -> Result<Option<Secret>, SecretError> {
        match source {
            Some(source) => Ok(Some(self.of(source).await?)),
            None => Ok(None),
        }
    }

    /// A value as it is, or from a Secret.
    pub async fn value(&self, source: &ValueSource) -> Result<Secret, SecretError> {
        match (&source.value, &source.secret_key_ref) {
            (Some(value), _) => Ok(Secret(value.clone())),
            (None, Some(reference)) => self.read(reference).await,
            (None, None) => Err(SecretError::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use yagura_crds::notification_route::receiver::SecretKeyRef;

    use super::{SecretError, Secrets};

    fn reference(name: &str, key: &str) -> SecretKeyRef {
        SecretKeyRef {
            name: name.to_owned(),
            key: key.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_value_is_read_as_it_is_now_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("chat")).unwrap();
        let path = folder.path().join("chat/url");
        let secrets = Secrets::new(folder.path());
        fs::write(&path, "https://hooks.example/abc\n").unwrap();
        let secret = secrets.read(&reference("chat", "url")).await.unwrap();
        assert_eq!(secret.expose(), "https://hooks.example/abc");
        assert!(!format!("{secret:?}").contains("abc"));
        fs::write(&path, "https://hooks.example/def").unwrap();
        let secret = secrets.read(&reference("chat", "url")).await.unwrap();
        assert_eq!(secret.expose(), "https://hooks.example/def");
    }

    #[tokio::test]
    async fn what_is_missing_says_what_to_do_next() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(folder.path());
        for (name, key) in [
            ("chat", "url"),
            ("..", "url"),
            ("a/b", "c"),
            ("chat", "../x"),
            ("", ""),
        ] {
            let error = secrets.read(&reference(name, key)).await.unwrap_err();
            assert!(matches!(error, SecretError::Missing { .. }), "{error:?}");
            assert!(error.to_string().contains("notifications.secrets"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_a_value_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("s")).unwrap();
        let secrets = Secrets::new(folder.path());
        for (key, content) in [
            ("long", vec![b'a'; 70_000]),
            ("empty", b"\n".to_vec()),
            ("bytes", vec![0xff, 0xfe]),
        ] {
            fs::write(folder.path().join("s").join(key), content).unwrap();
            let error = secrets.read(&reference("s", key)).await.unwrap_err();
            assert!(matches!(error, SecretError::Unusable { .. }), "{error:?}");
        }
    }
}
