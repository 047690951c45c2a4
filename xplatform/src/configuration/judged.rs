//! Checks of a whole configuration: each key by itself, and combinations that contradict each other.

use xp_cluster::lease::LEASE_MS;
use xp_runtime::config::{Durability, Lane};

use super::{Loaded, Problem};

/// More than address, trace and the rest of an envelope take.
const ENVELOPE_BYTES: usize = 4 << 10;

pub(super) fn judge(loaded: &Loaded) -> Result<(), Problem> {
    window(loaded)?;
    frames(loaded)?;
    for name in loaded.config.lanes.keys() {
        lane_window(loaded, name)?;
        lane_frames(loaded, name)?;
    }
    counted_from_one(loaded)?;
    heartbeat(loaded)?;
    events(loaded)?;
    edge(loaded)?;
    names(loaded)
}

fn problem(loaded: &Loaded, key: &str, what: String) -> Problem {
    Problem::of(key, loaded.place(key), what)
}

/// R30: an edge that let clients run further ahead than answers are kept would lose answers.
fn window(loaded: &Loaded) -> Result<(), Problem> {
    const KEY: &str = "edge.limits.window";
    let window = loaded.config.edge.limits.window;
    let kept = loaded.config.state_node.limits.sessions.answers;
    if (1..=kept).contains(&(window as usize)) {
        return Ok(());
    }
    let what = format!(
        "is {window}: choose 1 up to state-node.limits.sessions.answers, which is {kept} ({})",
        loaded.place("state-node.limits.sessions.answers")
    );
    Err(problem(loaded, KEY, what))
}

fn lane_window(loaded: &Loaded, name: &str) -> Result<(), Problem> {
    let window = loaded.config.edge.limits.window;
    let kept = loaded.lane_limits(name).sessions.answers;
    if kept >= window as usize {
        return Ok(());
    }
    let key = format!("lanes.{name}.limits.sessions.answers");
    let place = loaded.place("edge.limits.window");
    let what =
        format!("is {kept}: choose at least edge.limits.window, which is {window} ({place})");
    Err(problem(loaded, &key, what))
}

/// What an edge takes in must fit into a record, or the whole partition would wait for an append that never passes.
fn frames(loaded: &Loaded) -> Result<(), Problem> {
    const KEY: &str = "edge.limits.frame-bytes-max";
    let (frame, record) = (
        loaded.config.edge.limits.frame_bytes_max,
        loaded.config.state_node.limits.records.bytes_max,
    );
    if frame.0.saturating_add(ENVELOPE_BYTES) <= record.0 {
        return Ok(());
    }
    let what = format!(
        "is {frame}: a frame and its envelope must fit into state-node.limits.records.bytes-max, which is {record} ({})",
        loaded.place("state-node.limits.records.bytes-max")
    );
    Err(problem(loaded, KEY, what))
}

fn lane_frames(loaded: &Loaded, name: &str) -> Result<(), Problem> {
    let frame = loaded.config.edge.limits.frame_bytes_max;
    let record = loaded.lane_limits(name).records.bytes_max;
    if frame.bytes().saturating_add(ENVELOPE_BYTES) <= record.bytes() {
        return Ok(());
    }
    let key = format!("lanes.{name}.limits.records.bytes-max");
    let place = loaded.place("edge.limits.frame-bytes-max");
    let what = format!(
        "is {record}: edge.limits.frame-bytes-max, which is {frame} ({place}), and 4 KiB for the envelope must fit into it"
    );
    Err(problem(loaded, &key, what))
}

fn counted_from_one(loaded: &Loaded) -> Result<(), Problem> {
    if loaded.config.lanes_version == 0 {
        let what = "is 0: versions count from 1, and rise with every change of the lanes";
        return Err(problem(loaded, "lanes-version", what.to_owned()));
    }
    Ok(())
}

/// R13: between two heartbeats the lease must not run out, or queries would wait.
fn heartbeat(loaded: &Loaded) -> Result<(), Problem> {
    const KEY: &str = "state-node.heartbeat";
    let heartbeat = loaded.config.state_node.heartbeat;
    if (1..=LEASE_MS / 2).contains(&heartbeat.ms()) {
        return Ok(());
    }
    let what = format!(
        "is {heartbeat}: choose 1 ms up to {} ms, half of the lease",
        LEASE_MS / 2
    );
    Err(problem(loaded, KEY, what))
}

/// R36: what is deleted of `events` must be in published snapshots, and those of a log in memory end with the process.
fn events(loaded: &Loaded) -> Result<(), Problem> {
    let log = &loaded.config.log;
    let key = match log.events_size {
        Some(_) => "log.events-size",
        None => "log.events-age",
    };
    if !log.forgets() {
        return Ok(());
    }
    if loaded.config.kafka.is_some() {
        let place = loaded.place("kafka");
        let what = format!(
            "is of the embedded log, and this log is Kafka ({place}): leave it out; Kafka's topic keeps what kafka.retention.events says"
        );
        return Err(problem(loaded, key, what));
    }
    if log.durability == Durability::Memory {
        let place = loaded.place("log.durability");
        let what = format!(
            "would delete `events` without published snapshots that hold what they came to: log.durability is \"memory\" ({place}), and nothing is published there. Set it to \"fsync\", or leave this out"
        );
        return Err(problem(loaded, key, what));
    }
    match log.events_size {
        Some(size) if size.0 < log.segment_size.0.saturating_mul(2) => {
            let (segment, place) = (log.segment_size, loaded.place("log.segment-size"));
            let what = format!(
                "is {size}: choose at least two segments, as whole ones are deleted; log.segment-size is {segment} ({place})"
            );
            Err(problem(loaded, key, what))
        }
        _ => Ok(()),
    }
}

/// What the edge itself says of its part.
fn edge(loaded: &Loaded) -> Result<(), Problem> {
    let judged = loaded.config.edge.judge();
    judged.map_err(|unusable| problem(loaded, &unusable.key, unusable.what))
}

/// The label `name` is every node's own, and a lane's name is a part of its topics' names.
fn names(loaded: &Loaded) -> Result<(), Problem> {
    if loaded.config.state_node.labels.contains_key("name") {
        let what = "cannot be chosen: every node has the label `name`, which is state-node.name";
        return Err(problem(loaded, "state-node.labels.name", what.to_owned()));
    }
    let unusable = |(name, _): &(&String, &Lane)| !is_name(name);
    if let Some((name, _)) = loaded.config.lanes.iter().find(unusable) {
        let what = "cannot be the name of a lane: topics are called after it, so use letters, digits, '.', '_' and '-', at most 200";
        return Err(problem(loaded, &format!("lanes.{name}"), what.to_owned()));
    }
    let Some(kafka) = &loaded.config.kafka else {
        return Ok(());
    };
    let judged = kafka.judge_names(loaded.config.lanes.keys());
    judged.map_err(|unusable| problem(loaded, &unusable.key, unusable.what))
}

/// What Kafka and file systems take alike, with room for the ending of a topic's name.
fn is_name(name: &str) -> bool {
    let usable = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=200).contains(&name.len()) && name.chars().all(usable) && !name.starts_with('.')
}
