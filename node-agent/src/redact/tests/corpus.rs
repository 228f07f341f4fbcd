//! Secrets as they stand in real command lines, and what only looks like them. Values are generated: a scanner that
//! reads this file finds nothing.

use std::fmt::Write as _;

use super::{process, redactor};
use yagura_event::{Record, Timestamp, Tree};

/// What stands between `«` and `»` must go, everything else must stay. `{A20}` becomes 20 letters and digits, `{U…}`
/// upper case and digits, `{h…}` hexadecimal digits, `{b…}` base64, `{w…}` base64 for URLs.
const SECRETS: &[&[&str]] = &[
    // Names with values.
    &["app", "--password=«{A12}»"],
    &["app", "--db-password=«{A6}&x,y;z»"],
    &["app", "--password", "«{A12}»", "--verbose"],
    &["app", "-password", "«{A12}»"],
    &["app", "--client-secret", "«{b32}»"],
    &["app", "--token=«{A24}»", "serve"],
    &["app", "--api-key", "«{A32}»"],
    &["app", "--apiKey=«{A32}»"],
    &["app", "--passphrase", "«{A10}»"],
    &["env", "PGPASSWORD=«{A10}»", "psql", "-h", "db"],
    &["env", "DB_PASS=«{A10}»", "app"],
    &["env", "MYSQL_PWD=«{A10}»", "mysql"],
    &["env", "AWS_SECRET_ACCESS_KEY=«{b40}»", "aws", "s3", "ls"],
    &["sh", "-c", "PGPASSWORD=«{A10}» psql -h db"],
    &["sh", "-c", "export API_TOKEN='«{A10} {A4}»'; run"],
    &["sh", "-c", "app --password \"«{A8} {A8}»\" --verbose"],
    &["sh", "-c", "echo password: «{A12}» > /tmp/x"],
    &["sh", "-c", "app --token «{A20}» | tee log"],
    &["curl", "-d", "{\"user\":\"a\",\"token\": \"«{A20}»\"}"],
    &["curl", "-d", "{\\\"password\\\":\\\"«{A20}»\\\",\\\"a\\\":1}"],
    &["curl", "-d", "{'clientSecret': '«{A20}»'}"],
    &["curl", "-d", "user=a&password=«{A8}»&b=1"],
    &["curl", "https://example.com/x?access_token=«{A20}»&page=2"],
    &["x", "<password>«{A12}»</password>"],
    &["x", "Server=db;User=sa;Password=«{A12}»;Encrypt=true"],
    &[
        "x",
        "AccountName=a;AccountKey=«{b64}==»;EndpointSuffix=core.windows.net",
    ],
    &["mount", "-o", "username=a,password=«{A9}»,vers=3", "//h/s"],
    &["aws", "configure", "set", "aws_secret_access_key", "«{b40}»"],
    &["git", "config", "user.password", "«{A12}»"],
    &[
        "kubectl",
        "create",
        "secret",
        "generic",
        "x",
        "--from-literal=password=«{A12}»",
    ],
    &["helm", "upgrade", "x", "--set", "auth.rootPassword=«{A12}»"],
    &["openssl", "rsa", "-passin", "pass:«{A12}»"],
    &["npm", "config", "set", "//registry.npmjs.org/:_authToken=«{A36}»"],
    // Short flags.
    &["mysql", "-uroot", "-p«{A9}»", "shop"],
    &["/usr/bin/mysqldump", "-p«{A9}»", "shop"],
    &["sudo", "mysql", "-p«{A9}»"],
    &["sh", "-c", "mysql -uroot -p«{A9}» -e 'select 1'"],
    &["mongosh", "-u", "a", "-p", "«{A9}»"],
    &["redis-cli", "-h", "r", "-a", "«{A9}»", "ping"],
    &["sshpass", "-p", "«{A9}»", "ssh", "a@b"],
    &["sshpass", "-p«{A9}»", "ssh", "a@b"],
    &["curl", "-u", "alice:«{A9}»", "https://example.com"],
    &["curl", "--user", "alice:«{A9}»", "https://example.com"],
    &["curl", "-ualice:«{A9}»", "https://example.com"],
    &["docker", "login", "-u", "a", "-p", "«{A9}»", "registry.example"],
    &["ldapsearch", "-D", "cn=a", "-w", "«{A9}»", "-b", "dc=x"],
    &["smbclient", "-U", "a%«{A9}»", "//h/s"],
    &["sqlcmd", "-S", "h", "-U", "sa", "-P", "«{A9}»"],
    // Headers.
    &["curl", "-H", "Authorization: Bearer «{w40}»"],
    &["curl", "-H", "Authorization: Basic «{b24}»"],
    &["curl", "-H", "authorization: token «{A40}»"],
    &["curl", "-H", "Authorization: «{A40}»"],
    &["curl", "-H", "Proxy-Authorization: Basic «{b24}»"],
    &[
        "sh",
        "-c",
        "curl -H 'Authorization: Bearer «{w40}»' https://example.com",
    ],
    &["curl", "-H", "X-Vault-Token: «{A26}»"],
    &["curl", "-H", "x-api-key: «{A26}»"],
    &["curl", "-H", "Cookie: «session={A26}; b=c»"],
    &["x", "sent Bearer «{w30}1» to it"],
    &["x", "Basic «YWxpY2U6aHVudGVyMg==»"],
    // Addresses.
    &["git", "clone", "https://alice:«{A12}»@example.com/x.git"],
    &["git", "clone", "https://«{A20}1»@example.com/x.git"],
    &["psql", "postgres://app:«{A12}»@db:5432/shop?sslmode=require"],
    &["x", "mongodb+srv://app:«{A12}»@c0.example.net/x"],
    &["x", "redis://:«{A12}»@cache:6379/0"],
    &["x", "amqp://a:«p@{A4}»@mq:5672"],
    &[
        "azcopy",
        "cp",
        "https://a.blob.core.windows.net/c?sv=2024&se=2027&sig=«{A40}%3D»",
    ],
    &["curl", "https://b.s3.amazonaws.com/k?X-Amz-Signature=«{h64}»"],
    // Tokens that tell themselves.
    &["x", "AKIA is a prefix, «AKIA{U16}» a key"],
    &["x", "«ASIA{U16}»"],
    &["x", "«ghp_{A36}»"],
    &["x", "a,«gho_{A36}»,b"],
    &["x", "«github_pat_{A22}_{A59}»"],
    &["x", "«glpat-{A20}»"],
    &["x", "«xoxb-{A12}-{A24}»"],
    &["x", "«xapp-1-{A24}»"],
    &["curl", "https://«hooks.slack.com/services/T{U8}/B{U8}/{A24}»"],
    &["x", "«AIza{w35}»"],
    &["x", "«ya29.{w60}»"],
    &["x", "«eyJ{w30}.eyJ{w60}.{w43}»"],
    &["x", "«sk_live_{A24}»"],
    &["x", "«rk_test_{A24}»"],
    &["x", "«npm_{A35}1»"],
    &["x", "«pypi-AgE{w60}»"],
    &["x", "«dckr_pat_{w27}»"],
    &["x", "«hvs.{w90}»"],
    &["x", "«SG.{A22}.{A43}»"],
    &["x", "«dop_v1_{h64}»"],
    &["x", "«hf_{A33}1»"],
    &["x", "«sk-ant-api03-{w80}1»"],
    &["x", "«dapi{h32}»"],
    &["x", "«glsa_{A32}_{h8}»"],
    &["x", "«shpat_{h32}»"],
    &["x", "«AGE-SECRET-KEY-1{U58}»"],
    &[
        "x",
        "«-----BEGIN RSA PRIVATE KEY-----\n{b64}\n{b64}\n-----END RSA PRIVATE KEY-----» after",
    ],
    &["x", "«-----BEGIN OPENSSH PRIVATE KEY-----\n{b64}»"],
];

/// What must stay as it is, argument by argument.
const HARMLESS: &[&[&str]] = &[
    &["bash", "-c", "id; uname -a"],
    &["bash", "-i"],
    &["sha256sum", "--check", "{h64}"],
    &["docker", "pull", "registry.example/shop/cart@sha256:{h64}"],
    &["git", "checkout", "{h40}"],
    &["git", "clone", "ssh://git@github.com/a/b.git"],
    &["git", "clone", "git@github.com:a/b.git"],
    &["x", "6f1c9e1e-55a7-4b0e-9a5e-3f2f8f0f7a11"],
    &["docker", "run", "-p", "8080:80", "-e", "DB_PASSWORD", "app:1.2"],
    &["ssh", "-p", "2222", "alice@host"],
    &["mkdir", "-p", "/srv/data"],
    &["cp", "-pr", "/a", "/b"],
    &["mysql", "-uroot", "-h", "db", "-P", "3306"],
    &["psql", "-p", "5432", "-U", "app"],
    &["redis-cli", "-h", "cache", "-p", "6379", "ping"],
    &["curl", "-fsSL", "https://example.com/install.sh"],
    &["curl", "http://host:8080/x?a=b@c"],
    &["curl", "-H", "Accept: application/json", "https://example.com"],
    &[
        "kubelet",
        "--authentication-token-webhook=true",
        "--authorization-mode=Webhook",
    ],
    &["kubelet", "--tls-private-key-file=/var/lib/kubelet/pki/k.key"],
    &["app", "--password-file=/run/secrets/db"],
    &["app", "--token-ttl=3600", "--max-tokens", "100"],
    &["app", "--token=/var/run/secrets/tokens/app"],
    &["app", "--private-key", "~/.ssh/id_ed25519"],
    &["app", "--public-key=AAAAC3NzaC1lZDI1NTE5"],
    &["app", "--secret-name=shop-tls", "--key=2"],
    &["sh", "-c", "app --password=$DB_PASSWORD --token \"${API_TOKEN}\""],
    &["sh", "-c", "app --password=$(cat /run/secrets/db)"],
    &["docker", "login", "--username", "a", "--password-stdin"],
    &["env", "PWD=/root/src", "OLDPWD=/tmp", "HOME=/root"],
    &["cat", "/etc/passwd", "/etc/shadow"],
    &["chown", "www-data:www-data", "/srv"],
    &["ls", "/var/run/secrets/kubernetes.io/serviceaccount/token"],
    &["kubectl", "get", "secret", "shop-tls", "-o", "yaml"],
    &["vault", "token", "lookup"],
    &["passwd", "alice"],
    &["systemctl", "status", "sshd.service"],
    &["x", "registry.example/csi-secret:v1.4.2"],
    &["x", "my-token:latest"],
    &["x", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop"],
    &[
        "x",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
    &["x", "the bearer of this letter", "basic training course"],
    &[
        "x",
        "sk-learn-is-a-library",
        "npm_config_cache",
        "key-value-store",
    ],
    &["x", "AKIAEXAMPLE", "eyJ", "ghp_", "xoxb-"],
    &["sort", "-k", "2", "--key=1,2"],
    &["java", "-Djavax.net.ssl.keyStorePassword=********"],
    &["x", "[redacted:github-token]", "--password=[redacted:password]"],
];

/// Letters and digits that are no secret of anybody, the same in each run.
struct Values(u64);

impl Values {
    fn next(&mut self, alphabet: &[u8]) -> char {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let index = usize::try_from(self.0 >> 40).unwrap() % alphabet.len();
        char::from(alphabet[index])
    }

    fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let alphabet: &[u8] = match after.as_bytes().first() {
                Some(b'A') => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                Some(b'U') => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
                Some(b'h') => b"0123456789abcdef",
                Some(b'b') => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+",
                Some(b'w') => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                _ => b"",
            };
            let count = after[1..].split('}').next().unwrap_or_default().parse::<usize>();
            if let (false, Ok(count)) = (alphabet.is_empty(), count) {
                for _ in 0..count {
                    out.push(self.next(alphabet));
                }
                rest = after.split_once('}').unwrap().1;
            } else {
                out.push('{');
                rest = after;
            }
        }
        out + rest
    }
}

fn redacted(line: &[String]) -> Vec<String> {
    let args: Vec<&str> = line[1..].iter().map(String::as_str).collect();
    let program = line[0].rsplit('/').next().unwrap();
    let clean = redactor().record(Record {
        time: Timestamp(0),
        fields: process(program, &args),
    });
    let Some(Tree::List(items)) = clean.get().fields.at("process.args") else {
        panic!("{clean:?}");
    };
    let texts = items.iter().map(|item| match item {
        Tree::Text(text) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    });
    texts.collect()
}

/// The text with everything between marks kept: `a«b»c` is `["a", "c"]`.
fn kept(template: &str) -> Vec<&str> {
    template
        .split('«')
        .enumerate()
        .map(|(index, part)| {
            if index == 0 {
                part
            } else {
                part.split_once('»').unwrap().1
            }
        })
        .collect()
}

#[test]
fn every_known_shape_is_hidden_and_what_stands_around_it_is_not() {
    assert!(SECRETS.len() >= 60);
    let mut values = Values(42);
    let mut mistakes = String::new();
    for line in SECRETS {
        let filled: Vec<String> = line.iter().map(|part| values.fill(part)).collect();
        let raw: Vec<String> = filled.iter().map(|part| part.replace(['«', '»'], "")).collect();
        let clean = redacted(&raw);
        let wrong = clean.len() != filled.len() - 1
            || filled[1..].iter().zip(&clean).any(|(template, clean)| {
                let mut rest = clean.as_str();
                let parts = kept(template);
                let in_order = parts.iter().enumerate().all(|(index, part)| {
                    if index > 0 {
                        let Some(after) = rest
                            .strip_prefix("[redacted:")
                            .and_then(|rest| rest.split_once(']'))
                        else {
                            return false;
                        };
                        rest = after.1;
                    }
                    rest.strip_prefix(part).map(|after| rest = after).is_some()
                });
                !in_order || !rest.is_empty()
            });
        if wrong {
            writeln!(mistakes, "{raw:?}\n  became {clean:?}\n  for {line:?}").unwrap();
        }
    }
    assert!(mistakes.is_empty(), "{mistakes}");
}

#[test]
fn what_is_no_secret_stays() {
    assert!(HARMLESS.len() >= 40);
    let mut values = Values(7);
    let mut mistakes = String::new();
    for line in HARMLESS {
        let filled: Vec<String> = line.iter().map(|part| values.fill(part)).collect();
        let clean = redacted(&filled);
        if clean != filled[1..] {
            writeln!(mistakes, "{filled:?}\n  became {clean:?}").unwrap();
        }
    }
    assert!(mistakes.is_empty(), "{mistakes}");
}
