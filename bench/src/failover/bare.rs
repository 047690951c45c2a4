//! A bare client of Kafka beside the platform: one record after the other, produced and consumed with the same settings.
//! How long it waits while a broker is away is Kafka's own part of what our clients wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::owners::pause;
use crate::figures::now;

const TOPIC: &str = "bare";
/// How often a record is due.
const EVERY: Duration = Duration::from_millis(25);
const POLL: Duration = Duration::from_millis(50);
/// How long what was due in a trial is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was due when, and how long it waited until it was consumed.
type Waits = Arc<Mutex<Vec<(Instant, Option<Duration>)>>>;

pub(super) struct Bare {
    waits: Waits,
    is_over: Arc<AtomicBool>,
}

fn open(waits: &Waits) -> MutexGuard<'_, Vec<(Instant, Option<Duration>)>> {
    waits.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As quick to try again as the platform's own clients.
fn settings(bootstrap: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", bootstrap)
        .set("socket.timeout.ms", "2000")
        .set("socket.connection.setup.timeout.ms", "1000")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "300")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "200")
        .set("topic.metadata.refresh.fast.interval.ms", "30");
    settings
}

impl Bare {
    pub(super) fn start(bootstrap: &str) -> Result<Self> {
        make_topic(bootstrap)?;
        let bare = Self {
            waits: Waits::default(),
            is_over: Arc::default(),
        };
        let consumer = consumer(bootstrap)?;
        let producer: ThreadedProducer<DefaultProducerContext> = settings(bootstrap)
            .set("acks", "all")
            .set("request.timeout.ms", "1500")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "60000")
            .create()?;
        let (waits, is_over) = (Arc::clone(&bare.waits), Arc::clone(&bare.is_over));
        std::thread::spawn(move || consume(&consumer, &waits, &is_over));
        let (waits, is_over) = (Arc::clone(&bare.waits), Arc::clone(&bare.is_over));
        std::thread::spawn(move || produce(&producer, &waits, &is_over));
        Ok(bare)
    }

    /// The longest wait of what was due in this time, once all of it has come.
    pub(super) fn longest(&self, from: Instant, to: Instant) -> Result<Duration> {
        let began = now();
        while began.elapsed() < PATIENCE {
            let waits = open(&self.waits);
            let due = waits.iter().filter(|(due, _)| (from..to).contains(due));
            let waited: Option<Vec<_>> = due.map(|(_, wait)| *wait).collect();
            if let Some(waited) = waited {
                let longest = waited.into_iter().max();
                return longest.context("a record was due in every trial");
            }
            drop(waits);
            pause(POLL);
        }
        bail!("a bare client of Kafka does not get its records within {PATIENCE:?}")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn make_topic(bootstrap: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = settings(bootstrap).create()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(-1));
    let made = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
    for one in made {
        match one {
            Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => bail!("{name}: {code}"),
        }
    }
    Ok(())
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = settings(bootstrap)
        .set("group.id", TOPIC)
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.error.backoff.ms", "5")
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::End)?;
    consumer.assign(&list)?;
    // Where it begins is only known once it has asked.
    consumer.poll(PATIENCE / 60);
    Ok(consumer)
}

/// The number of each record is its place among what was due; one that is doubled counts once.
fn produce(
    producer: &ThreadedProducer<DefaultProducerContext>,
    waits: &Waits,
    is_over: &AtomicBool,
) {
    let mut due = now();
    while !is_over.load(Ordering::Relaxed) {
        pause(due.saturating_duration_since(now()));
        let mut waits = open(waits);
        let number = waits.len().to_string();
        waits.push((due, None));
        drop(waits);
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC);
        // What is not taken shows as a record that never comes.
        let _ = producer.send(record.partition(0).payload(number.as_bytes()));
        due += EVERY;
    }
}

fn consume(consumer: &BaseConsumer, waits: &Waits, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let Some(Ok(message)) = consumer.poll(POLL) else {
            continue;
        };
        let number = message
            .payload()
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(Ok(number)) = number.map(str::parse::<usize>) else {
            continue;
        };
        if let Some((due, wait @ None)) = open(waits).get_mut(number) {
            *wait = Some(now().saturating_duration_since(*due));
        }
    }
}
