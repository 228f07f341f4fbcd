//! Signals in the cluster, as the API server has them.

use std::fmt;

use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, CustomResourceExt as _};
use serde_json::{Value, json};
use yagura_crds::SecuritySignal;
use yagura_crds::security_signal::{NODE_LABEL, RULE_LABEL};

use super::{SignalsError, namespace_of, value};
use crate::args::{Filter, Target};

/// Owner of the triage that this command writes.
const FIELD_MANAGER: &str = "yagura-cli";

/// Signals asked for at a time.
const PAGE: u32 = 500;

/// Namespace and name of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The cluster that is meant.
pub(super) struct Cluster {
    pub(super) client: Client,
    /// The namespace that is meant where none is named.
    pub(super) namespace: String,
    /// Where the operator is.
    pub(super) home: String,
}

impl Cluster {
    /// Connects with the kubeconfig, or from within a pod with its service account.
    pub(super) async fn connect(target: &Target) -> Result<Self, SignalsError> {
        let options = KubeConfigOptions {
            context: target.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = match &target.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| SignalsError::Config(error.into()))?;
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|error| SignalsError::Config(error.into()))?
            }
            None if target.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .map_err(|error| SignalsError::Config(error.into()))?,
            None => Config::infer()
                .await
                .map_err(|error| SignalsError::Config(error.into()))?,
        };
        let namespace = namespace_of(target, &config.default_namespace);
        let client = Client::try_from(config).map_err(|error| SignalsError::Config(error.into()))?;
        Ok(Self {
            client,
            namespace,
            home: target.operator_namespace.clone(),
        })
    }

    /// The signal that a person names.
    pub(super) fn name(&self, text: &str) -> Result<Name, SignalsError> {
        let (namespace, name) = text.split_once('/').unwrap_or((&self.namespace, text));
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.'))
        };
        if !is_name(namespace) || !is_name(name) {
            return Err(SignalsError::Name(text.to_owned()));
        }
        Ok(Name {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The signals where the filter looks.
    pub(super) fn signals(&self, filter: &Filter) -> Api<DynamicObject> {
        let resource = SecuritySignal::api_resource();
        if filter.all_namespaces {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
        }
    }

    /// All signals that the API server can tell by itself.
    pub(super) async fn list(&self, filter: &Filter) -> Result<Vec<Value>, SignalsError> {
        let api = self.signals(filter);
        let mut params = ListParams::default().labels(&labels(filter)).limit(PAGE);
        let mut found = Vec::new();
        loop {
            let page = api.list(&params).await.map_err(failed("list signals"))?;
            found.extend(page.items.into_iter().map(value));
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => params.continue_token = Some(next),
                _ => return Ok(found),
            }
        }
    }

    /// One signal.
    pub(super) async fn get(&self, name: &Name) -> Result<Value, SignalsError> {
        let found = self.of(name).get(&name.name).await;
        found.map(value).map_err(failed(&format!("get signal {name}")))
    }

    /// Writes a signal's `spec.triage`.
    pub(super) async fn triage(&self, name: &Name, triage: &Value) -> Result<(), SignalsError> {
        let patch = Patch::Merge(json!({"spec": {"triage": triage}}));
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let written = self.of(name).patch(&name.name, &params, &patch).await;
        written
            .map(drop)
            .map_err(failed(&format!("change signal {name}")))
    }

    fn of(&self, name: &Name) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            &name.namespace,
            &SecuritySignal::api_resource(),
        )
    }
}

/// What of a filter are labels.
pub(super) fn labels(filter: &Filter) -> String {
    let labels = [(RULE_LABEL, &filter.rule), (NODE_LABEL, &filter.node)];
    let labels = labels
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label}={}", value.as_ref()?)));
    labels.collect::<Vec<_>>().join(",")
}

fn failed(what: &str) -> impl FnOnce(kube::Error) -> SignalsError {
    let what = what.to_owned();
    |error| SignalsError::Api {
        what,
        source: Box::new(error),
    }
}
