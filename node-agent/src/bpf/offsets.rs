//! Resolving the manifest of the kernel programs against a kernel's types.

use std::collections::{BTreeMap, BTreeSet};

use yagura_node_agent_ebpf_common::{MANIFEST, MISSING, Need, Source};

use super::btf::Btf;

/// The feature without which nothing works.
const REQUIRED: &str = "process";

/// The manifest with this kernel's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The bytes of [`yagura_node_agent_ebpf_common::Offsets`].
    pub bytes: Vec<u8>,
    /// Features that this kernel cannot give, each with the members that it lacks.
    pub missing: BTreeMap<&'static str, Vec<String>>,
}

impl Resolved {
    /// What everything needs and this kernel lacks; empty when the programs can run.
    pub fn blockers(&self) -> &[String] {
        self.missing.get(REQUIRED).map_or(&[], Vec::as_slice)
    }

    /// Whether a feature of the manifest is there in full.
    pub fn has(&self, feature: &str) -> bool {
        !self.missing.contains_key(feature)
    }
}

/// Looks every number of the manifest up in the kernel's types, then in those of its modules.
pub(super) fn resolve(kernel: &Btf<'_>, modules: &[Btf<'_>]) -> Resolved {
    let mut missing = BTreeMap::<_, Vec<_>>::new();
    let mut numbers = Vec::with_capacity(MANIFEST.len());
    for need in MANIFEST {
        let number = std::iter::once(kernel)
            .chain(modules)
            .find_map(|btf| number(btf, need));
        if number.is_none() {
            missing.entry(need.feature).or_default().push(describe(need));
        }
        numbers.push(number.unwrap_or(MISSING));
    }
    // Half a feature is none: its other numbers would lead the programs to wrong places.
    let lost = missing.keys().copied().collect::<BTreeSet<_>>();
    let bytes = MANIFEST
        .iter()
        .zip(numbers)
        .map(|(need, number)| {
            if lost.contains(need.feature) {
                MISSING
            } else {
                number
            }
        })
        .flat_map(u32::to_ne_bytes)
        .collect();
    Resolved { bytes, missing }
}

fn number(btf: &Btf<'_>, need: &Need) -> Option<u32> {
    match need.source {
        Source::Member { owner, path } => {
            let place = btf.member(owner, path)?;
            (place.width == 0 && place.bits.is_multiple_of(8)).then_some(place.bits / 8)
        }
        Source::Bit { owner, path } => {
            let place = btf.member(owner, path)?;
            (place.width == 1).then_some(place.bits)
        }
        Source::Size { owner } => btf.size(owner),
    }
}

fn describe(need: &Need) -> String {
    match need.source {
        Source::Member { owner, path } | Source::Bit { owner, path } => format!("{owner}.{path}"),
        Source::Size { owner } => format!("size of {owner}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use yagura_node_agent_ebpf_common::Offsets;

    use super::{Btf, resolve};

    #[test]
    fn this_kernel_has_all_that_the_manifest_asks_for() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            return;
        }
        let resolved = resolve(&Btf::read(path).unwrap(), &[]);
        assert_eq!(resolved.blockers(), &[] as &[String], "{resolved:?}");
        assert_eq!(resolved.bytes.len(), Offsets::SIZE);
    }
}
