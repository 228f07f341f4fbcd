//! From a request of the API server to its answer: pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use yagura_crds::{
    ClusterException, DetectionRule, Exception, NotificationRoute, PostureCheck, PostureFramework, ValueList,
};
use yagura_rules::Lists;

use crate::conditions::cut;
use crate::content::{self, Names};
use crate::detection_rule::validate::Invalid;
use crate::exception::known::KnownRule;
use crate::notify::route::Route;
use crate::value_list::uses::Uses;
use crate::{detection_rule, exception, posture, value_list};

/// Largest object that is taken: a rule of 64 KiB with all its tests is far smaller.
const MAX_OBJECT: usize = 1024 * 1024;
/// Longest message: people read the beginning.
const MAX_MESSAGE: usize = 16 * 1024;
/// Longest warning; the API server cuts longer ones.
const MAX_WARNING: usize = 256;
/// Most warnings.
const MAX_WARNINGS: usize = 16;

/// What answers depend on beside the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Names of what ships.
    pub(super) shipped: Names,
    /// The rules that exceptions may name.
    pub(super) rules: Vec<Arc<KnownRule>>,
    /// The lists that conditions may name.
    pub(super) lists: Lists,
    /// Who uses them.
    pub(super) uses: Arc<Uses>,
    /// Whether rules must be proven by tests of their own.
    pub(super) require_rule_tests: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether the object is let in.
    pub(super) allowed: bool,
    /// The `AdmissionReview`.
    pub(super) json: Vec<u8>,
}

/// Answers a request.
pub(super) fn answer(body: &[u8], known: &Known) -> Answer {
    let review: Result<AdmissionReview<DynamicObject>, _> = serde_json::from_slice(body);
    let response = match review.map(AdmissionReview::try_into) {
        Ok(Ok(request)) => respond(&request, known),
        Ok(Err(error)) => AdmissionResponse::invalid(chain_of(&error)),
        Err(error) => AdmissionResponse::invalid(format!("the request is no AdmissionReview: {error}")),
    };
    let allowed = response.allowed;
    // Strings and numbers only: this always has a form in JSON.
    let json = serde_json::to_vec(&response.into_review()).unwrap_or_default();
    Answer { allowed, json }
}

fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    yagura_telemetry::chain(error).to_string()
}

fn respond(request: &AdmissionRequest<DynamicObject>, known: &Known) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    let Some(object) = &request.object else {
        if request.kind.kind == "ValueList" && request.operation == Operation::Delete {
            warn(
                &mut response,
                value_list::validate::deletion(&request.name, &known.uses),
            );
        }
        return response;
    };
    // What was let in before stays as it is: its labels can still be changed, and it be deleted.
    let before = request.old_object.as_ref().and_then(|old| old.data.get("spec"));
    if before.is_some() && before == object.data.get("spec") {
        return response;
    }
    if request.operation == Operation::Create
        && let Some(refusal) = wrongly_labelled(&request.kind.kind, object, &known.shipped)
    {
        return response.deny(refusal);
    }
    match judge(&request.kind.kind, object, known) {
        Ok(warnings) => {
            warn(&mut response, warnings);
            response
        }
        // Objects that are applied together arrive in any order, and a list that was just applied is not known yet.
        Err(Invalid::Lists { lines, .. }) => {
            let idle = |line| format!("it does nothing until this is solved: {line}");
            warn(&mut response, lines.into_iter().map(idle).collect());
            response
        }
        Err(invalid) => response.deny(cut(invalid.to_string(), MAX_MESSAGE)),
    }
}

fn warn(response: &mut AdmissionResponse, warnings: Vec<String>) {
    let shown = warnings.into_iter().take(MAX_WARNINGS);
    let shown: Vec<String> = shown.map(|warning| cut(warning, MAX_WARNING)).collect();
    response.warnings = (!shown.is_empty()).then_some(shown);
}

/// Why an object must not say that it ships: a copy that keeps the label would look like a shipped
/// object, and would be the user's all the same.
fn wrongly_labelled(kind: &str, object: &DynamicObject, shipped: &Names) -> Option<String> {
    let labels = object.metadata.labels.as_ref()?;
    let name = object.metadata.name.as_deref().unwrap_or_default();
    (labels.contains_key(content::LABEL) && !shipped.contains(kind, name)).then(|| {
        format!(
            "metadata.labels: {} marks what ships with Yagura, and no {kind} {name} is applied from it: leave the label out",
            content::LABEL
        )
    })
}

/// Warnings, or why the object is refused.
fn judge(kind: &str, object: &DynamicObject, known: &Known) -> Result<Vec<String>, Invalid> {
    let Known { rules, lists, .. } = known;
    let unreadable = |error: &(dyn std::error::Error + 'static)| Invalid::Object(chain_of(error));
    let size = serde_json::to_vec(object)
        .map_err(|error| unreadable(&error))?
        .len();
    if size > MAX_OBJECT {
        return Err(Invalid::Object(format!(
            "the object has {size} bytes, {MAX_OBJECT} at most are taken: shorten its description and tests, or split it"
        )));
    }
    let object = object.clone();
    match kind {
        "DetectionRule" => {
            let rule: DetectionRule = object.try_parse().map_err(|error| unreadable(&error))?;
            let valid = detection_rule::validate::validate(&rule, lists)?;
            match valid.unproven {
                Some(unproven) if known.require_rule_tests => Err(Invalid::Tests(unproven)),
                _ => Ok(valid.warnings),
            }
        }
        "PostureCheck" => {
            let check: PostureCheck = object.try_parse().map_err(|error| unreadable(&error))?;
            posture::validate::validate(&check, lists).map(|valid| valid.warnings)
        }
        "PostureFramework" => {
            let framework: PostureFramework = object.try_parse().map_err(|error| unreadable(&error))?;
            unique_controls(&framework)?;
            Ok(Vec::new())
        }
        "NotificationRoute" => {
            let route: NotificationRoute = object.try_parse().map_err(|error| unreadable(&error))?;
            Route::new(&route).map_err(|error| unreadable(&error))?;
            Ok(Vec::new())
        }
        "Exception" => {
            let exception: Exception = object.try_parse().map_err(|error| unreadable(&error))?;
            exception::validate::validate(&(&exception).into(), rules, lists)
        }
        "ClusterException" => {
            let exception: ClusterException = object.try_parse().map_err(|error| unreadable(&error))?;
            exception::validate::validate(&(&exception).into(), rules, lists)
        }
        "ValueList" => {
            let list: ValueList = object.try_parse().map_err(|error| unreadable(&error))?;
            value_list::validate::validate(&list)
        }
        // The webhook's configuration asks for nothing else.
        _ => Ok(Vec::new()),
    }
}

/// Signals name `framework/control`: an id must not stand in two requirements.
fn unique_controls(framework: &PostureFramework) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for (place, requirement) in framework.spec.requirements.iter().enumerate() {
        for (index, control) in requirement.controls.iter().enumerate() {
            if !seen.insert(&control.id) {
                return Err(Invalid::Object(format!(
                    "spec.requirements[{place}].controls[{index}].id: {:?} stands in another requirement, too",
                    control.id
                )));
            }
        }
    }
    Ok(())
}
