//! MITRE ATT&CK ids.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tactic of MITRE ATT&CK, and the technique that serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attack {
    /// Id of the tactic, such as `TA0002`.
    #[schemars(length(max = 16), regex(pattern = r"^TA[0-9]{4}$"))]
    pub tactic: String,
    /// Id of the technique or sub-technique, such as `T1059` or `T1059.004`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^T[0-9]{4}(\.[0-9]{3})?$"))]
    pub technique: Option<String>,
}
