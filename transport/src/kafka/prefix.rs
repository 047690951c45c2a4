//! The prefix of an installation's topics, so that one Kafka holds several installations: the platform says
//! `main.events`, Kafka knows `shop.main.events`, and nowhere but here is the one made of the other.
//!
//! A prefix ends in a dot, and on Kafka the name of a lane has none. So Kafka's name says which part of it is the prefix,
//! and two installations of different prefixes never share a topic, even if one of them has no prefix.

use xp_protocol::lane::snapshots_topic;

use crate::log::TopicPartition;

/// Kafka takes no longer name of a topic.
const NAME_MAX: usize = 249;

/// What stands before the names of an installation's topics; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// A prefix as somebody wrote it; an empty text is none.
    ///
    /// # Errors
    /// What would be wrong with the names, and what would do, to follow the setting's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = |what: &str| Err(format!("is {text:?}: {what}"));
        if text.is_empty() {
            return Ok(Self::default());
        }
        if let Some(unusable) = text.chars().find(|c| !is_usable(*c)) {
            return refused(&format!(
                "it has {unusable:?}, and Kafka takes letters, digits, '.', '_' and '-' in the name of a topic"
            ));
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return refused("it must begin with a letter or a digit");
        }
        if !text.ends_with('.') {
            return refused(&format!(
                "it must end in a dot, as in \"{text}.\": only so no other installation's topics can be called like these"
            ));
        }
        // What else it has room for, lanes say.
        match text.len() + "cluster".len() {
            ..=NAME_MAX => Ok(Self(text.to_owned())),
            length => refused(&too_long(length)),
        }
    }

    /// Whether the topics of this lane have names that Kafka takes and no other installation has.
    ///
    /// # Errors
    /// What is wrong, and what to do, to follow the lane's name.
    pub fn judge_lane(&self, lane: &str) -> Result<(), String> {
        if lane.contains('.') {
            return Err(format!(
                "cannot be the name of a lane on Kafka: its topics could be those of another installation with kafka.topic-prefix = {:?}; use '-' or '_' for '.'",
                &lane[..=lane.rfind('.').unwrap_or_default()]
            ));
        }
        // The longest of its names.
        let length = self.named(&snapshots_topic(lane)).len();
        match length {
            ..=NAME_MAX => Ok(()),
            length => Err(format!(
                "and kafka.topic-prefix are too long together: {}",
                too_long(length)
            )),
        }
    }

    /// What Kafka calls a topic of this installation.
    #[must_use]
    pub fn named(&self, topic: &str) -> String {
        format!("{}{topic}", self.0)
    }

    /// What the platform calls a topic that Kafka calls so.
    #[must_use]
    pub fn without<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.0).unwrap_or(name)
    }

    /// As [`Self::named`], of a partition.
    #[must_use]
    pub fn at(&self, at: &TopicPartition) -> TopicPartition {
        if self.is_empty() {
            return at.clone();
        }
        TopicPartition {
            topic: self.named(&at.topic).into(),
            partition: at.partition,
        }
    }

    /// Whether topics are called in Kafka as in the platform.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_usable(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

fn too_long(length: usize) -> String {
    format!(
        "the name of a topic would have {length} characters, and Kafka takes {NAME_MAX}; shorten it by {}",
        length - NAME_MAX
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use xp_protocol::PartitionId;
    use xp_protocol::lane::{CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic};

    use super::*;

    fn refused(text: &str) -> String {
        Prefix::parse(text).unwrap_err()
    }

    #[test]
    fn without_a_prefix_topics_are_called_as_ever() {
        let none = Prefix::parse("").unwrap();
        assert!(none.is_empty());
        assert_eq!(none.named("main.events"), "main.events");
        assert_eq!(none.without("main.events"), "main.events");
    }

    #[test]
    fn a_prefix_goes_in_front_and_comes_off_again() {
        let shop = Prefix::parse("Pay-ments.xp_1.").unwrap();
        let at = shop.at(&TopicPartition {
            topic: "main.events".into(),
            partition: PartitionId(3),
        });
        assert_eq!(at.to_string(), "Pay-ments.xp_1.main.events/3");
        assert_eq!(shop.without(&at.topic), "main.events");
        assert_eq!(shop.without("main.events"), "main.events");
    }

    #[test]
    fn what_kafka_does_not_take_or_could_be_mistaken_is_refused() {
        for (text, said) in [
            ("shop", "must end in a dot, as in \"shop.\": only"),
            ("shop-", "must end in a dot"),
            (".shop.", "must begin with a letter or a digit"),
            ("__shop.", "must begin with a letter or a digit"),
            (".", "must begin with a letter or a digit"),
            ("a b.", "has ' '"),
            ("läden.", "has 'ä'"),
            ("a/b.", "has '/'"),
            ("a\nb.", "has '\\n'"),
        ] {
            let told = refused(text);
            assert!(
                told.contains(said) && told.starts_with("is \""),
                "{text}: {told}"
            );
        }
        let long = format!("{}.", "a".repeat(NAME_MAX - "cluster".len()));
        assert!(
            refused(&long).contains("shorten it by 1"),
            "{}",
            refused(&long)
        );
        assert!(Prefix::parse(&long[1..]).is_ok());
    }

    #[test]
    fn a_lane_and_a_prefix_must_fit_together() {
        let shop = Prefix::parse("shop.").unwrap();
        let longest = "l".repeat(NAME_MAX - "shop..snapshots".len());
        assert_eq!(shop.judge_lane(&longest), Ok(()));
        let told = shop.judge_lane(&format!("{longest}l")).unwrap_err();
        assert!(told.contains("250 characters"), "{told}");
        let told = Prefix::default().judge_lane("eu.west.main").unwrap_err();
        assert!(told.contains("kafka.topic-prefix = \"eu.west.\""), "{told}");
    }

    /// All prefixes and lanes of a few characters, those that are judged well: no name of a topic comes twice.
    #[test]
    fn no_two_installations_share_a_topic() {
        let characters = ["a", "b", ".", "-", "_"];
        let mut words = vec![String::new()];
        for _ in 0..4 {
            let longer = words
                .iter()
                .flat_map(|word| characters.map(|c| format!("{word}{c}")));
            let all: Vec<_> = words.iter().cloned().chain(longer).collect();
            words = all;
            words.sort();
            words.dedup();
        }
        let prefixes: Vec<_> = words.iter().filter_map(|w| Prefix::parse(w).ok()).collect();
        assert!(prefixes.len() > 50, "{}", prefixes.len());
        let lanes = ["cluster", "events"].map(str::to_owned).into_iter();
        let lanes = lanes.chain(
            words
                .into_iter()
                .filter(|word| word.len() == 2 || word.len() == 1),
        );
        let lanes: Vec<_> = lanes
            .filter(|l| Prefix::default().judge_lane(l).is_ok())
            .collect();
        let mut owners: BTreeMap<String, (&Prefix, String)> = BTreeMap::new();
        for prefix in &prefixes {
            let of_lane = |lane: &String| {
                [
                    inbound_topic(lane),
                    events_topic(lane),
                    outbound_topic(lane),
                    snapshots_topic(lane),
                ]
            };
            let topics = lanes.iter().flat_map(of_lane);
            for topic in topics.chain([CLUSTER_TOPIC.to_owned()]) {
                let owner = (prefix, topic);
                let name = prefix.named(&owner.1);
                if let Some(other) = owners.insert(name.clone(), owner.clone()) {
                    panic!("{name} is {other:?}'s and {owner:?}'s");
                }
            }
        }
    }
}
