//! Secrets that stand in a command line: `--token X`, `PGPASSWORD=X`, `mysql -pX`.

use std::ops::Range;

use super::mark::{self, Kind};
use super::words::{self, Class};

/// An argument's part that is a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Which argument.
    pub(super) argument: usize,
    /// Which of its bytes.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

/// How a program takes a secret with a short flag.
struct Short {
    programs: &'static [&'static str],
    flags: &'static [&'static str],
    form: Form,
    part: Part,
    /// An argument that must be there as well, where the flag means something else without it.
    needs: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-pX`
    Attached,
    /// `-p X`
    Separate,
    Both,
}

/// What of the value is the secret.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    /// `user:password`, `user%password`, `user,password`
    After(u8),
}

const fn short(
    programs: &'static [&'static str],
    flags: &'static [&'static str],
    form: Form,
    part: Part,
) -> Short {
    Short {
        programs,
        flags,
        form,
        part,
        needs: None,
    }
}

/// As the manual pages of these programs say.
const SHORT: &[Short] = &[
    short(
        &[
            "mysql",
            "mysqladmin",
            "mysqlbinlog",
            "mysqlcheck",
            "mysqldump",
            "mysqlimport",
            "mysqlshow",
            "mysqlslap",
            "mariadb",
            "mariadb-admin",
            "mariadb-dump",
            "mariadb-check",
            "mariadb-import",
        ],
        &["-p"],
        Form::Attached,
        Part::Whole,
    ),
    short(
        &[
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "mongoexport",
            "mongoimport",
            "mongostat",
            "mongotop",
        ],
        &["-p"],
        Form::Both,
        Part::Whole,
    ),
    short(
        &["redis-cli", "valkey-cli", "keydb-cli"],
        &["-a"],
        Form::Separate,
        Part::Whole,
    ),
    short(&["sshpass"], &["-p"], Form::Both, Part::Whole),
    short(
        &["curl"],
        &["-u", "-U", "--user", "--proxy-user"],
        Form::Both,
        Part::After(b':'),
    ),
    Short {
        programs: &[
            "docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane", "az", "oc", "argocd",
        ],
        flags: &["-p"],
        form: Form::Both,
        part: Part::Whole,
        needs: Some("login"),
    },
    short(
        &[
            "ldapsearch",
            "ldapadd",
            "ldapmodify",
            "ldapdelete",
            "ldapwhoami",
            "ldapcompare",
            "ldappasswd",
            "ldapmodrdn",
        ],
        &["-w"],
        Form::Both,
        Part::Whole,
    ),
    short(&["ldappasswd"], &["-s", "-a"], Form::Both, Part::Whole),
    short(
        &["smbclient", "rpcclient", "net", "smbget", "smbcacls"],
        &["-U"],
        Form::Both,
        Part::After(b'%'),
    ),
    short(
        &["sqlcmd", "bcp", "isql", "tsql", "osql"],
        &["-P"],
        Form::Both,
        Part::Whole,
    ),
    short(&["zip", "unzip", "ipmitool"], &["-P"], Form::Both, Part::Whole),
    short(
        &["7z", "7za", "7zr", "unrar", "rar"],
        &["-p"],
        Form::Attached,
        Part::Whole,
    ),
    short(
        &["useradd", "usermod", "groupmod"],
        &["-p"],
        Form::Separate,
        Part::Whole,
    ),
    short(
        &[
            "cqlsh",
            "beeline",
            "ncftp",
            "evil-winrm",
            "crackmapexec",
            "netexec",
        ],
        &["-p"],
        Form::Separate,
        Part::Whole,
    ),
    short(
        &["snmpwalk", "snmpget", "snmpset", "snmpbulkwalk"],
        &["-c", "-A", "-X"],
        Form::Separate,
        Part::Whole,
    ),
    short(&["lftp"], &["-u"], Form::Both, Part::After(b',')),
    short(&["xfreerdp", "wfreerdp"], &["/p:"], Form::Attached, Part::Whole),
];

/// Every program with a short flag.
pub(super) fn programs() -> impl Iterator<Item = &'static str> {
    SHORT.iter().flat_map(|short| short.programs).copied()
}

/// The secrets in a command line. A program that another one starts (`sudo mysql -pX`) takes over where its name
/// stands.
pub(super) fn secrets(program: &[u8], arguments: &[&[u8]]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut program = base_name(program);
    let mut takes_value: Option<Value> = None;
    for (index, argument) in arguments.iter().enumerate() {
        if programs().any(|name| name.as_bytes() == base_name(argument)) {
            program = base_name(argument);
        }
        let found = if let Some(value) = takes_value.take() {
            value.of(argument)
        } else {
            // What follows `sh -c` is a text with a syntax of its own.
            let is_script = index > 0 && is_script_flag(arguments[index - 1]);
            let found = attached(argument)
                .filter(|_| !is_script)
                .or_else(|| attached_short(program, argument, arguments));
            if found.is_none() {
                takes_value = announced(program, argument, arguments);
            }
            found
        };
        hits.extend(found.map(|(range, kind)| Hit {
            argument: index,
            range,
            kind,
        }));
    }
    hits
}

/// `-c`, `-lc`, `-ec`: of a shell, the next argument is a script.
fn is_script_flag(argument: &[u8]) -> bool {
    matches!(argument, [b'-', letters @ ..] if letters.len() <= 4
        && letters.ends_with(b"c")
        && letters.iter().all(u8::is_ascii_lowercase))
}

/// What a flag says of the argument after it.
enum Value {
    Named(Class),
    Short(Part),
}

impl Value {
    fn of(&self, argument: &[u8]) -> Option<(Range<usize>, Kind)> {
        match self {
            Self::Named(class) => {
                let harmless = argument.starts_with(b"-") || words::harmless(*class, b"flag", argument);
                (!harmless).then_some((0..argument.len(), class.kind()))
            }
            Self::Short(part) => part.of(argument, 0),
        }
    }
}

impl Part {
    /// The secret of a value that begins at `start`.
    fn of(self, argument: &[u8], start: usize) -> Option<(Range<usize>, Kind)> {
        let start = match self {
            Self::Whole => start,
            Self::After(sign) => {
                let user = start + mark::leading(&argument[start..]);
                user + memchr::memchr(sign, &argument[user..])? + 1
            }
        };
        let harmless = words::harmless(Class::Password, b"flag", &argument[start..]);
        (!harmless).then_some((start..argument.len(), "password"))
    }
}

/// `--name=value` and `NAME=value`: everything behind the sign.
fn attached(argument: &[u8]) -> Option<(Range<usize>, Kind)> {
    let sign = memchr::memchr(b'=', argument)?;
    let name = &argument[..sign];
    let class = named(name)?;
    let unquoted = unquote(argument, sign + 1..argument.len());
    let value = &argument[unquoted.clone()];
    let hidden = match class {
        // A header or a signature ends where the text around it says.
        Class::Authorization | Class::Signature => false,
        _ => !words::harmless(class, name, value),
    };
    hidden.then_some((unquoted, class.kind()))
}

/// The class of what is a flag's or a variable's name.
fn named(name: &[u8]) -> Option<Class> {
    let is_name = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte));
    if is_name { words::class(name) } else { None }
}

/// `-pX` of a program that takes a secret so.
fn attached_short(program: &[u8], argument: &[u8], all: &[&[u8]]) -> Option<(Range<usize>, Kind)> {
    shorts(program, all)
        .filter(|short| short.form != Form::Separate)
        .find_map(|short| {
            let flag = short
                .flags
                .iter()
                .find(|flag| argument.starts_with(flag.as_bytes()))?;
            let mut start = flag.len();
            if flag.starts_with("--") {
                // A long flag's value stands behind a sign.
                argument.get(start).filter(|byte| **byte == b'=')?;
                start += 1;
            }
            let unquoted = unquote(argument, start..argument.len());
            short.part.of(&argument[..unquoted.end], unquoted.start)
        })
}

/// Whether the next argument is a secret.
fn announced(program: &[u8], argument: &[u8], all: &[&[u8]]) -> Option<Value> {
    let short = shorts(program, all).find(|short| {
        let is_flag = short.flags.iter().any(|flag| flag.as_bytes() == argument);
        short.form != Form::Attached && is_flag
    });
    if let Some(short) = short {
        return Some(Value::Short(short.part));
    }
    let is_flag = argument.starts_with(b"-");
    // `aws configure set aws_secret_access_key X`, `git config user.password X`
    let is_setting = argument.iter().any(|byte| b"_.".contains(byte))
        && all.iter().any(|word| matches!(*word, b"set" | b"config"));
    if !is_flag && !is_setting {
        return None;
    }
    match named(argument)? {
        Class::Signature | Class::Pwd | Class::Authorization => None,
        class => Some(Value::Named(class)),
    }
}

fn shorts<'a>(program: &'a [u8], all: &'a [&'a [u8]]) -> impl Iterator<Item = &'static Short> + 'a {
    SHORT.iter().filter(move |short| {
        let is_program = short.programs.iter().any(|name| name.as_bytes() == program);
        is_program && short.needs.is_none_or(|word| all.contains(&word.as_bytes()))
    })
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Without the quotes around it.
fn unquote(text: &[u8], range: Range<usize>) -> Range<usize> {
    match &text[range.clone()] {
        [open @ (b'"' | b'\''), .., close] if open == close => range.start + 1..range.end - 1,
        _ => range,
    }
}

/// The words of a command line that is one text, as a shell would part it: a quote that is never closed is a
/// character like others.
pub(super) fn words(text: &[u8], within: Range<usize>) -> Vec<Range<usize>> {
    const MOST: usize = 4_096;
    let mut words = Vec::new();
    let mut at = within.start;
    // Where no closing quote follows, none follows later either.
    let (mut singles, mut doubles) = (true, true);
    while at < within.end && words.len() < MOST {
        if ends_word(text[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < within.end && !ends_word(text[at]) {
            let quote = text[at];
            let open = match quote {
                b'\'' => &mut singles,
                b'"' => &mut doubles,
                _ => {
                    at += 1;
                    continue;
                }
            };
            let close = open
                .then(|| memchr::memchr(quote, &text[at + 1..within.end]))
                .flatten();
            *open = close.is_some();
            at += close.map_or(1, |close| close + 2);
        }
        words.push(unquote(text, start..at));
    }
    words
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";|&()`".contains(&byte)
}
