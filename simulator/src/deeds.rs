//! The deeds of a run, everything that is done to the platform, and when: drawn in advance, from random numbers of its
//! own.

use std::ops::RangeInclusive;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::disk::Survives;
use super::plan::{Feature, Plan, Spared};
use super::switch::Switch;

/// The shortest and the longest time between two acts, in milliseconds.
const PAUSE_MS: RangeInclusive<u64> = 100..=1_800;

/// The same where one takeover follows the other: the second of two at once waits for both.
const TAKEOVER_MS: RangeInclusive<u64> = 4_000..=6_000;

/// Something that is done in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// When, in milliseconds since the beginning.
    pub(super) at_ms: u64,
    pub(super) mischief: Mischief,
    /// Whom it meets and for how long comes from this.
    pub(super) dice: u64,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    CrashNode(Survives),
    ReplaceLivingNode,
    LeaveNode,
    FreezeNode,
    StutterNode,
    StopPartition,
    PanicPartition,
    CutOffNode,
    DrainNode,
    MovePartition,
    MoveFromDeafNode,
    Poison,
    CrashEdge,
    ReplaceLivingEdge,
    FreezeEdge,
    CutOffEdge,
    DrainEdge,
    Cut,
    SlowTopic,
    ChangeLeader,
    SetClock,
    LoseOutbound,
    LoseInbound,
}

/// Random numbers of a run that are drawn apart from all others.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Deeds,
    Weather,
    Client(usize),
}

/// What is left out of one stream moves no other.
pub(super) fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(match stream {
        Stream::Deeds => 1,
        Stream::Weather => 2,
        Stream::Client(id) => 100 + id as u64,
    });
    random
}

/// What is done in a run: all that was drawn, but what is spared.
pub(super) fn deeds(plan: &Plan) -> Vec<Deed> {
    let indexes = drawn(plan).into_iter().enumerate();
    let done = indexes.filter(|(index, _)| !plan.spared.has(*index));
    done.map(|(_, deed)| deed).collect()
}

/// The indexes of what is done, by which it can be spared.
pub(super) fn indexes(plan: &Plan) -> Vec<usize> {
    let indexes = 0..drawn(plan).len().min(Spared::MAX);
    indexes.filter(|index| !plan.spared.has(*index)).collect()
}

/// All deeds, drawn in advance: sparing one leaves the others as they are.
fn drawn(plan: &Plan) -> Vec<Deed> {
    let mut random = stream(plan.seed, Stream::Deeds);
    let mut at_ms = random.random_range(PAUSE_MS);
    let mut deeds = Vec::new();
    while plan.has(Feature::Acts) && at_ms < plan.busy_ms {
        deeds.push(Deed {
            at_ms,
            mischief: match (plan.has(Feature::Moves), plan.has(Feature::Takeovers)) {
                _ if plan.without == Some(Switch::Bounded) => Mischief::LoseOutbound,
                _ if plan.without == Some(Switch::ClockDoubt) => Mischief::SetClock,
                _ if plan.has(Feature::Outages) => Mischief::LoseInbound,
                (true, _) => Mischief::MoveFromDeafNode,
                (_, true) => takeover(&mut random),
                _ => mischief(&mut random),
            },
            dice: random.random(),
        });
        at_ms += random.random_range(
            if plan.has(Feature::Takeovers) || plan.has(Feature::Outages) {
                TAKEOVER_MS
            } else {
                PAUSE_MS
            },
        );
    }
    deeds
}

fn takeover(random: &mut ChaCha8Rng) -> Mischief {
    match random.random_range(0..3) {
        0 => Mischief::CrashNode(Survives::All),
        1 => Mischief::StutterNode,
        _ => Mischief::StopPartition,
    }
}

fn mischief(random: &mut ChaCha8Rng) -> Mischief {
    match random.random_range(0..100) {
        0..=7 => Mischief::CrashNode(Survives::All),
        8..=13 => Mischief::CrashNode(Survives::Flushed),
        14..=18 => Mischief::CrashNode(Survives::Nothing),
        19..=26 => Mischief::ReplaceLivingNode,
        27..=32 => Mischief::LeaveNode,
        33..=39 => Mischief::FreezeNode,
        40..=45 => Mischief::CutOffNode,
        46..=48 => Mischief::DrainNode,
        49..=51 => Mischief::MovePartition,
        52..=53 => Mischief::MoveFromDeafNode,
        54..=55 => Mischief::Poison,
        56..=61 => Mischief::CrashEdge,
        62..=65 => Mischief::ReplaceLivingEdge,
        66..=69 => Mischief::FreezeEdge,
        70..=73 => Mischief::CutOffEdge,
        74..=86 => Mischief::Cut,
        87..=89 => Mischief::ChangeLeader,
        90..=92 => Mischief::SetClock,
        93..=94 => Mischief::LoseOutbound,
        95..=96 => Mischief::PanicPartition,
        98..=99 => Mischief::DrainEdge,
        _ => Mischief::SlowTopic,
    }
}
