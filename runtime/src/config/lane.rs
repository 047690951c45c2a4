//! One lane: whom it serves, how wide it is, where it may live, and what is different on it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use xp_protocol::cluster;
use xp_settings::settings;
use xp_state_node::Limits;

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
        /// Bounds that are other ones on this lane: any of `state-node.limits`, written as there, as in
        /// `limits = { recent = { commits-max = 64 } }`. What is left out is as there.
        limits: Overrides = Overrides::default(),
    }
}

/// Whether somebody waits for what a lane carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// The bounds that are other ones on one lane: a part of the state node's [`Limits`], in the same form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Overrides(Map<String, Value>);

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

impl Overrides {
    /// These bounds, and the node's where there are none.
    #[must_use]
    pub fn over(&self, node: &Limits) -> Limits {
        let both = self.laid_over(node);
        both.expect("what is said here was laid over the built-in bounds when it was read")
    }

    fn laid_over(&self, node: &Limits) -> Result<Limits, serde_json::Error> {
        let mut all = serde_json::to_value(node)?;
        lay(&mut all, &Value::Object(self.0.clone()));
        serde_json::from_value(all)
    }
}

/// Tables key by key, everything else whole.
fn lay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => over.clone_into(under),
    }
}

impl<'de> Deserialize<'de> for Overrides {
    /// Refuses keys and values that are no bounds, so that laying them over others cannot fail.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let own = Self(Map::deserialize(deserializer)?);
        let judged = own.laid_over(&Limits::default());
        judged.map(|_| own).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use xp_settings::{Size, Span};

    use super::*;

    fn read(values: Value) -> Result<Overrides, String> {
        serde_json::from_value(values).map_err(|error| error.to_string())
    }

    /// Bounds of which none is built in.
    fn others(value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(others),
            Value::Number(number) => *value = json!(number.as_u64().unwrap() + 1),
            Value::String(text) if text.ends_with('B') => *value = json!("77 B"),
            text => *text = json!("77ms"),
        }
    }

    #[test]
    fn a_lane_overrides_just_the_bounds_that_it_names() {
        let node = Limits {
            ticket: Span::from_millis(7),
            ..Limits::default()
        };
        let own = json!({"sessions": {"grace": "5s"}, "records": {"bytes-max": "128 KiB"}});
        let both = read(own).unwrap().over(&node);
        let mut wanted = node;
        wanted.sessions.grace = Span::from_secs(5);
        wanted.records.bytes_max = Size::from_kib(128);
        assert_eq!(both, wanted);
    }

    #[test]
    fn every_bound_can_be_another_one_on_a_lane() {
        let usual = Limits::default();
        let mut all = serde_json::to_value(&usual).unwrap();
        others(&mut all);
        let own = read(all.clone()).unwrap();
        assert_eq!(serde_json::to_value(own.over(&usual)).unwrap(), all);
        let none = read(json!({})).unwrap();
        let node = own.over(&usual);
        assert_eq!(none.over(&node), node, "left out is as on the node");
    }

    #[test]
    fn what_is_no_bound_is_refused_when_it_is_read() {
        for (own, says) in [
            (json!({"grace": "5s"}), "unknown field `grace`"),
            (
                json!({"sessions": {"graces": "5s"}}),
                "unknown field `graces`",
            ),
            (json!({"sessions": {"grace": "5"}}), "ms, s, min, h"),
            (json!({"sessions": 5}), "invalid type"),
        ] {
            let error = read(own).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
