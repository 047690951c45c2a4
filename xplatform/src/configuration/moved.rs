//! Keys that have moved: whoever still says one of them reads where it is now.

use figment::Figment;

use super::Problem;

/// Bounds of partitions by the names that they had in `state-node` and `lanes.<name>.limits`, and where they are below
/// `limits` now.
const LIMITS: &[(&str, &str)] = &[
    ("answers-per-session", "sessions.answers"),
    ("grace", "sessions.grace"),
    ("memory", "sessions.memory"),
    ("sessions-per-subject", "sessions.per-subject"),
    ("sessions-per-entity", "sessions.per-entity"),
    ("entities-per-subject", "sessions.entities-per-subject"),
    ("record-bytes-max", "records.bytes-max"),
    ("uncommitted-max", "records.uncommitted-max"),
    ("checkpoint", "records.checkpoint"),
    ("quiet", "records.quiet"),
    ("outbound-records-max", "outbound.records-max"),
    ("outbound-bytes-max", "outbound.bytes-max"),
    ("piece-bytes-max", "large.piece-bytes-max"),
    ("whole-bytes-max", "large.whole-bytes-max"),
    ("large-bytes-max", "large.bytes-max"),
    ("large-flight-bytes-max", "large.flight-bytes-max"),
    ("subject-bytes-max", "large.subject-bytes-max"),
    ("waiting-max", "large.waiting-max"),
    ("recent-commits-max", "recent.commits-max"),
    ("recent-bytes-max", "recent.bytes-max"),
    ("resume-scan-bytes-max", "recent.scan-bytes-max"),
    ("passivate", "residents.passivate"),
    ("resident-min", "residents.min"),
    ("parked-max", "quarantine.parked-max"),
    ("parked-bytes-max", "quarantine.parked-bytes-max"),
    ("unapplied-bytes-max", "quarantine.unapplied-bytes-max"),
    ("tell-retry", "tells.retry"),
    ("tells-outstanding-max", "tells.outstanding-max"),
    ("clock-skew", "clock.skew"),
    ("clock-step", "clock.step"),
    ("clock-doubt", "clock.doubt"),
    ("entity-ahead", "clock.entity-ahead"),
];

/// What moved within `state-node` and kept its name.
const UNDER_LIMITS: &[&str] = &["ticket", "ahead-bytes-max", "publishing"];

/// Bounds and times of an edge, by where they were and are below `edge`.
const EDGE: &[(&str, &str)] = &[
    ("limits.frames-per-second", "limits.rates.frames-per-second"),
    ("limits.frames-burst", "limits.rates.frames-burst"),
    (
        "limits.subject-frames-per-second",
        "limits.rates.subject-frames-per-second",
    ),
    (
        "limits.subject-frames-burst",
        "limits.rates.subject-frames-burst",
    ),
    ("limits.bytes-per-second", "limits.rates.bytes-per-second"),
    ("limits.bytes-burst", "limits.rates.bytes-burst"),
    (
        "limits.subject-bytes-per-second",
        "limits.rates.subject-bytes-per-second",
    ),
    (
        "limits.subject-bytes-burst",
        "limits.rates.subject-bytes-burst",
    ),
    (
        "limits.handshakes-per-second",
        "limits.handshakes.per-second",
    ),
    ("limits.handshakes-burst", "limits.handshakes.burst"),
    (
        "limits.bad-tokens-per-second",
        "limits.handshakes.bad-tokens-per-second",
    ),
    (
        "limits.bad-tokens-burst",
        "limits.handshakes.bad-tokens-burst",
    ),
    (
        "limits.subject-handshakes-per-second",
        "limits.handshakes.subject-per-second",
    ),
    (
        "limits.subject-handshakes-burst",
        "limits.handshakes.subject-burst",
    ),
    ("limits.arrivals-max", "limits.connections.arrivals-max"),
    (
        "limits.arrivals-per-network",
        "limits.connections.arrivals-per-network",
    ),
    ("limits.connections-max", "limits.connections.max"),
    ("limits.files-kept", "limits.connections.files-kept"),
    (
        "limits.connections-per-subject",
        "limits.connections.per-subject",
    ),
    (
        "limits.connections-per-address",
        "limits.connections.per-address",
    ),
    ("limits.queue-bytes-max", "limits.queue.bytes-max"),
    ("limits.queue-frames-max", "limits.queue.frames-max"),
    (
        "limits.partition-unanswered-max",
        "limits.partition.unanswered-max",
    ),
    ("limits.partition-bytes-max", "limits.partition.bytes-max"),
    ("limits.partition-behind-max", "limits.partition.behind-max"),
    ("timing.lane-stall", "timing.lane.stall"),
    ("timing.lane-patience", "timing.lane.patience"),
    ("timing.drain-spread", "timing.drain.spread"),
    ("timing.drain-wait", "timing.drain.wait"),
    ("timing.jwks-refresh", "timing.keys.refresh"),
    ("timing.jwks-retry", "timing.keys.retry"),
    ("timing.reread", "timing.keys.reread"),
];

/// How long topics of Kafka keep what is in them.
const KAFKA: &[(&str, &str)] = &[
    ("cluster-age", "retention.cluster"),
    ("inbound-age", "retention.inbound"),
    ("events-age", "retention.events"),
    ("outbound-age", "retention.outbound"),
];

/// The first key that is not where it was.
pub(super) fn judge(asked: &Figment) -> Result<(), Problem> {
    let lanes = asked.find_value("lanes").ok();
    let lanes = lanes
        .and_then(|lanes| lanes.into_dict())
        .unwrap_or_default();
    let lanes = lanes.keys().map(|name| format!("lanes.{name}.limits"));
    let of_lanes = lanes.flat_map(|limits| renamed(LIMITS, &limits, &limits));
    let mut moved = everywhere().into_iter().chain(of_lanes);
    moved.try_for_each(|(old, new)| said(asked, &old, &new))
}

/// What has moved, lanes apart: from where, and to where.
fn everywhere() -> Vec<(String, String)> {
    let mut moved = renamed(LIMITS, "state-node", "state-node.limits");
    let under_limits = UNDER_LIMITS.iter().map(|key| (*key, *key));
    let under_limits: Vec<_> = under_limits.collect();
    moved.extend(renamed(&under_limits, "state-node", "state-node.limits"));
    moved.extend(renamed(EDGE, "edge", "edge"));
    moved.extend(renamed(KAFKA, "kafka", "kafka"));
    moved
}

/// Each key of a table, where it was and where it is.
fn renamed(table: &[(&str, &str)], before: &str, now: &str) -> Vec<(String, String)> {
    let table = table.iter();
    let moved = table.map(|(old, new)| (format!("{before}.{old}"), format!("{now}.{new}")));
    moved.collect()
}

fn said(asked: &Figment, old: &str, new: &str) -> Result<(), Problem> {
    if asked.find_value(old).is_err() {
        return Ok(());
    }
    let place = asked.find_metadata(old);
    let place = place.map_or("", |place| place.name.as_ref());
    let what = format!("has moved: write {new}");
    Err(Problem::of(old, place, what))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use figment::providers::Serialized;
    use xp_runtime::Config;

    use super::*;

    #[test]
    fn what_has_moved_is_where_it_is_said_to_be_and_no_longer_where_it_was() {
        let mut built_in = Config::development(Path::new("./data"));
        built_in.kafka = Some(Default::default());
        let built_in = Figment::from(Serialized::defaults(built_in));
        for (old, new) in everywhere() {
            assert!(built_in.find_value(&new).is_ok(), "{new}");
            assert!(built_in.find_value(&old).is_err(), "{old}");
        }
    }
}
