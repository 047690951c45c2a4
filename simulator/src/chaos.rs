//! The faults of the log in a run, drawn topic by topic.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use xp_protocol::Offset;
use xp_protocol::lane::{
    CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic, snapshots_topic,
};
use xp_transport::simulated::Faults;

use super::deeds::{Stream, stream};
use super::history::What;
use super::partition_name::PartitionName;
use super::plan::{Feature, LANES};
use super::stage::{Stage, cluster, events, quick};

/// The topics of one kind; the kinds stand in the order of [`super::plan::Weather::TOPICS`].
fn topics(kind: usize) -> Vec<String> {
    let of = |topic: fn(&str) -> String| LANES.iter().map(|lane| topic(lane.name)).collect();
    match kind {
        0 => vec![CLUSTER_TOPIC.to_owned()],
        1 => of(events_topic),
        INBOUND => of(inbound_topic),
        OUTBOUND => of(outbound_topic),
        _ => of(snapshots_topic),
    }
}

/// How many kinds of topic there are.
const KINDS: usize = 5;
/// The `cluster` log.
const CLUSTER: usize = 0;
/// What partitions hear.
const INBOUND: usize = 2;
/// Where nothing lands twice.
const SNAPSHOTS: usize = 4;
/// The only one in which appends of one producer may overtake each other.
const OUTBOUND: usize = 3;

/// Draws how bad the log is for this run, topic by topic.
pub(super) fn weather(stage: &mut Stage) {
    let mut random = stream(stage.plan.seed, Stream::Weather);
    for kind in 0..KINDS {
        let bad = if kind == CLUSTER { 0.3 } else { 1.0 };
        for topic in topics(kind) {
            let mut drawn = draw(&mut random, bad, kind != OUTBOUND);
            if kind == INBOUND && stage.plan.has(Feature::Rooms) {
                // A Connect that lands once more, behind its goodbye, begins a session that nobody has; should its
                // welcome be lost, nobody ends it. Where people come and go as they do in rooms, that happens.
                drawn.duplication = 0.0;
            }
            if kind == SNAPSHOTS {
                // Its producers are idempotent, and a publisher that hears of a failure begins anew.
                drawn.duplication = 0.0;
            }
            let faults = match kind == CLUSTER && stage.plan.has(Feature::Takeovers) {
                true => late(stage.plan.seed),
                false if stage.plan.weather.has(kind) => drawn,
                false => quick(),
            };
            stage.log.set_topic_faults(&topic, faults);
        }
    }
}

/// A log that loses nothing and takes everything late, as one whose disk is slow; in every other seed slower still.
fn late(seed: u64) -> Faults {
    let delay_ms = if seed.is_multiple_of(2) {
        150..=300
    } else {
        400..=600
    };
    Faults {
        delay_ms,
        timeout_ms: 3_000,
        ..quick()
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
    let kind = dice.random_range(1..=OUTBOUND);
    let faults = Faults {
        delay_ms: 20..=250,
        acknowledgement_ms: 0..=150,
        timeout_ms: 300,
        idempotent: kind != OUTBOUND,
        ..Faults::none()
    };
    for topic in topics(kind) {
        stage.log.set_topic_faults(&topic, faults.clone());
    }
}

/// Nothing reaches `outbound`.
pub(super) fn lose_outbound(stage: &mut Stage) {
    lose(stage, OUTBOUND);
}

/// Nothing reaches `inbound`.
pub(super) fn lose_inbound(stage: &mut Stage) {
    lose(stage, INBOUND);
}

fn lose(stage: &mut Stage, kind: usize) {
    let faults = Faults {
        loss: 1.0,
        timeout_ms: 300,
        ..quick()
    };
    for topic in topics(kind) {
        stage.log.set_topic_faults(&topic, faults.clone());
    }
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
    let busiest = PartitionName::all().max_by_key(|at| stage.end(&events(*at)));
    let partition = busiest.expect("the lanes have partitions");
    let busiest = events(partition);
    let next = Offset(stage.end(&busiest).0.saturating_sub(TRUNCATED));
    stage.log.truncate(&busiest, next);
    stage.note(What::Fault(format!("events of {partition} end at {next}")));
}

pub(super) fn good_weather(stage: &mut Stage) {
    for topic in (0..KINDS).flat_map(topics) {
        stage.log.set_topic_faults(&topic, quick());
    }
}
