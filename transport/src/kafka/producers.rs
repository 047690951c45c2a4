//! The producing instances, made when first needed and made anew when librdkafka gives one up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::KafkaError;

use super::acknowledgement::Pending;
use super::instance::Shared;
use super::producer::Producer;
use super::role::Class;
use crate::log::{Acknowledged, Record, TopicPartition};

/// Bulk lanes have producers of their own: with one request in flight per broker, theirs would hold up the others.
type Name = (Class, &'static str);

pub(super) struct Producers {
    shared: Arc<Shared>,
    by_name: Mutex<BTreeMap<Name, Arc<Producer>>>,
}

impl Producers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            by_name: Mutex::default(),
        }
    }

    pub(super) fn append(&self, at: &TopicPartition, records: &[Record]) -> Acknowledged {
        let (pending, acknowledged) = Pending::of(at, records.len());
        match self.of(&at.topic) {
            Ok(producer) => producer.append(at, records, &pending),
            Err(error) => {
                let reason = error.to_string();
                (0..records.len()).for_each(|index| pending.ticket(index).failed(&reason));
            }
        }
        acknowledged
    }

    fn of(&self, topic: &str) -> Result<Arc<Producer>, KafkaError> {
        let (class, role) = self.shared.served_by(topic);
        let name = (class, role.producer());
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = by_name.get(&name)
            && !producer.is_broken()
        {
            return Ok(Arc::clone(producer));
        }
        let instance = format!("{class}{}", name.1);
        let producer = Arc::new(Producer::new(&instance, &self.shared)?);
        if by_name.insert(name, Arc::clone(&producer)).is_some() {
            tracing::warn!(target: "xp_transport::kafka", instance, "librdkafka gave a producer up; it is replaced");
        }
        Ok(producer)
    }

    /// Failing is no matter: the first record is only slower then.
    pub(super) async fn warm_up(self: &Arc<Self>, topics: Vec<Arc<str>>) {
        let this = Arc::clone(self);
        let timeout = self.shared.config().connect_timeout;
        let warming = tokio::task::spawn_blocking(move || {
            for topic in topics {
                let warmed = this
                    .of(&topic)
                    .and_then(|producer| producer.warm_up(&topic, timeout));
                if let Err(error) = warmed {
                    tracing::debug!(target: "xp_transport::kafka", %topic, %error, "not warmed up");
                }
            }
        });
        drop(warming.await);
    }

    pub(super) async fn flush(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let timeout = self.shared.config().append_timeout;
        let flushing = tokio::task::spawn_blocking(move || {
            let producers: Vec<_> = {
                let by_name = this.by_name.lock().unwrap_or_else(PoisonError::into_inner);
                by_name.values().cloned().collect()
            };
            producers
                .iter()
                .for_each(|producer| producer.flush(timeout));
        });
        drop(flushing.await);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kafka::config::Config;

    #[test]
    fn a_bulk_lane_shares_no_producer_with_others() {
        let config = Config {
            bulk_lanes: BTreeSet::from(["imports".to_owned()]),
            // Nobody is there, and nobody is asked.
            ..Config::at(&["127.0.0.1:1"])
        };
        let producers = Producers::new(Arc::new(Shared::new(&config)));
        let of = |topic: &str| producers.of(topic).unwrap();
        for end in ["events", "inbound", "outbound"] {
            let [bulk, main] = ["imports", "main"].map(|lane| of(&format!("{lane}.{end}")));
            assert!(!Arc::ptr_eq(&bulk, &main), "{end}");
            assert!(Arc::ptr_eq(&main, &of(&format!("money.{end}"))), "{end}");
        }
    }
}
