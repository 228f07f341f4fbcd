//! Starts the watches and what they feed: rules, posture, pods, nodes, shipped content, the webhook.

use std::convert::Infallible;

use tokio::sync::mpsc;

use crate::content::Bundle;
use crate::context::Context;
use crate::supervise::Supervisor;
use crate::{admission, content, detection_rule, exception, node_sensor, pods, posture, value_list};

/// Pods that wait to be judged. The watch waits for room: a pod has a few kilobytes, so this is a
/// few megabytes at the most.
const JUDGED_PODS: usize = 256;

/// Starts every controller. The operator is ready once pods, rules and nodes are known: before, it
/// could neither tell whose a report is nor hand out what a node should run.
pub(crate) fn start(tasks: &mut Supervisor, context: &Context, shipped: Bundle) {
    context.index.write().shipped = shipped.names();
    let (judged, to_judge) = mpsc::channel(JUDGED_PODS);
    let readiness = &context.readiness;
    let watch_pods = pods::run(context.clone(), readiness.gate("pods"), judged);
    let rules = detection_rule::run(context.clone(), readiness.gate("rules"));
    let sensors = node_sensor::run(context.clone(), readiness.gate("nodes"));
    let judge = posture::run(context.clone(), to_judge);
    let keep_content = content::run(context.clone(), shipped);
    tasks.spawn("lists", endless(value_list::run(context.clone())));
    tasks.spawn("pods", endless(watch_pods));
    tasks.spawn("rules", endless(rules));
    tasks.spawn("exceptions", endless(exception::run(context.clone())));
    tasks.spawn("sensors", endless(sensors));
    tasks.spawn("posture", endless(judge));
    tasks.spawn("content", endless(keep_content));
    tasks.spawn("webhook", admission::run(context.clone()));
}

/// A controller that retries whatever fails, and ends only with the process.
async fn endless(task: impl Future<Output = ()>) -> Result<(), Infallible> {
    task.await;
    Ok(())
}
