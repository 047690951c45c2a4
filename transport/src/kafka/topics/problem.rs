//! A problem of a topic or a broker, in words that say how to mend it.

use std::fmt;

use super::Kind;
use crate::kafka::prefix::Prefix;

/// One difference between how the topics are and how they must be. Its text says which topic, what is there, what
/// is expected, and the command or setting that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) topic: Option<String>,
    pub(super) complaint: Complaint,
    /// Who is asked first, for the commands.
    pub(super) broker: String,
    pub(super) prefix: Prefix,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    Missing,
    Forbidden {
        principal: String,
    },
    /// The settings are not told to this user: nobody checked them.
    Unseen {
        principal: String,
    },
    Partitions {
        found: u32,
        wanted: u32,
        kind: Kind,
    },
    Replication {
        found: u16,
        wanted: u16,
    },
    /// More replicas must have a record than there are.
    Unreachable {
        replicas: u16,
        needed: String,
    },
    Setting {
        key: &'static str,
        found: String,
        wanted: Wanted,
        grave: bool,
        why: &'static str,
    },
    /// `events` is gone before what its owners have yet to read.
    Overtaken {
        events: String,
        inbound: String,
    },
    OldBroker {
        announced: String,
        is_too_old: bool,
    },
}

/// The value of a setting that mends it, and whether a larger one would do as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) value: String,
    pub(super) or_more: bool,
}

impl Problem {
    /// Which topic; `None` when it is about the brokers.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_deref()
    }

    /// Whether nothing may start before it is mended. The others are warnings.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match &self.complaint {
            Complaint::Unseen { .. } => false,
            Complaint::Setting { grave, .. } => *grave,
            Complaint::OldBroker { is_too_old, .. } => *is_too_old,
            _ => true,
        }
    }

    fn alter(&self, key: &str, value: &str) -> String {
        format!(
            "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} --add-config {key}={value}",
            self.broker,
            self.topic.as_deref().unwrap_or_default()
        )
    }

    /// What each user needs on all topics of the installation: with a prefix one line is enough for them.
    fn allow(&self, principal: &str, operation: &str) -> String {
        let topic = self.topic.as_deref().unwrap_or_default();
        let which = match self.prefix.is_empty() {
            true => topic.to_owned(),
            false => in_all_topics_of(&self.prefix),
        };
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal '{principal}' --operation {operation} --topic {which}",
            self.broker,
        )
    }

    /// What the platform calls the topic's lane.
    fn lane(&self) -> &str {
        let topic = self
            .prefix
            .without(self.topic.as_deref().unwrap_or_default());
        topic.rsplit_once('.').map_or(topic, |(lane, _)| lane)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(topic) = &self.topic {
            write!(f, "{topic} ")?;
        }
        match &self.complaint {
            Complaint::Missing => f.write_str("is missing: make it with `xp topics create`"),
            Complaint::Forbidden { principal } => self.forbidden(f, principal),
            Complaint::Unseen { principal } => self.unseen(f, principal),
            Complaint::Partitions {
                found,
                wanted,
                kind,
            } => {
                let advice = partitions_advice(self.lane(), *found, *kind);
                write!(
                    f,
                    "has {found} partitions, and {wanted} are expected: {advice}"
                )
            }
            Complaint::Replication { found, wanted } => self.replication(f, *found, *wanted),
            Complaint::Unreachable { replicas, needed } => self.unreachable(f, *replicas, needed),
            Complaint::Setting {
                key,
                found,
                wanted,
                why,
                ..
            } => self.setting(f, (key, found), wanted, why),
            Complaint::Overtaken { events, inbound } => self.overtaken(f, events, inbound),
            Complaint::OldBroker {
                announced,
                is_too_old,
            } => old_broker(f, announced, *is_too_old),
        }
    }
}

/// The end of an ACL's line for all topics of an installation.
pub(super) fn in_all_topics_of(prefix: &Prefix) -> String {
    format!("{} --resource-pattern-type prefixed", prefix.as_str())
}

/// The texts behind the topic's name.
impl Problem {
    fn forbidden(&self, f: &mut fmt::Formatter<'_>, principal: &str) -> fmt::Result {
        write!(
            f,
            "may not be seen by {principal} (no ACL allows it, or the topic is missing): {}, and Read or Write as its role needs; if it is missing, `xp topics create`",
            self.allow(principal, "Describe")
        )
    }

    fn unseen(&self, f: &mut fmt::Formatter<'_>, principal: &str) -> fmt::Result {
        write!(
            f,
            "has settings that {principal} may not see, so nobody checked them: {}",
            self.allow(principal, "DescribeConfigs")
        )
    }

    fn replication(&self, f: &mut fmt::Formatter<'_>, found: u16, wanted: u16) -> fmt::Result {
        write!(
            f,
            "has partitions on {found} brokers, and {wanted} are expected: add replicas with kafka-reassign-partitions.sh --bootstrap-server {}, or ask for fewer with kafka.replication = {found}",
            self.broker
        )
    }

    fn unreachable(&self, f: &mut fmt::Formatter<'_>, replicas: u16, needed: &str) -> fmt::Result {
        write!(
            f,
            "lies on {replicas} brokers and min.insync.replicas is {needed}, so no append can ever be acknowledged: {}",
            self.alter("min.insync.replicas", &replicas.to_string())
        )
    }

    fn setting(
        &self,
        f: &mut fmt::Formatter<'_>,
        (key, found): (&str, &str),
        wanted: &Wanted,
        why: &str,
    ) -> fmt::Result {
        let more = match (&*wanted.value, wanted.or_more) {
            ("-1", _) => " (no limit)",
            (_, true) => " or more",
            (_, false) => "",
        };
        write!(
            f,
            "has {key} = {found}, and {}{more} is expected ({why}): {}",
            wanted.value,
            self.alter(key, &wanted.value)
        )
    }

    fn overtaken(&self, f: &mut fmt::Formatter<'_>, events: &str, inbound: &str) -> fmt::Result {
        write!(
            f,
            "keeps records for {events} ms, and its inbound topic for {inbound} ms: a message would outlive the record of its effect and could not be judged again; {}",
            self.alter("retention.ms", "-1")
        )
    }
}

/// R4: an address's partition follows from the count, so its events would be elsewhere.
fn partitions_advice(lane: &str, found: u32, kind: Kind) -> String {
    match kind {
        Kind::Cluster => {
            "its order is the members' order, so it has exactly one; stop all nodes, delete it, and `xp topics create`".to_owned()
        }
        Kind::Outbound => format!(
            "edges and state nodes must agree; set lanes.{lane}.outbound-partitions = {found}, or stop the installation, delete the topic, and `xp topics create`"
        ),
        Kind::Snapshots => format!(
            "it has as many as the lane's events; delete it, and `xp topics create`: it is filled again from the nodes' own snapshots. Not while lanes.{lane}'s events have been shortened and a node lacks its disk"
        ),
        Kind::Inbound | Kind::Events => format!(
            "a count never changes in place, because addresses hash to partitions and their events would be elsewhere; set lanes.{lane}.partitions = {found}, or begin a new lane under another name"
        ),
    }
}

fn old_broker(f: &mut fmt::Formatter<'_>, announced: &str, is_too_old: bool) -> fmt::Result {
    let need = if is_too_old {
        "3.7 is required, because older brokers may show a record that lies on one replica only"
    } else {
        "4.1 or later is advised"
    };
    write!(
        f,
        "the brokers announce inter.broker.protocol.version = {announced}: {need}; upgrade them, or if their software is newer, finish the upgrade by raising that setting"
    )
}
