//! Fields of the event itself and of where it happened: container, pod, node.

use std::sync::Arc;

use super::convert::{Mismatch, flag, known, labels, text, time, trees, whole};
use super::kernel::{EXEC_FORK, EXIT, InKernel, KernelTest, Stage};
use super::{Field, Scalar, Type};
use crate::value::MapRef;
use crate::{Bearer, Container, Event, EventKind, Exit, Known, Origin, Outcome, Pod, Text, Tree, ValueRef};

const STRING_MAP: Type = Type::One(Scalar::StringMap);

pub(super) const EVENT: &[Field] = &[
    Field::new(
        "event.kind",
        Type::STRING,
        "process.exec",
        "What happened.",
        |event| event.kind.as_str().into(),
        |event, tree| {
            let name = text(tree)?;
            let kind = EventKind::ALL
                .into_iter()
                .find(|kind| kind.as_str().as_bytes() == name.as_bytes());
            event.kind = kind.ok_or(Mismatch("the name of an event kind such as process.exec"))?;
            Ok(())
        },
    )
    .in_kernel(InKernel::new(
        &EventKind::ALL,
        KernelTest::Hook,
        Stage::Header,
        "the hook itself",
    ))
    .shown(),
    Field::new(
        "event.source",
        Type::STRING,
        "live",
        "Whether it was seen as it happened (live) or is state found when the agent started (snapshot).",
        |event| event.origin.as_str().into(),
        |event, tree| {
            let name = text(tree)?;
            let origin = [Origin::Live, Origin::Snapshot]
                .into_iter()
                .find(|o| o.as_str().as_bytes() == name.as_bytes());
            event.origin = origin.ok_or(Mismatch("live or snapshot"))?;
            Ok(())
        },
    ),
    Field::new(
        "event.outcome",
        Type::STRING,
        "success",
        "Whether the act succeeded: success, failure or unknown.",
        |event| event.outcome.as_str().into(),
        |event, tree| {
            let name = text(tree)?;
            let known = [Outcome::Success, Outcome::Failure, Outcome::Unknown];
            let outcome = known
                .into_iter()
                .find(|outcome| outcome.as_str().as_bytes() == name.as_bytes());
            event.outcome = outcome.ok_or(Mismatch("success, failure or unknown"))?;
            Ok(())
        },
    ),
    Field::new(
        "event.time",
        Type::TIMESTAMP,
        "timestamp(\"2026-01-31T12:00:00Z\")",
        "When it happened, by the node's clock; what age(…) counts from.",
        |event| event.time.0.into(),
        |event, tree| time(tree).map(|time| event.time = time),
    ),
];

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "process.exit_code",
        Type::INT,
        "137",
        "Exit code, when the process ended by itself.",
        |event| event.exit.map_or(ValueRef::Absent, |exit| exit.code.into()),
        |event, tree| known(tree, whole).map(|code| exit(event).code = code),
    )
    .in_kernel(InKernel::new(
        EXIT,
        KernelTest::Number,
        Stage::Task,
        "task_struct.exit_code, or signal_struct.group_exit_code",
    ))
    .only(&[EventKind::ProcessExit])
    .unknowable()
    .shown(),
    Field::new(
        "process.exit_signal",
        Type::INT,
        "9",
        "Number of the signal that ended the process.",
        |event| event.exit.map_or(ValueRef::Absent, |exit| exit.signal.into()),
        |event, tree| known(tree, whole).map(|signal| exit(event).signal = signal),
    )
    .in_kernel(InKernel::new(
        EXIT,
        KernelTest::Number,
        Stage::Task,
        "task_struct.exit_code, or signal_struct.group_exit_code",
    ))
    .only(&[EventKind::ProcessExit])
    .unknowable()
    .shown(),
    Field::new(
        "process.exit_core_dumped",
        Type::BOOL,
        "false",
        "Whether the process dumped core.",
        |event| {
            event
                .exit
                .map_or(ValueRef::Absent, |exit| exit.core_dumped.into())
        },
        |event, tree| flag(tree).map(|dumped| exit(event).core_dumped = dumped),
    )
    .in_kernel(InKernel::new(
        EXIT,
        KernelTest::Flag,
        Stage::Task,
        "task_struct.exit_code, or signal_struct.group_exit_code",
    ))
    .only(&[EventKind::ProcessExit]),
    Field::new(
        "process.in_container",
        Type::BOOL,
        "true",
        "Whether the process runs in a container; decided in the kernel, never unknown.",
        |event| event.container.is_some().into(),
        |event, tree| {
            if flag(tree)? {
                container(event);
            } else {
                event.container = None;
            }
            Ok(())
        },
    )
    .in_kernel(
        InKernel::new(
            EXEC_FORK,
            KernelTest::Flag,
            Stage::Header,
            "the path of the cgroup, and the pid namespace; not what the process inherited",
        )
        .true_is_sure(),
    ),
    Field::new(
        "process.marks",
        Type::DYNAMIC,
        "process.marks[\"downloaded\"]",
        "What rules marked the process with, or a process that it descends from; asked for by name. A mark without a value is true.",
        |event| marks(event, Bearer::Process),
        |event, tree| set_marks(event, Bearer::Process, tree),
    ),
    Field::new(
        "container.id",
        Type::STRING,
        "3f4e0c4d9a1b…",
        "The runtime's id of the container; absent on the host.",
        |event| of_container(event, |container| container.id.as_ref().into()),
        |event, tree| known(tree, text).map(|id| container(event).id = id),
    )
    .of_one_node()
    .unknowable()
    .shown(),
    Field::new(
        "container.runtime",
        Type::STRING,
        "containerd",
        "containerd, cri-o, docker or podman.",
        |event| of_container(event, |container| container.runtime.as_ref().into()),
        |event, tree| known(tree, text).map(|runtime| container(event).runtime = runtime),
    )
    .unknowable(),
    Field::new(
        "container.name",
        Type::STRING,
        "cart",
        "Name of the container within its pod.",
        |event| of_container(event, |container| container.name.as_ref().into()),
        |event, tree| known(tree, text).map(|name| container(event).name = name),
    )
    .unknowable()
    .shown(),
    Field::new(
        "container.image.name",
        Type::STRING,
        "registry.example/shop/cart:1.4",
        "Image as the pod names it.",
        |event| of_container(event, |container| container.image.as_ref().into()),
        |event, tree| known(tree, text).map(|image| container(event).image = image),
    )
    .unknowable()
    .shown(),
    Field::new(
        "container.image.digest",
        Type::STRING,
        "sha256:9f2c…",
        "Digest of the image.",
        |event| of_container(event, |container| container.image_digest.as_ref().into()),
        |event, tree| known(tree, text).map(|digest| container(event).image_digest = digest),
    )
    .unknowable()
    .shown(),
    Field::new(
        "container.marks",
        Type::DYNAMIC,
        "container.marks[\"packages-installed\"]",
        "What rules marked the container with; asked for by name. A mark without a value is true.",
        |event| of_container(event, |_| marks(event, Bearer::Container)),
        |event, tree| {
            container(event);
            set_marks(event, Bearer::Container, tree)
        },
    )
    .unknowable(),
    Field::new(
        "k8s.pod.uid",
        Type::STRING,
        "6f1c9e1e-55a7-4b0e-9a5e-3f2f8f0f7a11",
        "Uid of the pod; absent outside Kubernetes.",
        |event| of_container(event, |container| container.pod_uid.as_ref().into()),
        |event, tree| known(tree, text).map(|uid| container(event).pod_uid = uid),
    )
    .of_one_node()
    .unknowable()
    .shown(),
    Field::new(
        "k8s.pod.name",
        Type::STRING,
        "cart-6f7d9c5b8-x2x9k",
        "Name of the pod.",
        |event| of_pod(event, |pod| (&pod.name).into()),
        |event, tree| text(tree).map(|name| pod(event).name = name),
    )
    .unknowable()
    .shown(),
    Field::new(
        "k8s.namespace.name",
        Type::STRING,
        "shop",
        "Namespace of the pod.",
        |event| of_pod(event, |pod| (&pod.namespace).into()),
        |event, tree| text(tree).map(|namespace| pod(event).namespace = namespace),
    )
    .unknowable()
    .shown(),
    Field::new(
        "k8s.pod.labels",
        STRING_MAP,
        "k8s.pod.labels[\"app\"]",
        "Labels of the pod.",
        |event| of_pod(event, |pod| string_map(&pod.labels)),
        |event, tree| known(tree, labels).map(|labels| pod(event).labels = labels),
    )
    .unknowable(),
    Field::new(
        "k8s.namespace.labels",
        STRING_MAP,
        "k8s.namespace.labels[\"team\"]",
        "Labels of the pod's namespace.",
        |event| of_pod(event, |pod| string_map(&pod.namespace_labels)),
        |event, tree| known(tree, labels).map(|labels| pod(event).namespace_labels = labels),
    )
    .unknowable(),
    Field::new(
        "k8s.owner.kind",
        Type::STRING,
        "Deployment",
        "Kind of what owns the pod, as far up as is known.",
        |event| of_pod(event, |pod| pod.owner.as_ref().map(|(kind, _)| kind).into()),
        |event, tree| text(tree).map(|kind| owner(event).0 = kind),
    )
    .unknowable()
    .shown(),
    Field::new(
        "k8s.owner.name",
        Type::STRING,
        "cart",
        "Name of what owns the pod.",
        |event| of_pod(event, |pod| pod.owner.as_ref().map(|(_, name)| name).into()),
        |event, tree| text(tree).map(|name| owner(event).1 = name),
    )
    .unknowable()
    .shown(),
    Field::new(
        "host.name",
        Type::STRING,
        "node-3",
        "Name of the node.",
        |event| (&event.host.name).into(),
        |event, tree| text(tree).map(|name| Arc::make_mut(&mut event.host).name = name),
    )
    .of_one_node()
    .shown(),
    Field::new(
        "host.boot.id",
        Type::STRING,
        "88a1f0a451664c78911c7b7ac8c1f8ef",
        "Boot id of the node.",
        |event| (&event.host.boot_id).into(),
        |event, tree| text(tree).map(|id| Arc::make_mut(&mut event.host).boot_id = id),
    )
    .of_one_node(),
    Field::new(
        "host.os.kernel",
        Type::STRING,
        "6.18.2",
        "Kernel release of the node.",
        |event| (&event.host.kernel).into(),
        |event, tree| text(tree).map(|kernel| Arc::make_mut(&mut event.host).kernel = kernel),
    ),
    Field::new(
        "host.marks",
        Type::DYNAMIC,
        "host.marks[\"maintenance\"]",
        "What rules marked the node with; asked for by name. A mark without a value is true.",
        |event| marks(event, Bearer::Host),
        |event, tree| set_marks(event, Bearer::Host, tree),
    ),
];

/// Absent when there is none.
fn marks(event: &Event, bearer: Bearer) -> ValueRef<'_> {
    match event.marks.as_deref().map(|marks| marks.of(bearer)) {
        None | Some([]) => ValueRef::Absent,
        Some(marks) => ValueRef::Map(MapRef::Trees(marks)),
    }
}

fn set_marks(event: &mut Event, bearer: Bearer, tree: &Tree) -> Result<(), Mismatch> {
    let given = trees(tree)?;
    *Arc::make_mut(event.marks.get_or_insert_default()).of_mut(bearer) = given;
    Ok(())
}

fn of_container<'a>(event: &'a Event, read: impl FnOnce(&'a Container) -> ValueRef<'a>) -> ValueRef<'a> {
    event.container.as_deref().map_or(ValueRef::Absent, read)
}

fn of_pod<'a>(event: &'a Event, read: impl FnOnce(&'a Pod) -> ValueRef<'a>) -> ValueRef<'a> {
    of_container(event, |container| match &container.pod {
        Known::Present(pod) => read(pod),
        Known::Absent => ValueRef::Absent,
        Known::Unknown => ValueRef::Unknown,
    })
}

fn string_map(pairs: &Known<Vec<(Text, Text)>>) -> ValueRef<'_> {
    match pairs {
        Known::Present(pairs) => ValueRef::Map(MapRef::Texts(pairs)),
        Known::Absent => ValueRef::Absent,
        Known::Unknown => ValueRef::Unknown,
    }
}

fn exit(event: &mut Event) -> &mut Exit {
    event.exit.get_or_insert_default()
}

fn container(event: &mut Event) -> &mut Container {
    Arc::make_mut(event.container.get_or_insert_default())
}

fn pod(event: &mut Event) -> &mut Pod {
    let container = container(event);
    if !matches!(container.pod, Known::Present(_)) {
        container.pod = Known::Present(Arc::default());
    }
    match &mut container.pod {
        Known::Present(pod) => Arc::make_mut(pod),
        Known::Absent | Known::Unknown => unreachable!("set to a present one just above"),
    }
}

fn owner(event: &mut Event) -> &mut (Text, Text) {
    let pod = pod(event);
    if !matches!(pod.owner, Known::Present(_)) {
        pod.owner = Known::Present((Text::default(), Text::default()));
    }
    match &mut pod.owner {
        Known::Present(owner) => owner,
        Known::Absent | Known::Unknown => unreachable!("set to a present one just above"),
    }
}
