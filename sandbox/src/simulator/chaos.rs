//! What is done to the platform, and when.

use std::ops::RangeInclusive;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use xp_protocol::lane::{CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic};
use xp_transport::simulated::Faults;

use super::disk::Left;
use super::plan::LANE;
use super::stage::{Stage, quick};

/// The shortest and the longest time between two acts, in milliseconds.
const PAUSE_MS: RangeInclusive<u64> = 100..=1_800;

/// Something at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    CrashNode(Left),
    ReplaceLivingNode,
    ReleaseNode,
    FreezeNode,
    CrashEdge,
    ReplaceLivingEdge,
    FreezeEdge,
    Cut,
    SlowTopic,
}

pub(super) fn pause_ms(stage: &mut Stage) -> u64 {
    stage.random.random_range(PAUSE_MS)
}

pub(super) fn mischief(random: &mut ChaCha8Rng) -> Mischief {
    match random.random_range(0..100) {
        0..=8 => Mischief::CrashNode(Left::All),
        9..=15 => Mischief::CrashNode(Left::Flushed),
        16..=21 => Mischief::CrashNode(Left::Nothing),
        22..=33 => Mischief::ReplaceLivingNode,
        34..=37 => Mischief::ReleaseNode,
        38..=43 => Mischief::FreezeNode,
        44..=51 => Mischief::CrashEdge,
        52..=57 => Mischief::ReplaceLivingEdge,
        58..=62 => Mischief::FreezeEdge,
        63..=85 => Mischief::Cut,
        _ => Mischief::SlowTopic,
    }
}

/// The topics and whether appends of one producer may overtake each other there.
fn topics() -> [(String, bool); 4] {
    [
        (CLUSTER_TOPIC.to_owned(), true),
        (events_topic(LANE), true),
        (inbound_topic(LANE), true),
        (outbound_topic(LANE), false),
    ]
}

/// Draws how bad the log is for this run, topic by topic.
pub(super) fn weather(stage: &mut Stage) {
    for (topic, ordered) in topics() {
        let bad = if topic == CLUSTER_TOPIC { 0.3 } else { 1.0 };
        let faults = draw(&mut stage.random, bad, ordered);
        stage.log.set_topic_faults(&topic, faults);
    }
}

fn draw(random: &mut ChaCha8Rng, bad: f64, ordered: bool) -> Faults {
    let mut often = |max: f64| {
        let quiet = random.random_bool(0.3);
        let drawn = random.random_range(0.0..max * bad);
        if quiet { 0.0 } else { drawn }
    };
    let (loss, duplication, late) = (often(0.04), often(0.06), often(0.04));
    let (error_after_append, acknowledgement_loss) = (often(0.04), often(0.04));
    Faults {
        loss,
        duplication,
        late,
        late_ms: 20..=1_200,
        delay_ms: 0..=random.random_range(2..25),
        acknowledgement_ms: 0..=random.random_range(1..15),
        error_after_append,
        acknowledgement_loss,
        timeout_ms: 300,
        idempotent: ordered || random.random_bool(0.5),
        ..Faults::none()
    }
}

pub(super) fn slow(stage: &mut Stage) {
    let at = stage.random.random_range(1..4);
    let (topic, ordered) = topics()[at].clone();
    let faults = Faults {
        delay_ms: 20..=250,
        acknowledgement_ms: 0..=150,
        timeout_ms: 300,
        idempotent: ordered,
        ..Faults::none()
    };
    stage.log.set_topic_faults(&topic, faults);
}

pub(super) fn good_weather(stage: &mut Stage) {
    for (topic, _) in topics() {
        stage.log.set_topic_faults(&topic, quick());
    }
}
