//! The lease against the real optimistic locking.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use yagura_operator::lease::{LeaseError, acquire};

use crate::namespace::with_namespace;

#[tokio::test]
#[ignore = "needs a cluster; cargo xtask test runs it"]
async fn the_lease_passes_on_and_its_loss_ends_the_holder_apiserver() {
    with_namespace(|client, namespace| async move {
        let first = acquire(&client, &namespace, "lease", "first").await;
        assert_eq!(first.epoch(), 0);
        let stop = CancellationToken::new();
        let held = tokio::spawn(first.hold(stop.clone().cancelled_owned()));

        let (other, place) = (client.clone(), namespace.clone());
        let second = tokio::spawn(async move { acquire(&other, &place, "lease", "second").await });
        let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
        let holder = || async { leases.get("lease").await.unwrap().spec.unwrap().holder_identity };
        assert_eq!(holder().await.as_deref(), Some("first"));
        stop.cancel();
        held.await.unwrap().unwrap();
        let second = second.await.unwrap();
        assert_eq!(second.epoch(), 1);
        assert_eq!(holder().await.as_deref(), Some("second"));

        // A lease that somebody deletes is made again by its holder.
        leases.delete("lease", &DeleteParams::default()).await.unwrap();
        let robbed = tokio::spawn(second.hold(std::future::pending()));
        while leases.get_opt("lease").await.unwrap().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(holder().await.as_deref(), Some("second"));
        let stolen = json!({"spec": {"holderIdentity": "thief"}});
        leases
            .patch("lease", &PatchParams::default(), &Patch::Merge(&stolen))
            .await
            .unwrap();
        let LeaseError::Lost { holder, .. } = robbed.await.unwrap().unwrap_err();
        assert_eq!(holder, "thief");
    })
    .await;
}
