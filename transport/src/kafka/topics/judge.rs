//! The verdict on topics and brokers: a pure function from what is wanted and what was found to problems. It asks no
//! broker.

use std::collections::BTreeMap;

use xp_protocol::lane::inbound_topic;

use super::problem::{Complaint, Problem, Wanted};
use super::wanted::{self, Rule, Setting};
use super::{Description, Found, Kind, Shape, Topic};
use crate::kafka::config::Config;
use crate::kafka::prefix::Prefix;
use crate::kafka::settings::batch_bytes_max;

/// The oldest brokers that can be trusted, and those that are advised.
const REQUIRED: (u32, u32) = (3, 7);
const ADVISED: (u32, u32) = (4, 1);

/// All problems, the fatal ones first, each kind in the order of the topics wanted.
pub(super) fn all(config: &Config, wanted: &[Topic], found: &Description) -> Vec<Problem> {
    let judge = Judge {
        principal: principal(config),
        broker: config.brokers.first().cloned().unwrap_or_default(),
        batch_bytes: batch_bytes_max(config),
        prefix: config.topic_prefix.clone(),
    };
    let found_of: BTreeMap<_, _> = found.topics.iter().map(|(name, f)| (&**name, f)).collect();
    let mut problems = judge.brokers(found.announced.as_deref());
    for topic in wanted {
        if let Some(found) = found_of.get(&*topic.name) {
            problems.extend(judge.topic(topic, found));
            problems.extend(judge.overtaken(topic, found, &found_of));
        }
    }
    problems.sort_by_key(|problem| !problem.is_fatal());
    problems
}

/// Whom ACLs must name.
fn principal(config: &Config) -> String {
    match (&config.sasl, &config.tls) {
        (Some(sasl), _) => format!("User:{}", sasl.user),
        (None, Some(tls)) if tls.identity.is_some() => {
            "User:<the subject of kafka.tls.certificate>".to_owned()
        }
        _ => "User:ANONYMOUS".to_owned(),
    }
}

struct Judge {
    principal: String,
    broker: String,
    batch_bytes: usize,
    prefix: Prefix,
}

impl Judge {
    fn problem(&self, topic: Option<&str>, complaint: Complaint) -> Problem {
        Problem {
            topic: topic.map(str::to_owned),
            complaint,
            broker: self.broker.clone(),
            prefix: self.prefix.clone(),
        }
    }

    fn brokers(&self, announced: Option<&str>) -> Vec<Problem> {
        let Some((announced, version)) = announced.and_then(|text| Some((text, version(text)?)))
        else {
            return Vec::new();
        };
        let complaint = Complaint::OldBroker {
            announced: announced.to_owned(),
            is_too_old: version < REQUIRED,
        };
        let is_old = version < ADVISED;
        is_old
            .then(|| self.problem(None, complaint))
            .into_iter()
            .collect()
    }

    fn topic(&self, topic: &Topic, found: &Found) -> Vec<Problem> {
        let principal = self.principal.clone();
        let complaints = match found {
            Found::Missing => vec![Complaint::Missing],
            Found::Forbidden => vec![Complaint::Forbidden { principal }],
            Found::There(shape) => {
                let mut complaints = of_shape(topic, shape);
                match &shape.settings {
                    None => complaints.push(Complaint::Unseen { principal }),
                    Some(settings) => complaints.extend(self.of_settings(topic, shape, settings)),
                }
                complaints
            }
        };
        let problem = |complaint| self.problem(Some(&topic.name), complaint);
        complaints.into_iter().map(problem).collect()
    }

    fn of_settings(
        &self,
        topic: &Topic,
        shape: &Shape,
        found: &BTreeMap<String, String>,
    ) -> Vec<Complaint> {
        let rules = wanted::settings(topic, self.batch_bytes);
        let broken = rules.iter().filter_map(|rule| broken(rule, found));
        let mut complaints: Vec<Complaint> = broken.collect();
        // Of two complaints about one setting the grave one says enough.
        let grave: Vec<_> = complaints.iter().filter_map(grave_key).collect();
        complaints.retain(|c| grave_key(c).is_some() || key(c).is_none_or(|k| !grave.contains(&k)));
        complaints.extend(unreachable(shape, found));
        complaints
    }

    /// Retention of `events` below that of the same lane's `inbound`: snapshots would be overtaken (R36).
    fn overtaken(
        &self,
        topic: &Topic,
        found: &Found,
        all: &BTreeMap<&str, &Found>,
    ) -> Option<Problem> {
        let lane = topic.name.strip_suffix(".events")?;
        let inbound = all.get(&*inbound_topic(lane))?;
        let (events, inbound) = (kept(found)?, kept(inbound)?);
        let is_overtaken = topic.kind == Kind::Events && events.1 < inbound.1;
        let complaint = Complaint::Overtaken {
            events: events.0,
            inbound: inbound.0,
        };
        is_overtaken.then(|| self.problem(Some(&topic.name), complaint))
    }
}

fn of_shape(topic: &Topic, shape: &Shape) -> Vec<Complaint> {
    let partitions = (shape.partitions != topic.partitions).then_some(Complaint::Partitions {
        found: shape.partitions,
        wanted: topic.partitions,
        kind: topic.kind,
    });
    let replication = (shape.replication < topic.replication).then_some(Complaint::Replication {
        found: shape.replication,
        wanted: topic.replication,
    });
    partitions.into_iter().chain(replication).collect()
}

/// A setting that a broker does not have is judged by nobody: another product may lack it.
fn broken(setting: &Setting, found: &BTreeMap<String, String>) -> Option<Complaint> {
    let found = found.get(setting.key)?;
    (!setting.rule.holds(found)).then(|| Complaint::Setting {
        key: setting.key,
        found: found.clone(),
        wanted: Wanted {
            value: setting.rule.value(),
            or_more: !matches!(setting.rule, Rule::Is(_) | Rule::Keeps(None)),
        },
        grave: setting.grave,
        why: setting.why,
    })
}

fn key(complaint: &Complaint) -> Option<&'static str> {
    match complaint {
        Complaint::Setting { key, .. } => Some(key),
        _ => None,
    }
}

fn grave_key(complaint: &Complaint) -> Option<&'static str> {
    match complaint {
        Complaint::Setting {
            key, grave: true, ..
        } => Some(key),
        _ => None,
    }
}

fn unreachable(shape: &Shape, found: &BTreeMap<String, String>) -> Option<Complaint> {
    let needed = found.get("min.insync.replicas")?;
    let is_too_many = needed.parse::<u16>().ok()? > shape.replication;
    is_too_many.then(|| Complaint::Unreachable {
        replicas: shape.replication,
        needed: needed.clone(),
    })
}

/// How long a topic keeps records, as it says and as a number.
fn kept(found: &Found) -> Option<(String, u64)> {
    let Found::There(shape) = found else {
        return None;
    };
    let text = shape.settings.as_ref()?.get("retention.ms")?;
    let ms = text.parse::<i64>().ok()?;
    Some((text.clone(), u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// `3.6` of `3.6-IV2`.
fn version(announced: &str) -> Option<(u32, u32)> {
    let numbers = announced.split('-').next()?;
    let mut numbers = numbers.split('.').map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor)) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
