//! One fetching instance and its thread, which brings each record to the mailbox of its partition.
//!
//! librdkafka says that a partition is out of range or unknown, but its Rust client does not say which one: after such an
//! error the thread compares all its positions with what the log holds.

mod following;
mod doubts;
mod batch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
use doubts::{Doubts, Suspicion};
use following::Following;

/// How long the thread waits for a record before it looks after its partitions.
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Fetcher {
    inner: Arc<Inner>,
}

/// What the thread and those who attach share.
struct Inner {
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
        let inner = Arc::new(Inner {
            consumer,
            following: Mutex::default(),
            is_over: AtomicBool::new(false),
            freed,
        });
        let thread = std::thread::Builder::new().name(format!("kafka {name}"));
        let fetching = Arc::clone(&inner);
        // The thread is the last to let the consumer go, which may wait.
        thread
            .spawn(move || fetching.run())
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { inner })
    }

    /// Fetches `at` into `mailbox`; false when this instance fetches it already.
    pub(super) fn attach(&self, at: &TopicPartition, mailbox: &Arc<Mailbox>) -> KafkaResult<bool> {
        self.inner.lock().add(&self.inner.consumer, at, mailbox)
    }

    /// Lets go what nobody reads any more.
    pub(super) fn look_after(&self) {
        self.inner.look_after();
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::Relaxed);
    }
}

impl Inner {
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

    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own, which nobody gives the time"
    )]
    fn run(&self) {
        let began = Instant::now();
        let mut doubts = Doubts::default();
        while !self.is_over.load(Ordering::Relaxed) {
            self.look_after();
            let (batch, error) = Batch::poll(&self.consumer, POLL);
            if !batch.is_empty() {
                self.consumer.context().shared().outage.ends();
                self.lock().deliver(&self.consumer, batch);
            }
            if let Some(suspicion) = error.and_then(|error| self.suspicion(&error)) {
                doubts.raise(suspicion);
            }
            let now = began.elapsed();
            if let Some(suspicion) = doubts.due(now) {
                self.examine(&suspicion, &mut doubts, now);
            }
        }
    }

    /// What an error may mean for the partitions; nothing when librdkafka goes on by itself.
    fn suspicion(&self, error: &KafkaError) -> Option<Suspicion> {
        let said = self.consumer.context().said();
        match error {
            KafkaError::MessageConsumptionFatal(code) => {
                self.lock().fail_all(&format!("{code}: {said}"));
                None
            }
            KafkaError::MessageConsumption(code) => Suspicion::of(*code, &said),
            _ => None,
        }
    }

    /// Finds the partitions that an error was about. While brokers do not answer, or a topic may only be unknown to one
    /// of them, it is asked again.
    fn examine(&self, suspicion: &Suspicion, doubts: &mut Doubts, now: Duration) {
        let positions = self.lock().positions();
        let (mut found, mut waits) = (false, false);
        for (at, mailbox) in positions {
            match self.judge(&at, &mailbox) {
                Err(_) => return,
                Ok(Finding::Fine) => {
                    doubts.is_there(&at.topic);
                    if *suspicion == Suspicion::Unknown {
                        self.lock().begin_anew(&self.consumer, &at);
                    }
                }
                Ok(Finding::Missing) if !doubts.is_gone(&at.topic, now) => waits = true,
                Ok(Finding::Missing) => {
                    found = true;
                    mailbox.fail(ReadError::Unknown { at });
                }
                Ok(Finding::Broken(error)) => {
                    found = true;
                    mailbox.fail(error);
                }
            }
        }
        if waits {
            return;
        }
        if let (Suspicion::Broken(reason), false) = (suspicion, found) {
            // Nothing is out of range now, yet something was: the log was cut and has grown again (R36).
            self.lock().fail_all(reason);
        }
        doubts.settle();
    }

    fn judge(&self, at: &TopicPartition, mailbox: &Mailbox) -> KafkaResult<Finding> {
        let broken = |code: RDKafkaErrorCode| ReadError::Broken {
            at: at.clone(),
            reason: code.to_string(),
        };
        match questions::topic(&self.consumer, &at.topic)? {
            Topic::Partitions(count) if at.partition.0 < count => {}
            Topic::Partitions(_) | Topic::Missing => return Ok(Finding::Missing),
            Topic::Refused(code) if Suspicion::of(code, "").is_some() => {
                return Ok(Finding::Broken(broken(code)));
            }
            Topic::Refused(code) => return Err(KafkaError::MetadataFetch(code)),
        }
        let bounds = questions::bounds(&self.consumer, at)?;
        let error = following::out_of_range(at, mailbox.expected(), bounds);
        Ok(error.map_or(Finding::Fine, Finding::Broken))
    }
}

/// What a partition turns out to be.
enum Finding {
    Fine,
    Missing,
    Broken(ReadError),
}
