//! Rules and executions, the same in every run.
//!
//! A rule has five to eleven comparisons, eight in the middle: one of the kind of event, and members of one to three
//! alternatives each, some of them negated as exceptions are written. Of all comparisons three of ten look for a part of a
//! text, one of ten is a regular expression, the others ask for equality, membership or a beginning, a fifth of those on
//! numbers and truth values. A fifth of the rules look at ancestors. One text of five is one that ordinary events have.
//! [`rules`] makes sure that what it gives is that mix.

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

    fn of(&mut self, choices: &[&'static str]) -> &'static str {
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

/// What a condition is made of.
#[derive(Clone, Copy, Default)]
struct Mix {
    comparisons: usize,
    parts: usize,
    patterns: usize,
    lineage: bool,
}

/// The rule that the executions match which are to match, and others.
pub(crate) fn rules(count: usize) -> Vec<RuleSource> {
    let mut random = Random(7);
    let first = "event.kind == \"process.exec\" && process.name in [\"xmrig\", \"minerd\"] \
        && (process.executable.startsWith(\"/dev/shm/\") || process.executable.contains(\"miner\")) \
        && \"--donate-level\" in process.args && process.args.exists(a, a.matches(\"^stratum[+]tcp://\")) \
        && !(process.parent.name == \"make\" || process.user.id == 4711)";
    let mut mixes = Vec::new();
    let others = (1..count).map(|_| {
        let (condition, mix) = condition(&mut random);
        mixes.push(mix);
        condition
    });
    let conditions: Vec<String> = std::iter::once(first.to_owned()).chain(others).collect();
    hold(&mut mixes);
    let rule = |(number, condition): (usize, String)| {
        let mut source = RuleSource::new(&format!("rule-{number}"), &condition);
        source.where_.target = Target::Any;
        source
    };
    conditions.into_iter().enumerate().map(rule).collect()
}

/// Ends the program when many rules are not of the mix that is told above.
fn hold(mixes: &mut [Mix]) {
    mixes.sort_by_key(|mix| mix.comparisons);
    let Some(middle) = mixes.get(mixes.len() / 2).filter(|_| mixes.len() > 900) else {
        return;
    };
    let sum = |of: fn(&Mix) -> usize| mixes.iter().map(of).sum::<usize>();
    let all = sum(|mix| mix.comparisons);
    let near = |some: usize, all: usize, percent: usize| (some * 100).abs_diff(all * percent) <= all * 2;
    assert_eq!(middle.comparisons, 8);
    assert!(near(sum(|mix| mix.parts), all, 30), "parts of texts");
    assert!(near(sum(|mix| mix.patterns), all, 10), "regular expressions");
    assert!(
        near(sum(|mix| usize::from(mix.lineage)), mixes.len(), 20),
        "ancestors"
    );
}

fn condition(random: &mut Random) -> (String, Mix) {
    let mut left = 5 + random.below(4) + random.below(4);
    let mut mix = Mix {
        comparisons: left,
        ..Mix::default()
    };
    let mut members = vec!["event.kind == \"process.exec\"".to_owned()];
    left -= 1;
    mix.lineage = random.percent(20);
    if mix.lineage {
        members.push(ancestors(random));
        left -= 1;
    }
    while left > 0 {
        let alternatives = left.min(1 + random.below(3));
        left -= alternatives;
        let tests: Vec<String> = (0..alternatives).map(|_| comparison(random, &mut mix)).collect();
        let not = if random.percent(15) { "!" } else { "" };
        members.push(format!("{not}({})", tests.join(" || ")));
    }
    (members.join(" && "), mix)
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

/// Where ancestors are visited, arguments are not: both together cost more than a rule may. Shares are of the comparisons
/// that are left beside those of the kind and of ancestors.
fn comparison(random: &mut Random, mix: &mut Mix) -> String {
    match random.below(100) {
        0..35 => {
            mix.parts += 1;
            part(random, mix.lineage)
        }
        35..47 => {
            mix.patterns += 1;
            pattern(random, mix.lineage)
        }
        47..58 => {
            let number = random.below(2_000);
            match random.below(5) {
                0 => "process.user.id == 0".to_owned(),
                1 => "process.in_container".to_owned(),
                2 => "process.tty != null".to_owned(),
                3 => format!("process.user.id == {number}"),
                _ => format!("process.args_count > {}", number % 20),
            }
        }
        58..74 => match random.below(4) {
            0 | 1 => format!("process.name == \"{}\"", random.program()),
            2 => format!("process.parent.name == \"{}\"", random.program()),
            _ => format!("process.executable == \"{}\"", random.path()),
        },
        74..87 => {
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

/// An execution.
pub(crate) struct Execution {
    pub(crate) name: &'static str,
    pub(crate) executable: String,
    pub(crate) args: Vec<&'static str>,
    pub(crate) directory: &'static str,
    pub(crate) user: u32,
    pub(crate) terminal: bool,
    pub(crate) container: bool,
    /// The nearest first: name, executable, user.
    pub(crate) ancestors: Vec<(&'static str, String, u32)>,
}

/// Executions as they happen in containers and on the host. One in a thousand is what the first rule looks for.
pub(crate) fn executions(count: usize) -> Vec<Execution> {
    let mut random = Random(11);
    (0..count)
        .map(|number| execution(&mut random, number % 1_000 == 500))
        .collect()
}

fn execution(random: &mut Random, matching: bool) -> Execution {
    let user = |random: &mut Random| if random.percent(50) { 0 } else { 1_000 };
    let mut name = random.of(PROGRAMS);
    let mut args: Vec<&str> = (0..random.below(9)).map(|_| random.of(ARGUMENTS)).collect();
    let mut executable = format!("{}/{name}", random.of(DIRECTORIES));
    if matching {
        name = "xmrig";
        args = vec!["--donate-level", "1", "-o", "stratum+tcp://pool.example:3333"];
        "/dev/shm/xmrig".clone_into(&mut executable);
    }
    let mut ancestor = || {
        let user = user(random);
        (random.of(PROGRAMS), format!("{}/x", random.of(DIRECTORIES)), user)
    };
    let ancestors = (0..4).map(|_| ancestor()).collect();
    Execution {
        name,
        executable,
        args,
        directory: random.of(&["/", "/root", "/opt/app", "/home/dev/src"]),
        user: user(random),
        terminal: random.percent(20),
        container: random.percent(70),
        ancestors,
    }
}
