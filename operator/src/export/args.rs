//! Where signals are exported to.

use std::path::PathBuf;

use clap::Args;

/// Where signals are exported to.
#[derive(Clone, Debug, Default, Args)]
pub struct ExportArgs {
    /// Write every change of a signal to standard output, as OCSF Detection Findings, one JSON object a line.
    #[arg(long, env = "YAGURA_EXPORT_STDOUT")]
    pub export_stdout: bool,

    /// Append the same lines to this file.
    #[arg(long, env = "YAGURA_EXPORT_FILE", value_name = "FILE")]
    pub export_file: Option<PathBuf>,

    /// Begin a new file when it has this many MiB; the old one gets the suffix .1.
    #[arg(long, env = "YAGURA_EXPORT_FILE_LIMIT", value_name = "MIB", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub export_file_limit: u64,

    /// Old files to keep.
    #[arg(long, env = "YAGURA_EXPORT_FILE_KEEP", value_name = "FILES", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub export_file_keep: u32,

    /// Post the same lines to this URL, some at a time (application/x-ndjson).
    #[arg(long, env = "YAGURA_EXPORT_HTTP", value_name = "URL")]
    pub export_http: Option<String>,

    /// File with the bearer token for that URL; read anew each time.
    #[arg(
        long,
        env = "YAGURA_EXPORT_HTTP_TOKEN_FILE",
        value_name = "FILE",
        requires = "export_http"
    )]
    pub export_http_token_file: Option<PathBuf>,

    /// Post every change of a signal to this OpenTelemetry endpoint as a log record (OTLP over HTTP, JSON);
    /// /v1/logs is appended.
    #[arg(long, env = "YAGURA_EXPORT_OTLP", value_name = "URL")]
    pub export_otlp: Option<String>,

    /// File with the bearer token for that endpoint; read anew each time.
    #[arg(
        long,
        env = "YAGURA_EXPORT_OTLP_TOKEN_FILE",
        value_name = "FILE",
        requires = "export_otlp"
    )]
    pub export_otlp_token_file: Option<PathBuf>,

    /// Certificates in PEM to trust both by, instead of the well-known authorities.
    #[arg(long, env = "YAGURA_EXPORT_CA", value_name = "FILE")]
    pub export_ca: Option<PathBuf>,
}
