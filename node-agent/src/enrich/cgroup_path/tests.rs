//! Paths as runtimes really make them, and paths that only look like it.

use proptest::{collection::vec, prelude::*};
use yagura_event::{Known, Text};

use super::parse;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b";
const UNDERSCORED: &str = "1e2a7c54_9a0f_4f6e_8f6a_0c1d2e3f4a5b";
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015";

#[track_caller]
fn check(path: &str, runtime: Option<&str>, pod: Option<&str>) {
    let path = path
        .replace("{id}", ID)
        .replace("{uid}", UID)
        .replace("{_uid}", UNDERSCORED)
        .replace("{hash}", HASH);
    let found = parse(path.as_bytes()).unwrap_or_else(|| panic!("{path} names a container"));
    assert_eq!(found.id, Text::from(ID), "{path}");
    assert_eq!(
        found.runtime,
        runtime.map_or(Known::Unknown, |name| Known::Present(Text::from(name))),
        "{path}"
    );
    assert_eq!(found.pod_uid, Known::from(pod.map(Text::from)), "{path}");
}

#[test]
fn kubernetes() {
    let systemd = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_uid}.slice";
    check(
        &format!("{systemd}/cri-containerd-{{id}}.scope"),
        Some("containerd"),
        Some(UID),
    );
    check(&format!("{systemd}/crio-{{id}}.scope"), Some("cri-o"), Some(UID));
    check(
        &format!("{systemd}/docker-{{id}}.scope"),
        Some("docker"),
        Some(UID),
    );
    check(
        "/kubepods.slice/kubepods-pod{_uid}.slice/cri-containerd-{id}.scope",
        Some("containerd"),
        Some(UID),
    );
    check("/kubepods/besteffort/pod{uid}/{id}", None, Some(UID));
    check("/kubepods/pod{uid}/{id}", None, Some(UID));
    check("/kubepods/burstable/pod{hash}/{id}", None, Some(HASH));
    check(
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{hash}.slice/crio-{id}.scope",
        Some("cri-o"),
        Some(HASH),
    );
}

#[test]
fn runtimes_alone() {
    check("/docker/{id}", Some("docker"), None);
    check("/system.slice/docker-{id}.scope", Some("docker"), None);
    check("/machine.slice/libpod-{id}.scope", Some("podman"), None);
    check("/machine.slice/libpod-{id}.scope/container", Some("podman"), None);
    check("/libpod_parent/libpod-{id}", Some("podman"), None);
    check(
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope",
        Some("podman"),
        None,
    );
    check("/default/{id}", Some("containerd"), None);
}

#[test]
fn nested() {
    let inner = "f".repeat(64);
    let path = format!("/docker/{ID}/kubepods/besteffort/pod{UID}/{inner}");
    let found = parse(path.as_bytes()).unwrap();
    assert_eq!(found.id, Text::from(inner.as_str()));
    assert_eq!(found.pod_uid, Known::Present(Text::from(UID)));
    check("/docker/{id}/system.slice/ssh.service", Some("docker"), None);
    check("/../../kubepods/pod{uid}/{id}", None, Some(UID));
}

#[test]
fn what_is_no_container() {
    for path in [
        "",
        "/",
        "/init.scope",
        "/system.slice/containerd.service",
        "/kubepods/besteffort/pod1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b",
        "/machine.slice/libpod-conmon-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        "/crio-conmon-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        "/app0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(parse(path.as_bytes()), None, "{path}");
    }
}

proptest! {
    #[test]
    fn arbitrary_paths_never_panic(path in vec(any::<u8>(), 0..300)) {
        let _identity = parse(&path);
    }
}
