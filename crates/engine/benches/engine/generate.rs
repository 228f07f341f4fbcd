//! Rules and process events, the same in every run.
//!
//! A rule has five to eleven comparisons, eight in the middle: all of one to three alternatives each, some of them negated
//! as exceptions are written. Three of ten comparisons look for a part of a text, one of ten is a regular expression, the
//! others ask for equality, membership or a beginning, a fifth of those on numbers and truth values, from which no text
//! follows. A fifth of the rules look at ancestors. One text of five is one that ordinary events have. Of about one rule in
//! fifteen no text follows, because every one of its comparisons has an alternative without one.

use yagura_event::{Event, Text, Timestamp, Tree, build_event};
use yagura_rules::{RuleSource, Target};

/// Programs that run all the time.
const PROGRAMS: &[&str] = &[
    "sh",
    "bash",
    "ls",
    "cat",
    "grep",
    "sed",
    "awk",
    "find",
    "ps",
    "env",
    "id",
    "date",
    "sleep",
    "curl",
    "wget",
    "tar",
    "gzip",
    "python3",
    "perl",
    "node",
    "java",
    "nginx",
    "postgres",
    "redis-server",
    "runc",
    "containerd-shim",
    "kubelet",
    "systemd",
    "cron",
    "sshd",
    "git",
    "make",
    "gcc",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "chmod",
    "chown",
    "tee",
    "head",
    "tail",
    "sort",
    "uniq",
    "cut",
    "tr",
    "wc",
    "xargs",
    "base64",
    "openssl",
    "ssh",
    "scp",
    "rsync",
    "nc",
    "dig",
    "ip",
    "iptables",
    "mount",
    "df",
    "du",
    "top",
    "kill",
    "su",
    "sudo",
];
/// Arguments that they get.
const ARGUMENTS: &[&str] = &[
    "-c",
    "-l",
    "-a",
    "-n",
    "-r",
    "-f",
    "-v",
    "--help",
    "--version",
    "-rf",
    "-p",
    "-i",
    "-e",
    "/etc/hosts",
    "/var/log/app.log",
    "/proc/1/status",
    "/data/in.csv",
    "http://cart.shop.svc:8080/healthz",
    "localhost",
    "5432",
    "echo ok",
    "exec \"$@\"",
    "app.py",
    "server.js",
    "-Xmx512m",
    "start",
    "status",
    "reload",
    "origin",
    "main",
];
const DIRECTORIES: &[&str] = &[
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/opt/app/bin",
    "/sbin",
];
/// The seldom parts of what rules look for.
const RARE: &[&str] = &[
    "xmr", "kin", "mine", "pwn", "dirty", "hook", "inject", "shell", "drop", "scan", "leak", "crypt", "load",
    "stage", "proxy", "sock", "tun", "beacon", "root", "kit", "priv", "esc", "chis", "frp", "nmap", "hydra",
    "dump", "pass",
];

/// A generator with a fixed seed (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A name of a program: one in five is ordinary.
    fn program(&mut self) -> String {
        if self.percent(20) {
            return self.of(PROGRAMS).to_owned();
        }
        let number = self.below(400);
        format!("{}{}{number}", self.of(RARE), self.of(RARE))
    }

    fn argument(&mut self) -> String {
        if self.percent(20) {
            return self.of(ARGUMENTS).to_owned();
        }
        let number = self.below(400);
        format!("--{}-{}{number}", self.of(RARE), self.of(RARE))
    }

    fn path(&mut self) -> String {
        let directory = if self.percent(20) {
            self.of(DIRECTORIES)
        } else {
            self.of(&["/tmp", "/dev/shm", "/var/tmp", "/run/user", "/root/.cache"])
        };
        format!("{directory}/{}", self.program())
    }
}

/// The rule that the events match which are to match, and others.
pub(crate) fn rules(count: usize) -> Vec<RuleSource> {
    let mut random = Random(7);
    let first = "event.kind == \"process.exec\" && process.name in [\"xmrig\", \"minerd\"] \
        && (process.executable.startsWith(\"/dev/shm/\") || process.executable.contains(\"miner\")) \
        && \"--donate-level\" in process.args && process.args.exists(a, a.matches(\"^stratum[+]tcp://\")) \
        && !(process.parent.name == \"make\" || process.user.id == 4711)";
    let others = (1..count).map(|_| condition(&mut random));
    std::iter::once(first.to_owned())
        .chain(others)
        .enumerate()
        .map(|(number, condition)| {
            let mut source = RuleSource::new(&format!("rule-{number}"), &condition);
            source.where_.target = Target::Any;
            source
        })
        .collect()
}

fn condition(random: &mut Random) -> String {
    let mut left = 5 + random.below(4) + random.below(4);
    let mut members = vec!["event.kind == \"process.exec\"".to_owned()];
    left -= 1;
    let lineage = random.percent(20);
    if lineage {
        members.push(ancestors(random));
        left -= 1;
    }
    while left > 0 {
        let alternatives = left.min(1 + random.below(3));
        left -= alternatives;
        let tests: Vec<String> = (0..alternatives).map(|_| comparison(random, lineage)).collect();
        let not = if random.percent(15) { "!" } else { "" };
        members.push(format!("{not}({})", tests.join(" || ")));
    }
    members.join(" && ")
}

fn ancestors(random: &mut Random) -> String {
    let name = random.program();
    match random.below(3) {
        0 => format!("process.ancestors.exists(a, a.name == \"{name}\")"),
        1 => format!(
            "process.ancestors.exists(a, a.name in [\"{name}\", \"{}\"])",
            random.program()
        ),
        _ => format!("process.ancestors.exists(a, a.name.startsWith(\"{name}\") && a.user.id == 0)"),
    }
}

/// With `lineage` nothing visits arguments: both together cost more than a rule may.
fn comparison(random: &mut Random, lineage: bool) -> String {
    match random.below(100) {
        0..30 => part(random, lineage),
        30..40 => pattern(random, lineage),
        40..52 => {
            let number = random.below(2_000);
            match random.below(5) {
                0 => "process.user.id == 0".to_owned(),
                1 => "process.in_container".to_owned(),
                2 => "process.tty != null".to_owned(),
                3 => format!("process.user.id == {number}"),
                _ => format!("process.args_count > {}", number % 20),
            }
        }
        52..70 => match random.below(4) {
            0 | 1 => format!("process.name == \"{}\"", random.program()),
            2 => format!("process.parent.name == \"{}\"", random.program()),
            _ => format!("process.executable == \"{}\"", random.path()),
        },
        70..85 => {
            let programs: Vec<String> = (0..2 + random.below(6))
                .map(|_| format!("{:?}", random.program()))
                .collect();
            match random.below(4) {
                0 | 1 => format!("process.name in [{}]", programs.join(", ")),
                2 => format!("process.parent.name in [{}]", programs.join(", ")),
                _ => format!("{:?} in process.args", random.argument()),
            }
        }
        _ => match random.below(3) {
            0 | 1 => format!("process.executable.startsWith({:?})", random.path()),
            _ => format!("process.working_directory.startsWith({:?})", random.path()),
        },
    }
}

fn part(random: &mut Random, lineage: bool) -> String {
    let (program, argument) = (random.program(), random.argument());
    match random.below(6) {
        0 => format!("process.executable.contains({program:?})"),
        1 => format!("process.executable.endsWith({:?})", format!("/{program}")),
        2 => format!("process.name.icontains({program:?})"),
        3 => format!("process.working_directory.contains({program:?})"),
        4 if !lineage => format!("process.args.exists(a, a.contains({argument:?}))"),
        _ => format!(
            "process.command_line.contains({:?})",
            format!("{program} {argument}")
        ),
    }
}

fn pattern(random: &mut Random, lineage: bool) -> String {
    let (program, argument) = (random.program(), random.argument());
    match random.below(4) {
        0 => format!(
            "process.executable.matches({:?})",
            format!("^/(tmp|var/tmp|dev/shm)/[a-z0-9]+/{program}$")
        ),
        1 => format!("process.name.matches({:?})", format!("^{program}[0-9]*$")),
        2 if !lineage => format!(
            "process.args.exists(a, a.matches({:?}))",
            format!("^{argument}=[a-z]+")
        ),
        _ => format!(
            "process.command_line.matches({:?})",
            format!("{program}.* ({argument}|-x)( |$)")
        ),
    }
}

/// Executions as they happen in containers and on the host. One in a thousand is what the first rule looks for.
pub(crate) fn events(count: usize) -> Vec<Event> {
    let mut random = Random(11);
    (0..count)
        .map(|number| event(&mut random, number % 1_000 == 500))
        .collect()
}

fn event(random: &mut Random, matching: bool) -> Event {
    let name = random.of(PROGRAMS);
    let mut args: Vec<Tree> = (0..random.below(9))
        .map(|_| random.of(ARGUMENTS).into())
        .collect();
    let mut executable = format!("{}/{name}", random.of(DIRECTORIES));
    if matching {
        args = ["--donate-level", "1", "-o", "stratum+tcp://pool.example:3333"]
            .map(Tree::from)
            .to_vec();
        "/dev/shm/xmrig".clone_into(&mut executable);
    }
    let mut ancestor = || {
        let user: i64 = if random.percent(50) { 0 } else { 1_000 };
        Tree::map([
            ("name".into(), random.of(PROGRAMS).into()),
            (
                "executable".into(),
                format!("{}/x", random.of(DIRECTORIES)).as_str().into(),
            ),
            ("user".into(), Tree::map([("id".into(), user.into())])),
        ])
    };
    let ancestors = (0..4).map(|_| ancestor()).collect();
    let user: i64 = if random.percent(50) { 0 } else { 1_000 };
    let mut fields: Vec<(&str, Tree)> = vec![
        ("process.ancestors", Tree::List(ancestors)),
        ("kind", "process.exec".into()),
        ("process.name", if matching { "xmrig" } else { name }.into()),
        ("process.executable", executable.as_str().into()),
        ("process.args", Tree::List(args)),
        (
            "process.working_directory",
            random.of(&["/", "/root", "/opt/app", "/home/dev/src"]).into(),
        ),
        ("process.user.id", user.into()),
        ("process.pid", 4_711.into()),
    ];
    if random.percent(20) {
        fields.push(("process.tty", "pts/0".into()));
    }
    if random.percent(70) {
        fields.push(("container.id", "c1".into()));
        fields.push(("container.name", "cart".into()));
    }
    let fields = fields.into_iter().map(|(name, value)| (Text::from(name), value));
    build_event(&Tree::map(fields), Timestamp(0)).unwrap()
}
