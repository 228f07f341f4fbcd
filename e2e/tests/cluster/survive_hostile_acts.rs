//! Whatever a container puts into its arguments, the signal is a valid object that shows it.

use anyhow::{Result, ensure};
use serde_json::json;
use yagura_e2e::rules::{executed_with, rule};
use yagura_e2e::{signals, with_namespace, workload};

/// An object stays below this.
const OBJECT_BYTES: usize = 32 << 10;

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn long_arguments_newlines_and_invalid_utf8_are_shown_within_bounds() -> Result<()> {
    with_namespace(|space| async move {
        let pod = workload::sleeper(&space, "app").await?;
        let acts = [
            (
                "long",
                r#"/bin/true long "$(head -c 30000 /dev/zero | tr '\0' a)""#,
                "aaaaaaaaaa",
            ),
            ("many", "/bin/true many $(seq 5000)", "1"),
            (
                "lines",
                r#"/bin/true lines "$(printf 'one\ntwo\tthree\033[31m')""#,
                "one",
            ),
            ("bytes", r#"/bin/true bytes "$(printf 'ab\377\376cd')""#, "ab"),
            (
                "braces",
                "/bin/true braces '{{process.name}}' '<script>'",
                "{{process.name}}",
            ),
        ];
        for (stem, script, shown) in acts {
            let title = json!({"title": "ran {{process.command_line}}", "fields": ["process.command_line"]});
            let rule = rule(&space, stem, &executed_with(stem)).with("signal", title);
            rule.run(&space).await?;
            workload::shell(&space, &pod, script).await?;
            let signal = signals::counted(&space, &rule, 1).await?;

            let size = serde_json::to_string(&*signal)?.len();
            ensure!(size < OBJECT_BYTES, "{stem}: {size} bytes");
            let title = signal["status"]["title"].as_str().unwrap_or_default();
            ensure!(
                title.starts_with("ran ") && !title.contains('\n') && !title.contains('\u{1b}'),
                "{stem}: {title:?}"
            );
            let args = signal.resource("Process")?["args"].to_string();
            ensure!(args.contains(stem) && args.contains(shown), "{stem}: {args:.300}");
        }
        Ok(())
    })
    .await
}
