//! Doubts about partitions: what an error of a client instance may mean for them, until brokers have been asked about
//! each.
//!
//! A broker that has just started, or has not heard of a topic yet, says for a moment that there is none. That is waited
//! out: only a topic that stays away fails, and only its own partitions do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

/// For how long a topic may be unknown to the brokers that are asked before its partitions fail.
const MISSING_FOR: Duration = Duration::from_secs(10);
/// How soon brokers are asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// What an error may mean, until brokers have been asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// A broker does not know a topic or partition. It may be the broker.
    Unknown,
    /// The log was cut, or we may not read it; when no partition turns out to be concerned now, all are (R36).
    Broken(String),
}

#[derive(Debug, Default)]
pub(super) struct Doubts {
    suspicion: Option<Suspicion>,
    next: Duration,
    /// Since when each topic is missing.
    missing: BTreeMap<Arc<str>, Duration>,
}

impl Suspicion {
    /// Nothing when librdkafka goes on by itself.
    pub(super) fn of(code: RDKafkaErrorCode, said: &str) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                Some(Self::Unknown)
            }
            Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::LogTruncation
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnsupportedVersion => Some(Self::Broken(format!("{code}: {said}"))),
            _ => None,
        }
    }
}

impl Doubts {
    /// The graver suspicion stays.
    pub(super) fn raise(&mut self, suspicion: Suspicion) {
        if !matches!(self.suspicion, Some(Suspicion::Broken(_))) {
            self.suspicion = Some(suspicion);
        }
    }

    /// What to ask brokers about now; times are since the instance began.
    pub(super) fn due(&mut self, now: Duration) -> Option<Suspicion> {
        let suspicion = self.suspicion.clone().filter(|_| now >= self.next);
        if suspicion.is_some() {
            self.next = now + AGAIN;
        }
        suspicion
    }

    /// No broker knows the topic; returns whether it has been so for too long.
    pub(super) fn is_gone(&mut self, topic: &Arc<str>, now: Duration) -> bool {
        let since = *self.missing.entry(Arc::clone(topic)).or_insert(now);
        now.saturating_sub(since) >= MISSING_FOR
    }

    /// It is there.
    pub(super) fn is_there(&mut self, topic: &str) {
        self.missing.remove(topic);
    }

    /// All partitions were asked about, and none is waited for.
    pub(super) fn settle(&mut self) {
        self.suspicion = None;
        self.missing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_topic_that_one_answer_does_not_know_is_waited_for() {
        let topic: Arc<str> = "main.events".into();
        let mut doubts = Doubts::default();
        doubts.raise(Suspicion::Unknown);
        assert_eq!(doubts.due(SECOND), Some(Suspicion::Unknown));
        assert!(!doubts.is_gone(&topic, SECOND));
        assert_eq!(doubts.due(SECOND), None, "brokers are not asked in a hurry");
        assert_eq!(doubts.due(2 * SECOND), Some(Suspicion::Unknown));
        doubts.is_there(&topic);
        assert!(
            !doubts.is_gone(&topic, 11 * SECOND),
            "it was there meanwhile"
        );
        assert!(doubts.is_gone(&topic, 21 * SECOND));
        doubts.settle();
        assert_eq!(doubts.due(30 * SECOND), None);
    }

    #[test]
    fn a_log_that_was_cut_is_not_forgotten_over_a_topic_that_is_away() {
        let mut doubts = Doubts::default();
        let cut =
            Suspicion::of(RDKafkaErrorCode::AutoOffsetReset, "main.events").expect("it is grave");
        doubts.raise(cut.clone());
        doubts.raise(Suspicion::Unknown);
        assert_eq!(doubts.due(SECOND), Some(cut));
        assert_eq!(
            Suspicion::of(RDKafkaErrorCode::BrokerTransportFailure, ""),
            None
        );
    }
}
