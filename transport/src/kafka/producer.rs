//! One producing instance: it clocks itself, one request in flight per broker; what is appended meanwhile goes into
//! the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, Statistics};

use super::acknowledgement::{Pending, Ticket};
use super::headers;
use super::instance::{Context, Shared};
use crate::log::{Record, TopicPartition};

/// How many records may wait in one instance. Beyond it appends fail at once, and are appended again (R12).
const WAITING_RECORDS_MAX: &str = "500000";
/// How many kibibytes may wait in one instance, beside that.
const WAITING_KIB_MAX: &str = "524288";

/// How long the thread waits for delivery reports before it looks whether the instance is over. The client library
/// spins through the last millisecond of each such wait: ten waits a second cost an idle node more than all else.
const POLL: Duration = Duration::from_secs(1);

/// A librdkafka producer and the thread that fetches its delivery reports.
pub(super) struct Producer {
    inner: Arc<BaseProducer<Reports>>,
    is_over: Arc<AtomicBool>,
}

/// Where delivery reports go.
pub(super) struct Reports(Context);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.stats(statistics);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, report: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        match report {
            Ok(message) => {
                self.0.shared().outage.ends();
                ticket.acknowledged(message.offset());
            }
            Err((error, _)) => ticket.failed(&reason(error)),
        }
    }
}

fn reason(error: &KafkaError) -> String {
    error
        .rdkafka_error_code()
        .map_or_else(|| error.to_string(), |code| code.to_string())
}

fn settings(shared: &Shared) -> ClientConfig {
    let mut settings = shared.settings();
    let timeout = shared.config().append_timeout.as_millis().to_string();
    settings
        .set("acks", "all")
        // Order and no repetition while one producer lives; safety is the log protocol's (R3, R10).
        .set("enable.idempotence", "true")
        .set("max.in.flight", "1")
        .set("linger.ms", "0")
        .set("message.timeout.ms", &timeout)
        .set("request.timeout.ms", "1500")
        .set("queue.buffering.max.messages", WAITING_RECORDS_MAX)
        .set("queue.buffering.max.kbytes", WAITING_KIB_MAX);
    settings
}

impl Producer {
    pub(super) fn new(name: &str, shared: &Arc<Shared>) -> KafkaResult<Self> {
        let context = Context::new(&format!("{name} producer"), shared);
        let inner = BaseProducer::from_config_and_context(&settings(shared), Reports(context))?;
        let inner = Arc::new(inner);
        let is_over = Arc::new(AtomicBool::new(false));
        let (polled, over) = (Arc::clone(&inner), Arc::clone(&is_over));
        let poll = move || {
            while !over.load(Ordering::Relaxed) {
                polled.poll(POLL);
            }
        };
        // The thread is the last to let the producer go, which may wait for librdkafka's own threads.
        let thread = std::thread::Builder::new().name(format!("kafka {name} p"));
        thread
            .spawn(poll)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { inner, is_over })
    }

    /// Whether librdkafka has given this instance up.
    pub(super) fn is_broken(&self) -> bool {
        self.inner.client().fatal_error().is_some()
    }

    /// Hands records over in order. After one that is not taken the rest is not tried: it would leave a gap.
    pub(super) fn append(&self, at: &TopicPartition, records: &[Record], pending: &Arc<Pending>) {
        let mut refused: Option<String> = None;
        for (index, record) in records.iter().enumerate() {
            let ticket = pending.ticket(index);
            match &refused {
                Some(reason) => ticket.failed(reason),
                None => refused = self.send(at, record, ticket),
            }
        }
    }

    /// Why it was not taken, if it was not.
    fn send(&self, at: &TopicPartition, record: &Record, ticket: Box<Ticket>) -> Option<String> {
        let Ok(partition) = i32::try_from(at.partition.0) else {
            ticket.failed("Kafka counts partitions in 31 bits");
            return Some("an earlier record was not taken".to_owned());
        };
        let mut message: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(&at.topic, ticket).partition(partition);
        // Empty parts are null, as other readers expect it: an empty value is no JSON.
        message.key = some(&record.key);
        message.payload = some(&record.value);
        message.headers = headers::of(record);
        let (error, message) = self.inner.send(message).err()?;
        let reason = reason(&error);
        message.delivery_opaque.failed(&reason);
        Some(reason)
    }

    /// Makes the instance know a topic's leaders before the first record needs them.
    pub(super) fn warm_up(&self, topic: &str, timeout: Duration) -> KafkaResult<()> {
        let metadata = self.inner.client().fetch_metadata(Some(topic), timeout);
        metadata.map(drop)
    }

    pub(super) fn flush(&self, timeout: Duration) {
        // What is not acknowledged by then has failed, and its caller hears so.
        let _ = self.inner.flush(timeout);
    }
}

fn some(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

impl Drop for Producer {
    /// What is not acknowledged has failed, and its callers hear so now and not when the thread looks.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}
