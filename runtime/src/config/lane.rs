//! One lane: whom it serves, how wide it is, where it may live, and what is different on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_settings::{Size, Span, settings};
use xp_protocol::cluster;
use xp_state_node::Limits;
use xp_state_node::pace::Pace;

settings! {
    /// A set of categories that share topics and partitions. A configuration that names lanes has just those; only one
    /// that names none has the built-in `main`.
    pub struct Lane {
        /// The categories it serves. At most one lane may leave this empty: it serves all hosted categories that
        /// no other lane names.
        categories: Vec<String> = Vec::new(),
        /// Partitions of `inbound` and `events`: how many entities decide at the same time. Fixed once there are
        /// events: an entity's address hashes to its partition.
        partitions: u32 = 8,
        /// Partitions of `outbound`: each edge reads one of them.
        outbound_partitions: u32 = 1,
        /// Whether somebody waits for it.
        class: Class = Class::Interactive,
        /// Which state nodes may serve it.
        placement: Placement = Placement::default(),
        /// Bounds that are other ones on this lane.
        limits: LaneLimits = LaneLimits::default(),
    }
}

/// Whether somebody waits for what a lane carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// People wait for it.
    #[default]
    Interactive,
    /// Much at once, and nobody waits: imports, telemetry. On Kafka it travels over connections of its own, because a
    /// broker serves each connection strictly in order: what is large here delays nothing of interactive lanes.
    Bulk,
}

settings! {
    /// Which state nodes may serve a lane. The highest `lanes-version` in the cluster counts.
    pub struct Placement {
        /// Labels that a state node must have, as in `{ region = "eu" }`. Each has the label `name` besides its own. A
        /// lane that no living node may serve is reported (`xp cluster status`), and its clients wait.
        labels: BTreeMap<String, String> = BTreeMap::new(),
        /// State nodes that follow each partition, besides its owner, so that they can take it over at once. With 0 the
        /// next owner replays from a snapshot first.
        standbys: u8 = 1,
        /// The name of the state node that owns all its partitions as long as it lives, as a singleton category wants
        /// it. Left out: they are spread.
        pin: Option<String> = None,
    }
}

settings! {
    /// Bounds that are other ones on this lane. A key that is left out is the one of `state-node`.
    pub struct LaneLimits {
        /// The largest record. The edge's largest frame must fit into it.
        record_bytes_max: Option<Size> = None,
        /// Answers kept per session (B of R30). At least `edge.limits.window`.
        answers_per_session: Option<usize> = None,
        /// How long a session without a socket may come back.
        grace: Option<Span> = None,
        /// How long an ended session is remembered.
        memory: Option<Span> = None,
        /// How long a deferred answer may stay open.
        ticket: Option<Span> = None,
        /// Records of a partition that were appended and are not yet committed.
        uncommitted_max: Option<usize> = None,
        /// Commits kept in memory per watched entity.
        recent_commits_max: Option<usize> = None,
        /// Bytes of outputs kept in memory per watched entity.
        recent_bytes_max: Option<Size> = None,
        /// Bytes of `inbound` that a mirror keeps.
        ahead_bytes_max: Option<Size> = None,
        /// How much of the log one resume may read.
        resume_scan_bytes_max: Option<Size> = None,
        /// How long an unwatched entity stays in memory without being used.
        passivate: Option<Span> = None,
        /// Entities of a partition that stay in memory in any case.
        resident_min: Option<usize> = None,
    }
}

impl From<&Placement> for cluster::Placement {
    fn from(configured: &Placement) -> Self {
        let labels = configured.labels.iter();
        let labels = labels.map(|(label, value)| (label.as_str().into(), value.as_str().into()));
        Self {
            labels: labels.collect(),
            standbys: configured.standbys,
            pin: configured.pin.as_deref().map(Into::into),
        }
    }
}

impl LaneLimits {
    /// These bounds, and the node's where there are none.
    #[must_use]
    pub fn over(&self, node: &Limits) -> Limits {
        let record_bytes_max = self
            .record_bytes_max
            .map_or(node.record_bytes_max, |own| own.0);
        let bytes = |own: Option<Size>, nodes: usize| own.map_or(nodes, |own| own.0);
        let ms = |own: Option<Span>, nodes: u64| own.map_or(nodes, Span::ms);
        Limits {
            record_bytes_max,
            answers_per_session: self.answers_per_session.unwrap_or(node.answers_per_session),
            grace_ms: ms(self.grace, node.grace_ms),
            memory_ms: ms(self.memory, node.memory_ms),
            ticket_ms: ms(self.ticket, node.ticket_ms),
            uncommitted_max: self.uncommitted_max.unwrap_or(node.uncommitted_max),
            recent_commits_max: self.recent_commits_max.unwrap_or(node.recent_commits_max),
            recent_bytes_max: bytes(self.recent_bytes_max, node.recent_bytes_max),
            ahead_bytes_max: bytes(self.ahead_bytes_max, node.ahead_bytes_max),
            resume_scan_bytes_max: bytes(self.resume_scan_bytes_max, node.resume_scan_bytes_max),
            passivate_ms: ms(self.passivate, node.passivate_ms),
            resident_min: self.resident_min.unwrap_or(node.resident_min),
            publishing: Pace {
                // A piece of an entity and what is around it is a record.
                piece_bytes: node.publishing.piece_bytes.min(record_bytes_max / 2),
                ..node.publishing.clone()
            },
            ..node.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn limits(values: Value) -> LaneLimits {
        serde_json::from_value(values).unwrap()
    }

    #[test]
    fn a_lane_overrides_just_the_bounds_that_it_names() {
        let node = Limits {
            ticket_ms: 7,
            ..Limits::default()
        };
        let both = limits(json!({"grace": "5s", "record-bytes-max": "128 KiB"})).over(&node);
        let wanted = Limits {
            grace_ms: 5_000,
            record_bytes_max: 128 << 10,
            publishing: Pace {
                piece_bytes: both.publishing.piece_bytes,
                ..Pace::default()
            },
            ..node
        };
        assert!(both.publishing.piece_bytes <= 64 << 10);
        assert_eq!(both, wanted);
    }

    #[test]
    fn every_bound_of_a_lane_reaches_the_state_node() {
        let Value::Object(keys) = serde_json::to_value(LaneLimits::default()).unwrap() else {
            panic!("a struct is an object");
        };
        let one = |key: &String| match key.as_str() {
            "grace" | "memory" | "ticket" | "passivate" => json!("1ms"),
            key if key.contains("bytes") => json!("1 B"),
            _ => json!(1),
        };
        let all: Map<_, _> = keys.keys().map(|key| (key.clone(), one(key))).collect();
        let said = format!("{:?}", limits(all.into()).over(&Limits::default()));
        let ones = said.split([',', '}']).filter(|field| {
            let (_, value) = field.split_once(": ").unwrap_or_default();
            value.trim() == "1"
        });
        assert_eq!(ones.count(), keys.len(), "{said}");
    }
}
