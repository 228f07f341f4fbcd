//! Methods of `spec.detect` that learn what is usual.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// A value that was not there before, among the matches that share the values of `groupBy`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.learnFor) <= duration('2160h') && duration(self.forgetAfter) <= duration('2160h')").message("learnFor and forgetAfter are at most 2160h, which are 90 days"))]
#[x_kube(validation = Rule::new("duration(self.forgetAfter) > duration('0s') && duration(self.learnFor) <= duration(self.forgetAfter)").message("forgetAfter must be more than nothing and at least as long as learnFor"))]
pub struct NewValue {
    /// The fields whose values together are one. A match that lacks one of them is not counted; each element of a
    /// list is a value of its own.
    #[schemars(
        length(min = 1, max = 5),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub fields: Vec<String>,
    /// Fields that tell groups apart: each of them learns for itself. With one that exists on a single node, such
    /// as `container.id`, each node learns by itself; otherwise the operator learns across all nodes. A signal
    /// stands for one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// How long values are only learned, from the first match of a group on.
    #[serde(default = "week")]
    pub learn_for: Duration,
    /// How many matches of a group are only learned from, however long it takes.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub learn_matches: u32,
    /// After which time without a match a value is new again.
    #[serde(default = "four_weeks")]
    pub forget_after: Duration,
}

fn week() -> Duration {
    Duration("168h".to_owned())
}

fn four_weeks() -> Duration {
    Duration("672h".to_owned())
}

/// More matches in a while than at such times before, among those that share the values of `groupBy`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.bucket) >= duration('1m') && duration(self.bucket) <= duration('6h')").message("bucket is between 1m and 6h"))]
#[x_kube(validation = Rule::new("duration(self.history) >= duration('24h') && duration(self.history) <= duration('672h')").message("history is between 24h and 672h, which are 28 days"))]
#[x_kube(validation = Rule::new("duration(self.learnFor) >= duration(self.bucket) && duration(self.learnFor) <= duration(self.history)").message("learnFor is at least as long as bucket and at most as long as history"))]
pub struct Anomaly {
    /// Fields that tell groups apart: each of them is compared with itself. With one that exists on a single node,
    /// such as `container.id`, each node counts by itself; otherwise the operator counts across all nodes. A signal
    /// stands for one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// The while in which matches are counted: a length that divides an hour, or hours that divide a day.
    #[serde(default = "quarter")]
    pub bucket: Duration,
    /// How far back it is compared; at most 4032 buckets.
    #[serde(default = "two_weeks")]
    pub history: Duration,
    /// How long a group is only learned, from its first match on.
    #[serde(default = "day")]
    pub learn_for: Duration,
    /// How many times what varies usually (the median absolute deviation) is still usual beyond what was seen.
    #[serde(default = "two")]
    #[schemars(range(max = 100))]
    pub tolerance: u32,
    /// Fewer matches in a bucket are no anomaly.
    #[serde(default = "ten")]
    #[schemars(range(min = 2, max = 1_000_000))]
    pub min_count: u32,
}

/// A text that is like none before, among the matches that share the values of `groupBy`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.learnFor) <= duration('2160h') && duration(self.forgetAfter) <= duration('2160h')").message("learnFor and forgetAfter are at most 2160h, which are 90 days"))]
#[x_kube(validation = Rule::new("duration(self.forgetAfter) > duration('0s') && duration(self.learnFor) <= duration(self.forgetAfter)").message("forgetAfter must be more than nothing and at least as long as learnFor"))]
pub struct ContentAnomaly {
    /// The field that is the text, such as `process.command_line`. A match that lacks it is not counted.
    #[schemars(length(min = 1, max = 128))]
    pub field: String,
    /// Fields that tell groups apart: each of them learns for itself. With one that exists on a single node, such
    /// as `container.id`, each node learns by itself; otherwise the operator learns across all nodes. A signal
    /// stands for one group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 1, max = 128)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub group_by: Vec<String>,
    /// From how many hundredths of similarity on two texts are alike.
    #[serde(default = "seventy")]
    #[schemars(range(min = 1, max = 100))]
    pub similarity: u32,
    /// How many texts like it make a text usual.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub similar: u32,
    /// How long texts are only learned, from the first match of a group on.
    #[serde(default = "week")]
    pub learn_for: Duration,
    /// How many matches of a group are only learned from, however long it takes.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub learn_matches: u32,
    /// After which time without a text like it a text is unusual again.
    #[serde(default = "four_weeks")]
    pub forget_after: Duration,
}

fn quarter() -> Duration {
    Duration("15m".to_owned())
}

fn two_weeks() -> Duration {
    Duration("336h".to_owned())
}

fn day() -> Duration {
    Duration("24h".to_owned())
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn ten() -> u32 {
    10
}

fn seventy() -> u32 {
    70
}
