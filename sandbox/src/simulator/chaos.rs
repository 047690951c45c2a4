//! How bad the log is.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use xp_protocol::lane::{CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic};
use xp_protocol::{Offset, PartitionId};
use xp_transport::simulated::Faults;

use super::deeds::{Stream, stream};
use super::history::What;
use super::plan::{LANE, PARTITIONS};
use super::stage::{Stage, cluster, events, quick};

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
    let mut random = stream(stage.plan.seed, Stream::Weather);
    for (at, (topic, ordered)) in topics().into_iter().enumerate() {
        let bad = if topic == CLUSTER_TOPIC { 0.3 } else { 1.0 };
        let drawn = draw(&mut random, bad, ordered);
        let faults = if stage.plan.weather.has(at) {
            drawn
        } else {
            quick()
        };
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

pub(super) fn slow(stage: &mut Stage, dice: &mut ChaCha8Rng) {
    let at = dice.random_range(1..4);
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

/// Another broker leads the `cluster` log, whose clock is off by so much at most.
const CLOCK_JUMP_MS: i64 = 10_000;

/// The `cluster` log has another leader: it stamps records by another clock.
pub(super) fn change_leader(stage: &mut Stage, dice: &mut ChaCha8Rng) {
    let skew_ms = dice.random_range(-CLOCK_JUMP_MS..=CLOCK_JUMP_MS);
    stage.log.set_clock(&cluster(), skew_ms);
}

/// How many records a truncation takes.
const TRUNCATED: u64 = 4;

/// The busiest partition of `events` loses its newest records, as after an unclean change of its leader.
pub(super) fn truncate(stage: &mut Stage) {
    let partitions = (0..PARTITIONS).map(PartitionId).map(events);
    let busiest = partitions.max_by_key(|at| stage.end(at));
    let busiest = busiest.expect("the lane has partitions");
    let next = Offset(stage.end(&busiest).0.saturating_sub(TRUNCATED));
    let PartitionId(partition) = busiest.partition;
    stage.log.truncate(&busiest, next);
    stage.note(What::Fault(format!("events-{partition} ends at {next}")));
}

pub(super) fn good_weather(stage: &mut Stage) {
    for (topic, _) in topics() {
        stage.log.set_topic_faults(&topic, quick());
    }
}
