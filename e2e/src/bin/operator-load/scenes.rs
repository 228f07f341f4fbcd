//! What is played and measured, one scene after the other.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{interval, sleep};
use yagura_e2e::{objects, signals};

use crate::calls::{Calls, float};
use crate::figures::print;
use crate::fleet::Fleet;
use crate::messages::Matches;
use crate::objects::NAMESPACES;
use crate::operator::Operator;
use crate::signals::Watch;

/// Rules that the bench applied are named so, with a number.
const RULE: &str = "bench-rule-";

/// Rules whose matches are in very many groups.
const RULES: usize = 20;

/// How long anything may take at the most, whatever its bar is.
const PATIENCE: Duration = Duration::from_mins(3);

/// A run's parts.
pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) operator: Operator,
    pub(crate) fleet: Fleet,
    pub(crate) agents: usize,
    pub(crate) quiet: Duration,
}

impl Stage {
    fn figure(&self, name: &str, value: f64, unit: &str, note: &str) -> Result<()> {
        print(self.agents, name, value, unit, note)
    }
}

/// Plays every scene.
pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    connect(stage).await?;
    let revision = restart(stage).await?;
    quiet(stage).await?;
    change(stage, &revision).await?;
    one_rule(stage).await?;
    many_groups(stage).await
}

/// All agents of a new cluster at once; then every node gets its object.
async fn connect(stage: &Stage) -> Result<()> {
    let (_, took) = stage.fleet.agree(None, PATIENCE).await?;
    stage.figure(
        "first-connect",
        took.as_secs_f64(),
        "s",
        &format!("{:?}", stage.fleet.ends()),
    )?;
    let sensors = objects::api(&stage.client, "NodeSensor", None)?;
    let deadline = Instant::now() + Duration::from_mins(10);
    loop {
        let list = sensors.list(&ListParams::default()).await?;
        let written = list.iter().filter(|sensor| {
            sensor.data["status"]["rules"]["summary"]
                .as_str()
                .is_some_and(|summary| !summary.starts_with("0/"))
        });
        let written = written.count();
        if written == stage.agents {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{written} of {} NodeSensors are written",
            stage.agents
        );
        sleep(Duration::from_secs(2)).await;
    }
}

/// The operator is replaced: every agent comes back, and the API server hardly notices.
async fn restart(stage: &mut Stage) -> Result<String> {
    let from = SystemTime::now();
    let down = stage.operator.restart().await?;
    let ready = Instant::now();
    let (revision, _) = stage.fleet.agree(None, PATIENCE).await?;
    let took = ready.elapsed();
    stage.figure(
        "restart-to-ready",
        (down + took).as_secs_f64(),
        "s",
        &format!(
            "from the old one's end to the last agent's policy; {:.1} s of it without an operator",
            down.as_secs_f64()
        ),
    )?;
    sleep(Duration::from_secs(20)).await;
    let calls = stage.calls.since(from)?;
    let reviews = calls.of("create tokenreviews");
    stage.figure("restart-reviews", float(reviews), "calls", &calls.shown())?;
    stage.figure(
        "restart-calls-peak",
        calls.worst_second(),
        "/s",
        "calls of every kind in the worst second",
    )?;
    stage.figure(
        "restart-writes-peak",
        calls.worst_writes(),
        "/s",
        "in the worst ten seconds",
    )?;
    let usage = stage.operator.usage()?;
    stage.figure(
        "restart-processor",
        usage.processor,
        "s",
        "processor time from the start to 20 s after the last agent",
    )?;
    Ok(revision)
}

/// Nothing happens but heartbeats.
async fn quiet(stage: &Stage) -> Result<()> {
    let (from, before) = (SystemTime::now(), stage.operator.usage()?);
    sleep(stage.quiet).await;
    let after = stage.operator.usage()?;
    let calls = stage.calls.since(from)?;
    let seconds = stage.quiet.as_secs();
    stage.figure(
        "quiet-processor",
        after.percent_since(&before),
        "% of a core",
        &format!("{seconds} s with heartbeats"),
    )?;
    stage.figure("quiet-memory", after.resident, "MiB", "resident")?;
    stage.figure(
        "quiet-writes",
        calls.writes_per_second(),
        "/s",
        &format!("over {seconds} s: {}", calls.shown()),
    )
}

/// A rule's condition changes.
async fn change(stage: &Stage, revision: &str) -> Result<()> {
    let (from, before) = (SystemTime::now(), stage.operator.usage()?);
    let patch =
        json!({"spec": {"condition": "event.kind == \"process.exec\" && process.name == \"bench-changed\""}});
    objects::api(&stage.client, "DetectionRule", None)?
        .patch(
            &format!("{RULE}0"),
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await
        .context("cannot change a rule")?;
    let (_, took) = stage.fleet.agree(Some(revision), PATIENCE).await?;
    stage.figure(
        "change-to-all",
        took.as_secs_f64(),
        "s",
        "from the API server's answer to the last agent's acknowledgement",
    )?;
    sleep(Duration::from_secs(30)).await;
    let after = stage.operator.usage()?;
    let calls = stage.calls.since(from)?;
    stage.figure(
        "change-processor",
        after.percent_since(&before),
        "% of a core",
        "the 30 s after it included",
    )?;
    stage.figure("change-writes-peak", calls.worst_writes(), "/s", &calls.shown())
}

/// A hundred agents with 8,000 matches a second of one rule: one fold a second each.
async fn one_rule(stage: &Stage) -> Result<()> {
    const SECONDS: u64 = 30;
    const EACH: u64 = 8_000;
    let busy = stage.agents.min(100);
    let (from, before) = (SystemTime::now(), stage.operator.usage()?);
    let counted = stage
        .operator
        .metric("yagura_operator_stored_matches_total")
        .await?;
    let mut second = interval(Duration::from_secs(1));
    for _ in 0..SECONDS {
        second.tick().await;
        for place in 0..busy {
            let rule = format!("{RULE}{}", RULES + 1);
            let matches = Matches {
                rule,
                group: "busy".to_owned(),
                count: EACH,
            };
            stage.fleet.matches(place, matches)?;
        }
    }
    let sent = EACH * SECONDS * u64::try_from(busy)?;
    let deadline = Instant::now() + PATIENCE;
    let stored = loop {
        let stored = stage
            .operator
            .metric("yagura_operator_stored_matches_total")
            .await?
            - counted;
        if stored >= float(sent) || Instant::now() > deadline {
            break stored;
        }
        sleep(Duration::from_millis(200)).await;
    };
    let after = stage.operator.usage()?;
    let calls = stage.calls.since(from)?;
    stage.figure(
        "matches-processor",
        after.percent_since(&before),
        "% of a core",
        &format!("{busy} agents with {EACH} matches/s each"),
    )?;
    stage.figure("matches-writes-peak", calls.worst_writes(), "/s", &calls.shown())?;
    stage.figure(
        "matches-uncounted",
        float(sent) - stored,
        "matches",
        &format!("of {sent}"),
    )
}

/// Ten thousand groups in a minute, of rules that begin one after the other.
async fn many_groups(stage: &Stage) -> Result<()> {
    const GROUPS: usize = 10_000;
    const TICKS: usize = 600;
    let watch = Watch::start(&stage.client)?;
    let rules: Vec<String> = (1..=RULES).map(|n| format!("{RULE}{n}")).collect();
    let (from, before) = (SystemTime::now(), stage.operator.usage()?);
    let mut began = vec![None; RULES];
    let mut tick = interval(Duration::from_millis(100));
    for group in 0..GROUPS {
        if group % (GROUPS / TICKS) == 0 {
            tick.tick().await;
        }
        // One more rule begins in each two seconds of the first forty; all that have begun take turns.
        let running = (group * 30 / GROUPS + 1).min(RULES);
        let fresh = began.iter().take(running).position(Option::is_none);
        let rule = fresh.unwrap_or(group % running);
        began[rule].get_or_insert_with(Instant::now);
        let matches = Matches {
            rule: rules[rule].clone(),
            group: format!("group-{group}"),
            count: 1,
        };
        // Workloads of these agents are in the same namespace, so that its cap is reached.
        stage.fleet.matches(group * NAMESPACES % stage.agents, matches)?;
    }
    let seen = watch.first(&rules, PATIENCE).await?;
    let mut waits: Vec<f64> = rules
        .iter()
        .zip(&began)
        .filter_map(|(rule, began)| Some(seen.get(rule)?.saturating_duration_since((*began)?).as_secs_f64()))
        .collect();
    waits.sort_by(f64::total_cmp);
    let slowest = waits.last().copied().context("no rule began")?;
    let after = stage.operator.usage()?;
    let calls = stage.calls.since(from)?;
    stage.figure(
        "groups-first-signal",
        slowest,
        "s",
        &format!(
            "the slowest of {RULES} rules; median {:.2} s",
            waits[waits.len() / 2]
        ),
    )?;
    stage.figure(
        "groups-processor",
        after.percent_since(&before),
        "% of a core",
        &format!("{GROUPS} groups in a minute"),
    )?;
    stage.figure("groups-writes-peak", calls.worst_writes(), "/s", &calls.shown())?;
    capped(stage, &rules).await?;
    stage.figure(
        "highest-memory",
        stage.operator.usage()?.peak,
        "MiB",
        "resident, since the restart",
    )
}

/// No rule has more open signals in a namespace than the cap, in the store, whatever is written already.
async fn capped(stage: &Stage, rules: &[String]) -> Result<()> {
    let mut most = 0;
    for rule in rules {
        let mut by_namespace = std::collections::HashMap::<String, u64>::new();
        let selector = format!("{}={rule}", signals::RULE_LABEL);
        for signal in objects::list(&stage.client, "SecuritySignal", None, &selector).await? {
            let namespace = signal["metadata"]["namespace"].as_str().unwrap_or_default();
            *by_namespace.entry(namespace.to_owned()).or_default() += 1;
        }
        most = most.max(by_namespace.into_values().max().unwrap_or_default());
    }
    let opened = stage
        .operator
        .metric("yagura_operator_opened_signals_total")
        .await?;
    let note = format!("of one rule in one namespace, the overflow signal included; {opened} opened in all");
    stage.figure("groups-most-signals", float(most), "signals", &note)
}
