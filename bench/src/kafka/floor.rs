//! Three bare hops with the same client library and settings: produce `inbound` → consume → produce `events`, wait for
//! the acknowledgement → produce `outbound` → consume.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::figures::{Spread, now};
use crate::pace::Pace;

const BYTES: usize = 128;
const POLL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(20);
/// Numbers a message that only wakes everything up.
const WARM_UP: u32 = u32::MAX;

type Producer = ThreadedProducer<DefaultProducerContext>;

pub(super) struct Floor {
    inbound: Producer,
    partitions: u32,
    arrivals: Receiver<(u32, Instant)>,
    is_over: Arc<AtomicBool>,
}

/// Sends what was acknowledged on `events` on to `outbound`.
struct Forward(Producer);

impl ClientContext for Forward {}

impl ProducerContext for Forward {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            send(
                &self.0,
                "floor.outbound",
                0,
                message.payload().unwrap_or_default(),
            );
        }
    }
}

fn settings(bootstrap: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", bootstrap);
    settings
}

fn producing(bootstrap: &str) -> ClientConfig {
    let mut settings = settings(bootstrap);
    settings
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("max.in.flight", "1")
        .set("linger.ms", "0");
    settings
}

fn send<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &ThreadedProducer<C>,
    topic: &str,
    partition: i32,
    payload: &[u8],
) {
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
    // A full queue shows as a message that never arrives.
    let _ = producer.send(record.partition(partition).payload(payload));
}

fn consumer(bootstrap: &str, topic: &str, partitions: u32) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = settings(bootstrap)
        .set("group.id", "floor")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        list.add_partition_offset(topic, partition, Offset::End)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

async fn create(bootstrap: &str, topic: &str, partitions: u32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = settings(bootstrap).create()?;
    let topic = NewTopic::new(
        topic,
        i32::try_from(partitions)?,
        TopicReplication::Fixed(1),
    );
    let made = admin.create_topics([&topic], &AdminOptions::new()).await?;
    for one in made {
        one.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
    }
    Ok(())
}

impl Floor {
    pub(super) async fn start(bootstrap: &str, partitions: u32) -> Result<Self> {
        for (topic, partitions) in [
            ("floor.inbound", partitions),
            ("floor.events", partitions),
            ("floor.outbound", 1),
        ] {
            create(bootstrap, topic, partitions).await?;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let arrivals = receive(consumer(bootstrap, "floor.outbound", 1)?, &is_over);
        relay(bootstrap, partitions, &is_over)?;
        let floor = Self {
            inbound: producing(bootstrap).create()?,
            partitions,
            arrivals,
            is_over,
        };
        floor.warm_up()?;
        Ok(floor)
    }

    fn send(&self, index: u32) -> Result<()> {
        let mut payload = [7; BYTES];
        payload[..4].copy_from_slice(&index.to_le_bytes());
        let partition = i32::try_from(index % self.partitions)?;
        send(&self.inbound, "floor.inbound", partition, &payload);
        Ok(())
    }

    /// Until consumers stand at the ends of their partitions, what is sent passes them by.
    fn warm_up(&self) -> Result<()> {
        let began = now();
        while began.elapsed() < PATIENCE {
            self.send(WARM_UP)?;
            if self.arrivals.recv_timeout(POLL * 4).is_ok() {
                while self.arrivals.recv_timeout(POLL * 10).is_ok() {}
                return Ok(());
            }
        }
        anyhow::bail!("nothing came through three bare hops")
    }

    /// What messages took from the moments at which they should have been sent, and the share of the rate that was reached.
    pub(super) fn run(&self, rate: u32, lasting: Duration) -> Result<(Spread, f64)> {
        let pace = Pace::soon(rate, lasting);
        let achieved = pace.keep(|index| self.send(u32::try_from(index)?))?;
        let (mut latencies, mut left) = (Spread::new(), pace.count());
        while left > 0 {
            let (index, at) = self
                .arrivals
                .recv_timeout(PATIENCE)
                .context("messages are missing")?;
            if index != WARM_UP {
                let due = pace.moment(index.into());
                latencies.record(at.saturating_duration_since(due));
                left -= 1;
            }
        }
        Ok((latencies, achieved))
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn relay(bootstrap: &str, partitions: u32, is_over: &Arc<AtomicBool>) -> Result<()> {
    let inbound = consumer(bootstrap, "floor.inbound", partitions)?;
    let forward = Forward(producing(bootstrap).create()?);
    let events = ThreadedProducer::from_config_and_context(&producing(bootstrap), forward)?;
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            if let Some(Ok(message)) = inbound.poll(POLL) {
                let payload = message.payload().unwrap_or_default();
                send(&events, "floor.events", message.partition(), payload);
            }
        }
    });
    Ok(())
}

fn receive(outbound: BaseConsumer, is_over: &Arc<AtomicBool>) -> Receiver<(u32, Instant)> {
    let (arrived, arrivals) = channel();
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            if let Some(Ok(message)) = outbound.poll(POLL) {
                let index = message.payload().and_then(|payload| payload.first_chunk());
                let index = index.map(|bytes| u32::from_le_bytes(*bytes));
                let _ = arrived.send((index.unwrap_or(WARM_UP), now()));
            }
        }
    });
    arrivals
}
