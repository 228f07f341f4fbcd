//! Custom resource types of the group `yagura.dev`: the source of the generated YAML, of the
//! reference documentation and of the chart's copies.
//!
//! Types, reading them from files, and conversions to and from the domain. Nothing here talks to
//! an API server.

#![forbid(unsafe_code)]

pub mod attack;
pub mod convert;
pub mod detection_rule;
pub mod duration;
pub mod exception;
pub mod generate;
pub mod node_sensor;
pub mod notification_route;
pub mod posture_check;
pub mod posture_framework;
pub mod rule_test;
pub mod security_signal;
pub mod selector;
pub mod severity;
pub mod source;
pub mod test_value;
pub mod value_list;

pub use attack::Attack;
pub use detection_rule::{DetectionRule, DetectionRuleSpec, DetectionRuleStatus};
pub use duration::Duration;
pub use exception::{ClusterException, ClusterExceptionSpec, Exception, ExceptionSpec, ExceptionStatus};
pub use node_sensor::{NodeSensor, NodeSensorStatus};
pub use notification_route::{NotificationRoute, NotificationRouteSpec, NotificationRouteStatus};
pub use posture_check::{PostureCheck, PostureCheckSpec, PostureCheckStatus};
pub use posture_framework::{PostureFramework, PostureFrameworkSpec, PostureFrameworkStatus};
pub use security_signal::{SecuritySignal, SecuritySignalSpec, SecuritySignalStatus};
pub use severity::Severity;
pub use test_value::TestValue;
pub use value_list::{ValueList, ValueListSpec, ValueListStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// The API group of every kind.
pub const GROUP: &str = "yagura.dev";

/// The one served version.
pub const VERSION: &str = "v1alpha1";

/// Group and version as they stand in `apiVersion`.
pub const API_VERSION: &str = "yagura.dev/v1alpha1";

/// Every custom resource definition, in the order of their kinds.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        ClusterException::crd(),
        DetectionRule::crd(),
        Exception::crd(),
        NodeSensor::crd(),
        NotificationRoute::crd(),
        PostureCheck::crd(),
        PostureFramework::crd(),
        SecuritySignal::crd(),
        ValueList::crd(),
    ]
}
