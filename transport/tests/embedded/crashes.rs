//! Power loss and `kill -9`, played on copies of the directory: nothing acknowledged is lost, whatever
//! is left of what was not.

use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xp_protocol::Offset;
use xp_transport::{Log, Record};

use crate::rig::{
    append, at, check_holds, copy, events, fill, flip, index, length, open, record, segment,
    segments, small_segments, soon, topic_dir,
};

/// A log of 40 records in one partition, and how long its only segment was after each.
struct Written {
    dir: tempfile::TempDir,
    lengths: Vec<u64>,
}

impl Written {
    /// The directory is copied before the log is closed, so no mark of a clean end is in it.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), events()).unwrap();
        let mut lengths = vec![length(&segment(dir.path(), 0))];
        for number in 0..40 {
            append(&log, 0, number).await.unwrap();
            lengths.push(length(&segment(dir.path(), 0)));
        }
        Self {
            dir: copy(dir.path()),
            lengths,
        }
    }

    /// How many records were acknowledged when the segment had `length` bytes.
    fn acknowledged(&self, length: u64) -> u64 {
        (self.lengths.partition_point(|end| *end <= length) - 1) as u64
    }

    fn end(&self) -> u64 {
        *self.lengths.last().unwrap()
    }

    /// Lets `harm` happen to a copy, then checks that it opens with exactly `expected` records and
    /// can be appended to and opened again.
    async fn check(&self, expected: u64, harm: impl FnOnce(&Path)) {
        let dir = copy(self.dir.path());
        harm(&segment(dir.path(), 0));
        for _ in 0..2 {
            let log = open(dir.path(), events()).unwrap();
            check_holds(&log, 0, 0..expected).await;
        }
        let log = open(dir.path(), events()).unwrap();
        assert_eq!(append(&log, 0, expected).await.unwrap(), Offset(expected));
        check_holds(&log, 0, 0..expected + 1).await;
    }
}

fn cut(path: &Path, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn overwrite(path: &Path, position: u64, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    let position = usize::try_from(position).unwrap();
    content.truncate(content.len().max(position));
    content.resize(content.len().max(position + bytes.len()), 0);
    content[position..position + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}

#[tokio::test]
async fn a_segment_cut_at_any_byte_of_its_last_records_keeps_all_before() {
    let written = Written::new().await;
    for length in written.lengths[37]..=written.end() {
        written
            .check(written.acknowledged(length), |path| cut(path, length))
            .await;
    }
}

#[tokio::test]
async fn a_segment_cut_anywhere_and_filled_with_anything_keeps_all_before() {
    let written = Written::new().await;
    for seed in 0..150 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let length = rng.random_range(written.lengths[0]..=written.end());
        let mut garbage = vec![0; rng.random_range(0..300)];
        if rng.random_bool(0.5) {
            rng.fill(&mut garbage[..]);
        }
        eprintln!(
            "seed {seed}: cut at {length}, {} bytes of garbage",
            garbage.len()
        );
        let harm = |path: &Path| {
            cut(path, length);
            overwrite(path, length, &garbage);
        };
        written.check(written.acknowledged(length), harm).await;
    }
}

/// One group of many batches is written but not synced: any of its pages may be missing, also with
/// later ones there.
#[tokio::test]
async fn an_unsynced_write_of_which_only_later_pages_survived_is_cut_and_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), events()).unwrap();
    fill(&log, 0, 0..5).await;
    let synced = length(&segment(dir.path(), 0));
    // Large records of one call become a batch each, all in one write.
    let large: Vec<_> = (1..7)
        .map(|fill| Record {
            value: vec![fill; 300_000].into(),
            ..Record::default()
        })
        .collect();
    soon(log.append(&at(0), large)).await.remove(5).unwrap();
    let left = copy(dir.path());
    let path = segment(left.path(), 0);
    for seed in 0..20 {
        let left = copy(left.path());
        let path = segment(left.path(), 0);
        let lost = ChaCha8Rng::seed_from_u64(seed).random_range(synced..length(&path) - 4096);
        eprintln!("seed {seed}: a page is lost at {lost}");
        overwrite(&path, lost, &[0; 4096]);
        let log = open(left.path(), events()).unwrap();
        let whole = (lost - synced) / 300_060;
        let bounds = soon(log.bounds(&at(0))).await.unwrap();
        assert_eq!(bounds.next, Offset(5 + whole));
    }
    // The same page lost from what a later write proves to be synced is damage.
    soon(log.append(&at(0), vec![record(0)]))
        .await
        .remove(0)
        .unwrap();
    fs::copy(segment(dir.path(), 0), &path).unwrap();
    overwrite(&path, synced + 1000, &[0; 4096]);
    let error = open(left.path(), events()).err().unwrap().to_string();
    assert!(
        error.contains(&format!("{} is damaged at byte {synced}", path.display())),
        "{error}"
    );
}

#[tokio::test]
async fn a_crash_between_any_two_steps_of_beginning_a_segment_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments(1500)).unwrap();
    fill(&log, 0, 0..60).await;
    let last = segments(dir.path()) as u64 - 1;
    assert!(last >= 2, "the log has rolled");
    let records_of_last = 60 - soon(first_of(&dir, last)).await;

    // The next segment was begun, but its name had not appeared, or only half of it was written.
    let begun = copy(dir.path());
    let next = fs::read(segment(begun.path(), last)).unwrap();
    fs::write(
        segment(begun.path(), last + 1).with_extension("log.unfinished"),
        &next[..20],
    )
    .unwrap();
    fs::write(
        index(begun.path(), last).with_extension("index.unfinished"),
        b"half",
    )
    .unwrap();
    let reopened = open(begun.path(), small_segments(1500)).unwrap();
    check_holds(&reopened, 0, 0..60).await;
    assert!(fs::read_dir(topic_dir(begun.path())).unwrap().all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("unfinished")
    }));
    drop(reopened);

    // The next segment is there and empty, and the sealed one has no index yet.
    let sealed = copy(dir.path());
    cut(&segment(sealed.path(), last), head_bytes());
    let _ = fs::remove_file(index(sealed.path(), last - 1));
    let reopened = open(sealed.path(), small_segments(1500)).unwrap();
    check_holds(&reopened, 0, 0..60 - records_of_last).await;
    fill(&reopened, 0, 60 - records_of_last..70).await;
    check_holds(&reopened, 0, 0..70).await;
}

/// A head with two partitions.
const fn head_bytes() -> u64 {
    44 + 2 * 8 + 4
}

/// The offset at which a segment begins, from the copy's own words: its head.
async fn first_of(dir: &tempfile::TempDir, number: u64) -> u64 {
    let bytes = fs::read(segment(dir.path(), number)).unwrap();
    u64::from_le_bytes(bytes[44..52].try_into().unwrap())
}

#[tokio::test]
async fn a_new_topic_whose_first_segment_was_never_made_opens() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), events()).unwrap());
    fs::remove_file(segment(dir.path(), 0)).unwrap();
    fs::remove_file(index(dir.path(), 0)).unwrap();
    let log = open(dir.path(), events()).unwrap();
    fill(&log, 0, 0..3).await;
    check_holds(&log, 0, 0..3).await;
}

#[tokio::test]
async fn the_end_of_a_log_that_was_closed_cannot_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), events()).unwrap();
    fill(&log, 0, 0..3).await;
    drop(log);
    let path = segment(dir.path(), 0);
    let end = length(&path);
    let short = copy(dir.path());
    cut(&segment(short.path(), 0), end - 1);
    let error = open(short.path(), events()).err().unwrap().to_string();
    assert!(
        error.contains("complete when the log was closed"),
        "{error}"
    );
    flip(&path, end - 1);
    let error = open(dir.path(), events()).err().unwrap().to_string();
    assert!(
        error.contains("complete when the log was closed"),
        "{error}"
    );
}
