//! A durable log in a directory, for one process.
//!
//! ```text
//! DIR/lock                  held while a process has the log open
//! DIR/TOPIC/meta            identity and partition count, for ever
//! DIR/TOPIC/00…07.log       a segment: the batches of all partitions in the order they were synced
//! DIR/TOPIC/00…07.index     where each partition's batches lie in it; made again when missing
//! ```
//! All partitions of a topic share one journal, so that one sync commits whatever arrived during the
//! last. Topics in memory have no files.

mod inspect;
mod opening;
mod reader;
mod journal;
mod compaction;
mod rewriting;
mod group;
mod topic;
mod queue;
mod partition;
mod tail;
mod segment;
mod index;
mod scan;
mod head;
mod meta;
mod lock;
mod config;
mod error;
mod files;
mod frame;
mod bytes;
mod machine;

pub use config::{Cleanup, Compaction, Config, Durability, Retention, TopicConfig};
pub use error::OpenError;
pub use inspect::{Inspection, inspect, topics};
pub use machine::{Machine, ThisMachine};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use xp_protocol::{LogIdentity, Offset};

use crate::log::{
    Acknowledged, AppendError, Bounds, Eventually, Log, ReadError, Reader, Record, TopicPartition,
};
use lock::DirLock;
use topic::Topic;

/// An open log. Clones share it; it closes with [`Embedded::close`] or with the last clone.
#[derive(Clone)]
pub struct Embedded {
    open: Arc<Open>,
}

struct Open {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
    journals: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<DirLock>>,
}

impl Embedded {
    /// Opens the log in `dir`, making what is missing.
    ///
    /// # Errors
    /// When another process has it, when it cannot be read or written, when something that was safe is
    /// damaged, or when the configuration contradicts what is there. The message says what to do.
    pub fn open(dir: impl AsRef<Path>, config: Config) -> Result<Self, OpenError> {
        Self::open_on(dir, config, Arc::new(ThisMachine::default()))
    }

    /// As [`Self::open`], on another machine: with [`ThisMachine::with_clock`] for a clock that can be
    /// advanced, with one of your own for tests of what disks do.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(
        dir: impl AsRef<Path>,
        config: Config,
        machine: Arc<dyn Machine>,
    ) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        config.check()?;
        crate::private::make_dir(dir).map_err(OpenError::io("make", dir))?;
        let lock = DirLock::take(dir)?;
        // Every topic opens before any journal starts, so that a failure leaves no thread behind.
        let mut topics = BTreeMap::new();
        let mut journals = Vec::new();
        for config in config.topics {
            let (topic, journal) = open_topic(dir, config, &machine)?;
            topics.insert(Arc::clone(&topic.config.name), topic);
            journals.extend(journal);
        }
        let journals = journals.into_iter().map(start).collect::<Result<_, _>>()?;
        let open = Open {
            topics,
            journals: Mutex::new(journals),
            lock: Mutex::new(Some(lock)),
        };
        Ok(Self {
            open: Arc::new(open),
        })
    }

    /// Closes the log for every clone: what was appended before is written, synced and acknowledged,
    /// later appends and all readers get an error, and the directory is free. Blocks for a sync.
    pub fn close(&self) {
        self.open.close();
    }

    fn topic(&self, at: &TopicPartition) -> Option<&Arc<Topic>> {
        let topic = self.open.topics.get(&at.topic)?;
        topic.partition(at.partition).map(|_| topic)
    }
}

impl Open {
    fn close(&self) {
        self.topics.values().for_each(|topic| topic.close());
        let journals =
            std::mem::take(&mut *self.journals.lock().unwrap_or_else(PoisonError::into_inner));
        for journal in journals {
            if journal.join().is_err() {
                tracing::error!(
                    "a journal panicked; what it had acknowledged is safe. This is a bug: report it, with what is above"
                );
            }
        }
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

type OpenTopic = (Arc<Topic>, Option<journal::Journal>);

fn open_topic(
    dir: &Path,
    config: TopicConfig,
    machine: &Arc<dyn Machine>,
) -> Result<OpenTopic, OpenError> {
    let dir = dir.join(&*config.name);
    match config.durability {
        Durability::Fsync => {
            let (topic, journal) = opening::open_durable(dir, config, Arc::clone(machine))?;
            Ok((topic, Some(journal)))
        }
        Durability::Memory if dir.join(meta::NAME).exists() => Err(OpenError::Config {
            topic: config.name.to_string(),
            what: "is configured to be in memory and has records on disk: make it durable again, or remove its directory",
        }),
        Durability::Memory => Ok((
            Arc::new(Topic::in_memory(config, Arc::clone(machine))),
            None,
        )),
    }
}

fn start(journal: journal::Journal) -> Result<JoinHandle<()>, OpenError> {
    let dir = journal.dir().to_owned();
    thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || journal.run())
        .map_err(OpenError::io("start a thread for", &dir))
}

fn unknown<T: Send + 'static>(at: &TopicPartition) -> Eventually<Result<T, ReadError>> {
    let error = ReadError::Unknown { at: at.clone() };
    Box::pin(async move { Err(error) })
}

fn now<T: Send + 'static>(value: T) -> Eventually<T> {
    Box::pin(async move { value })
}

impl Log for Embedded {
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged {
        match self.topic(at) {
            Some(topic) => topic.append(at.partition, records),
            None => {
                let error = AppendError::Broken {
                    at: at.clone(),
                    reason:
                        "there is no such topic or partition; name it in the log's configuration"
                            .to_owned(),
                };
                now(vec![Err(error); records.len()])
            }
        }
    }

    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader> {
        match self.topic(at) {
            Some(topic) => Box::new(reader::Follower::new(Arc::clone(topic), at.partition, from)),
            None => Box::new(reader::Nowhere(at.clone())),
        }
    }

    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>> {
        match self
            .topic(at)
            .and_then(|topic| topic.partition(at.partition))
        {
            Some(partition) => now(Ok(partition.bounds())),
            None => unknown(at),
        }
    }

    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>> {
        match self.topic(at) {
            Some(topic) => now(Ok(topic.identity)),
            None => unknown(at),
        }
    }

    fn partitions(&self, topic: &str) -> Eventually<Option<u32>> {
        now(self
            .open
            .topics
            .get(topic)
            .map(|topic| topic.config.partitions))
    }

    fn release(&self, at: &TopicPartition, before: Offset) {
        if let Some(topic) = self.topic(at) {
            topic.release(at.partition, before);
        }
    }
}
