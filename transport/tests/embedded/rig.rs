//! A directory, a machine that fails when told to, and short words for what the tests do.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use uuid::Uuid;
use xp_protocol::{LogIdentity, Offset, PartitionId, TimeMs};
use xp_transport::embedded::{Config, Embedded, Machine, OpenError, ThisMachine, TopicConfig};
use xp_transport::{AppendError, Clock, Log, ReadError, Record, Stored, TopicPartition};

pub(crate) const EVENTS: &str = "main.events";
pub(crate) const START: TimeMs = TimeMs(1_700_000_000_000);

/// Files are real; the clock stands still, every identity is the same, and disks fail on demand.
pub(crate) struct Rigged {
    pub(crate) clock: Clock,
    /// How many bytes can still be written.
    pub(crate) space: AtomicUsize,
    pub(crate) is_read_only: AtomicBool,
    pub(crate) syncs_fail: AtomicBool,
    files: ThisMachine,
}

impl Rigged {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::fixed(START),
            space: AtomicUsize::new(usize::MAX),
            is_read_only: AtomicBool::new(false),
            syncs_fail: AtomicBool::new(false),
            files: ThisMachine::default(),
        })
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.is_read_only.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }
}

impl Machine for Rigged {
    fn now(&self) -> TimeMs {
        self.clock.now()
    }

    fn fresh_identity(&self) -> LogIdentity {
        LogIdentity(Uuid::from_u128(0x6a6b_0c2e_0f5d_4c0e_8f64_8d8c_3f1f_0a11))
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.check_writable()?;
        self.files.create(path)
    }

    fn write_at(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        self.check_writable()?;
        let space = self.space.load(Ordering::SeqCst);
        let fitting = bytes.len().min(space);
        self.files.write_at(file, &bytes[..fitting], position)?;
        if fitting < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if space != usize::MAX {
            self.space.fetch_sub(fitting, Ordering::SeqCst);
        }
        Ok(())
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        // Tests of crashes cut files themselves, so nothing here waits for a disk.
        if self.syncs_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("the drive reports an error"));
        }
        Ok(())
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        self.files.cut(file, length)
    }
}

pub(crate) fn one_topic(config: TopicConfig) -> Config {
    Config {
        topics: vec![config],
    }
}

/// `main.events` with two partitions, nothing of it served from memory.
pub(crate) fn events() -> TopicConfig {
    TopicConfig {
        tail_bytes: 0,
        ..TopicConfig::durable(EVENTS, 2)
    }
}

/// The same in segments of about `segment_bytes`.
pub(crate) fn small_segments(segment_bytes: u64) -> TopicConfig {
    TopicConfig {
        segment_bytes,
        ..events()
    }
}

pub(crate) fn open(dir: &Path, config: TopicConfig) -> Result<Embedded, OpenError> {
    Embedded::open_on(dir, one_topic(config), Rigged::new())
}

pub(crate) fn at(partition: u32) -> TopicPartition {
    TopicPartition {
        topic: EVENTS.into(),
        partition: PartitionId(partition),
    }
}

pub(crate) fn record(number: u64) -> Record {
    Record {
        key: Bytes::from_static(b"board/1"),
        header: Bytes::from(number.to_le_bytes().to_vec()),
        value: Bytes::from(format!(
            "record {number} {}",
            "x".repeat((number % 50) as usize)
        )),
        ..Record::default()
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("it should have happened long ago")
}

pub(crate) async fn append(
    log: &Embedded,
    partition: u32,
    number: u64,
) -> Result<Offset, AppendError> {
    soon(log.append(&at(partition), vec![record(number)]))
        .await
        .remove(0)
}

/// Appends `record(n)` at offset n, one sync each.
pub(crate) async fn fill(log: &Embedded, partition: u32, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(
            append(log, partition, number).await.unwrap(),
            Offset(number)
        );
    }
}

/// Everything in a partition that can be read, and what stopped it before the end.
pub(crate) async fn read_all(log: &Embedded, partition: u32) -> (Vec<Stored>, Option<ReadError>) {
    let bounds = soon(log.bounds(&at(partition))).await.unwrap();
    let mut reader = log.read(&at(partition), bounds.first);
    let mut found: Vec<Stored> = Vec::new();
    while found.last().map_or(bounds.first, |last| last.offset.next()) < bounds.next {
        match soon(reader.next()).await {
            Ok(batch) => found.extend(batch),
            Err(error) => return (found, Some(error)),
        }
    }
    (found, None)
}

/// Checks that a partition holds exactly `record(first)` … `record(next - 1)`, each at its offset.
pub(crate) async fn check_holds(log: &Embedded, partition: u32, numbers: std::ops::Range<u64>) {
    let (found, error) = read_all(log, partition).await;
    assert!(error.is_none(), "{}", error.unwrap());
    let expected = numbers.map(|number| (Offset(number), record(number)));
    assert!(
        found
            .into_iter()
            .map(|stored| (stored.offset, stored.record))
            .eq(expected)
    );
}

pub(crate) fn topic_dir(dir: &Path) -> PathBuf {
    dir.join(EVENTS)
}

pub(crate) fn segment(dir: &Path, number: u64) -> PathBuf {
    topic_dir(dir).join(format!("{number:020}.log"))
}

pub(crate) fn index(dir: &Path, number: u64) -> PathBuf {
    topic_dir(dir).join(format!("{number:020}.index"))
}

/// How many segment files there are.
pub(crate) fn segments(dir: &Path) -> usize {
    let names = fs::read_dir(topic_dir(dir)).unwrap();
    names
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|end| end == "log")
        })
        .count()
}

/// The directory as a power loss at this moment would leave it, were everything written on disk.
pub(crate) fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(topic_dir(to.path())).unwrap();
    for entry in fs::read_dir(topic_dir(from)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), topic_dir(to.path()).join(entry.file_name())).unwrap();
    }
    to
}

pub(crate) fn flip(path: &Path, position: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(position).unwrap()] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
