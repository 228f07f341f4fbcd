//! The operator under load: a process on this host, pinned to the processor that the load leaves free.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use yagura_e2e::cluster::INSTALLATION;

/// How long a start may take; with 5,000 nodes it lists some megabytes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running operator.
pub(crate) struct Operator {
    binary: PathBuf,
    folder: PathBuf,
    kubeconfig: PathBuf,
    child: Child,
    pid: u32,
    agents: u16,
    admin: u16,
}

/// What a process used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time, in seconds.
    pub(crate) processor: f64,
    /// Resident memory, in MiB.
    pub(crate) resident: f64,
    /// The highest resident memory so far, in MiB.
    pub(crate) peak: f64,
    /// When it was read.
    pub(crate) at: Instant,
}

impl Usage {
    /// Share of a core used since an earlier look, in per cent.
    pub(crate) fn percent_since(&self, before: &Self) -> f64 {
        (self.processor - before.processor) / (self.at - before.at).as_secs_f64() * 100.0
    }
}

impl Operator {
    /// Starts it and waits until it is ready; `writes` replaces its default of writes a second.
    pub(crate) async fn start(
        binary: &Path,
        folder: &Path,
        kubeconfig: &Path,
        writes: Option<u32>,
    ) -> Result<Self> {
        Self::start_at(binary, folder, kubeconfig, writes, free_port()?).await
    }

    async fn start_at(
        binary: &Path,
        folder: &Path,
        kubeconfig: &Path,
        writes: Option<u32>,
        agents: u16,
    ) -> Result<Self> {
        let (webhook, admin) = (free_port()?, free_port()?);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("operator.log"))
            .context("cannot create the operator's log")?;
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", "1"])
            .arg(binary)
            .args(["--namespace", INSTALLATION, "--pod-name", "bench"])
            .arg("--store")
            .arg(folder.join("operator.db"))
            .args(["--listen", &format!("127.0.0.1:{agents}")])
            .args(["--webhook-listen", &format!("127.0.0.1:{webhook}")])
            .args(["--admin-listen", &format!("127.0.0.1:{admin}")])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log)
            .kill_on_drop(true);
        if let Some(writes) = writes {
            command.args(["--api-writes-per-second", &writes.to_string()]);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let pid = child.id().context("the operator ended at once")?;
        let mut operator = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            child,
            pid,
            agents,
            admin,
        };
        let deadline = Instant::now() + PATIENCE;
        while operator.get("/readyz").await.is_err() {
            if let Some(status) = operator.child.try_wait()? {
                bail!("the operator ended with {status}; see operator.log");
            }
            ensure!(
                Instant::now() < deadline,
                "the operator was not ready after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(operator)
    }

    /// Where agents connect.
    pub(crate) fn agents_address(&self) -> u16 {
        self.agents
    }

    /// Ends it as Kubernetes does and starts it anew at the same address, with its default of writes. Returns how long
    /// it was not ready.
    pub(crate) async fn restart(&mut self) -> Result<Duration> {
        let from = Instant::now();
        self.terminate().await?;
        *self = Self::start_at(&self.binary, &self.folder, &self.kubeconfig, None, self.agents).await?;
        Ok(from.elapsed())
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.terminate().await
    }

    async fn terminate(&mut self) -> Result<()> {
        let told = Command::new("kill")
            .args(["-TERM", &self.pid.to_string()])
            .status();
        ensure!(told.await?.success(), "the operator cannot be told to end");
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait());
        let status = ended.await.context("the operator did not end within 30 s")??;
        ensure!(status.success(), "the operator ended with {status}");
        Ok(())
    }

    /// What it used so far, from `/proc`.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{}/{file}", self.pid))
                .with_context(|| format!("cannot read {file} of the operator"))
        };
        let stat = read("stat")?;
        let at = Instant::now();
        let (_, rest) = stat.rsplit_once(')').context("a stat line without a name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields 14 and 15 of proc_pid_stat(5), the first of `fields` being field 3; a tick is 10 ms.
        let ticks = |index: usize| -> Result<f64> {
            fields
                .get(index)
                .and_then(|field| field.parse().ok())
                .context("a stat line that ends early")
        };
        let status = read("status")?;
        let mebibytes = |name: &str| -> Result<f64> {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            let kibibytes: f64 = number.with_context(|| format!("a status without {name}"))?;
            Ok(kibibytes / 1024.0)
        };
        Ok(Usage {
            processor: (ticks(11)? + ticks(12)?) / 100.0,
            resident: mebibytes("VmRSS:")?,
            peak: mebibytes("VmHWM:")?,
            at,
        })
    }

    /// The sum of a metric over all its labels.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let page = self.get("/metrics").await?;
        let values = page
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).await?;
        // HTTP/1.0: the server closes after the body and does not chunk it.
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .context("an answer without a header")?;
        ensure!(head.split_whitespace().nth(1) == Some("200"), "{path}: {head}");
        Ok(body.to_owned())
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
