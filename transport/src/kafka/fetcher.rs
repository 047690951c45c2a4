//! One fetching instance and its thread, which brings each record to the mailbox of its partition.
//!
//! librdkafka says that a partition is out of range, but its Rust client does not say which one: after such an error
//! the thread compares all its positions with what the log holds.

mod following;
mod batch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::Notify;

use super::instance::{Context, Shared};
use super::mailbox::Mailbox;
use super::questions::{self, Topic};
use crate::log::{ReadError, TopicPartition};
use batch::Batch;
use following::Following;

/// How long the thread waits for a record before it looks after its partitions.
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Fetcher {
    desk: Arc<Desk>,
}

/// What the thread and those who attach share.
struct Desk {
    consumer: BaseConsumer<Context>,
    following: Mutex<Following>,
    is_over: AtomicBool,
    freed: Arc<Notify>,
}

fn settings(shared: &Shared) -> ClientConfig {
    let mut settings = shared.settings();
    settings
        // Needed by `assign`; nothing joins a group without `subscribe`.
        .set("group.id", "xp")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Truncation and out-of-range must reach us.
        .set("auto.offset.reset", "error")
        // A stray transactional producer must not freeze us.
        .set("isolation.level", "read_uncommitted")
        .set("allow.auto.create.topics", "false")
        .set("check.crcs", "true")
        // A long poll wakes on append; a newly assigned partition waits behind it.
        .set("fetch.wait.max.ms", "50")
        .set("fetch.error.backoff.ms", "5")
        .set("fetch.queue.backoff.ms", "5")
        // The mailboxes hold what waits.
        .set("queued.max.messages.kbytes", "8192");
    settings
}

impl Fetcher {
    pub(super) fn start(name: &str, shared: &Arc<Shared>, freed: Arc<Notify>) -> KafkaResult<Self> {
        let context = Context::new(name, shared);
        let consumer = BaseConsumer::from_config_and_context(&settings(shared), context)?;
        let desk = Arc::new(Desk {
            consumer,
            following: Mutex::default(),
            is_over: AtomicBool::new(false),
            freed,
        });
        let thread = std::thread::Builder::new().name(format!("kafka {name}"));
        let fetching = Arc::clone(&desk);
        // The thread is the last to let the consumer go, which may wait.
        thread
            .spawn(move || fetching.run())
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { desk })
    }

    /// Fetches `at` into `mailbox`; false when this instance fetches it already.
    pub(super) fn attach(&self, at: &TopicPartition, mailbox: &Arc<Mailbox>) -> KafkaResult<bool> {
        self.desk.lock().add(&self.desk.consumer, at, mailbox)
    }

    /// Lets go what nobody reads any more.
    pub(super) fn look_after(&self) {
        self.desk.look_after();
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.desk.is_over.store(true, Ordering::Relaxed);
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Following> {
        self.following
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn look_after(&self) {
        if self.lock().look_after(&self.consumer) {
            self.freed.notify_waiters();
        }
    }

    fn run(&self) {
        let mut doubts = None;
        while !self.is_over.load(Ordering::Relaxed) {
            self.look_after();
            let (batch, error) = Batch::poll(&self.consumer, POLL);
            if !batch.is_empty() {
                self.consumer.context().shared().outage.ends();
                self.lock().deliver(&self.consumer, batch);
            }
            doubts = error.and_then(|error| self.doubts(&error)).or(doubts);
            if let Some(reason) = &doubts
                && self.examine(reason)
            {
                doubts = None;
            }
        }
    }

    /// What an error means for the partitions, in words; nothing when librdkafka goes on by itself.
    fn doubts(&self, error: &KafkaError) -> Option<String> {
        let said = self.consumer.context().said();
        match error {
            KafkaError::MessageConsumptionFatal(code) => {
                self.lock().fail_all(&format!("{code}: {said}"));
                None
            }
            KafkaError::MessageConsumption(code) if is_certain(*code) => {
                Some(format!("{code}: {said}"))
            }
            _ => None,
        }
    }

    /// Finds the partitions that an error was about; false when the brokers do not answer now.
    fn examine(&self, reason: &str) -> bool {
        let positions = self.lock().positions();
        let mut findings = Vec::new();
        for (at, mailbox) in positions {
            match self.judge(&at, &mailbox) {
                Ok(Some(error)) => findings.push((mailbox, error)),
                Ok(None) => {}
                Err(_) => return false,
            }
        }
        if findings.is_empty() {
            // Nothing is out of range now, yet something was: the log was cut and has grown again (R36).
            self.lock().fail_all(reason);
        }
        for (mailbox, error) in findings {
            mailbox.fail(error);
        }
        true
    }

    fn judge(&self, at: &TopicPartition, mailbox: &Mailbox) -> KafkaResult<Option<ReadError>> {
        match questions::topic(&self.consumer, &at.topic)? {
            Topic::Partitions(_) => {}
            Topic::Missing => return Ok(Some(ReadError::Unknown { at: at.clone() })),
            Topic::Refused(code) if is_certain(code) => {
                return Ok(Some(ReadError::Broken {
                    at: at.clone(),
                    reason: code.to_string(),
                }));
            }
            Topic::Refused(code) => return Err(KafkaError::MetadataFetch(code)),
        }
        let bounds = questions::bounds(&self.consumer, at)?;
        Ok(following::out_of_range(at, mailbox.expected(), bounds))
    }
}

/// Errors that waiting does not mend.
fn is_certain(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::LogTruncation
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnsupportedVersion
    )
}
