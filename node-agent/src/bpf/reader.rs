//! The thread that takes records from the rings.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use yagura_node_agent_ebpf_common::Header;

use super::{
    Consumer, Shared,
    merge::{Merge, Ring, WINDOW},
};
use crate::{
    decode::Decoded,
    enrich::{Enricher, clock},
};

/// Between two looks at the rings.
const POLL: Duration = Duration::from_millis(4);

/// Nanoseconds between two looks whether records of exits were lost.
const LOSS_CHECK: u64 = 1_000_000_000;

/// Most nanoseconds that are waited at the end for the counters to agree.
const SETTLE: u64 = 1_000_000_000;

/// Both rings of the kernel programs.
pub(super) struct Rings {
    pub(super) lineage: RingBuf<MapData>,
    pub(super) events: RingBuf<MapData>,
}

pub(super) fn spawn(
    shared: Arc<Shared>,
    rings: Rings,
    enricher: Enricher,
    consumer: impl Consumer,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("sensor".to_owned())
        .spawn(move || run(&shared, rings, enricher, consumer))
}

fn run(shared: &Shared, mut rings: Rings, mut enricher: Enricher, mut consumer: impl Consumer) {
    let mut merge = Merge::default();
    let mut known_lost = 0;
    let mut next_check = 0;
    let mut deadline = None;
    let window = u64::try_from(WINDOW.as_nanos()).unwrap_or(u64::MAX);
    loop {
        let stopping = shared.stop.load(Ordering::Relaxed);
        let now = clock::boot();
        enricher.set_clock(clock::wall_offset());
        let until = if stopping {
            u64::MAX
        } else {
            now.saturating_sub(window)
        };
        // A record may be on the events ring before an older one is on the lineage ring, so the
        // events are taken first and the window covers the rest.
        loop {
            drain(&mut rings.events, Ring::Events, &mut merge);
            drain(&mut rings.lineage, Ring::Lineage, &mut merge);
            let full = merge.is_full();
            merge.release(until, |bytes| take(shared, bytes, &mut enricher, &mut consumer));
            if !full {
                break;
            }
        }
        enricher.tick(now);
        if now >= next_check {
            next_check = now.saturating_add(LOSS_CHECK);
            let lost = shared.lost_lineage();
            if lost > known_lost {
                known_lost = lost;
                enricher.sweep();
            }
        }
        shared.processes.store(enricher.processes(), Ordering::Relaxed);
        consumer.idle();
        if stopping {
            // A program that was running when its hook was detached may still submit.
            let settled = shared
                .counters()
                .is_ok_and(|counters| counters.differences().is_empty());
            if settled || now >= *deadline.get_or_insert(now.saturating_add(SETTLE)) {
                return;
            }
        }
        thread::park_timeout(POLL);
    }
}

fn drain(ring: &mut RingBuf<MapData>, which: Ring, merge: &mut Merge) {
    while !merge.is_full()
        && let Some(record) = ring.next()
    {
        merge.push(which, &record);
    }
}

fn take(shared: &Shared, bytes: &[u8], enricher: &mut Enricher, consumer: &mut impl Consumer) {
    match Decoded::try_from(bytes) {
        Ok(decoded) => {
            shared.reader.decoded(decoded.header.kind);
            if let Some(event) = enricher.apply(&decoded) {
                consumer.event(&event);
            }
        }
        Err(error) => {
            let kind = Header::take(bytes).map(|(header, _)| header.kind);
            shared.reader.undecodable(kind);
            tracing::warn!(%error, "a record of the kernel programs could not be read");
        }
    }
}
