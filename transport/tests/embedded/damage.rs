//! A flipped bit in what was safe is a clear error that names file and position, and never a cut.

use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xp_protocol::Offset;

use crate::rig::{
    check_holds, copy, events, fill, flip, index, length, open, read_all, record, segment,
    segments, small_segments, topic_dir,
};

const HEAD_BYTES: u64 = 44 + 2 * 8 + 4;

#[tokio::test]
async fn a_flipped_bit_before_the_last_write_stops_the_opening_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), events()).unwrap();
    fill(&log, 0, 0..30).await;
    let last_write = length(&segment(dir.path(), 0));
    fill(&log, 0, 30..31).await;
    let written = copy(dir.path());
    for seed in 0..150 {
        let harmed = copy(written.path());
        let path = segment(harmed.path(), 0);
        let position = ChaCha8Rng::seed_from_u64(seed).random_range(HEAD_BYTES..last_write);
        eprintln!("seed {seed}: a bit flips at {position}");
        flip(&path, position);
        let before = fs::read(&path).unwrap();
        let error = open(harmed.path(), events())
            .err()
            .expect("the damage must be noticed")
            .to_string();
        let (_, after) = error
            .split_once(&format!("{} is damaged at byte ", path.display()))
            .expect(&error);
        let named: u64 = after.split(':').next().unwrap().parse().unwrap();
        assert!(named <= position && position < named + 300, "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "nothing may be cut");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_sealed_segment_stops_its_readers_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments(1500)).unwrap();
    fill(&log, 0, 0..20).await;
    fill(&log, 1, 0..40).await;
    drop(log);
    assert!(segments(dir.path()) > 3);
    // The first segment holds records of partition 0 only.
    let path = segment(dir.path(), 0);
    flip(&path, length(&path) - 10);
    let log = open(dir.path(), small_segments(1500)).unwrap();
    let (found, error) = read_all(&log, 0).await;
    let error = error.unwrap().to_string();
    assert!(error.contains("main.events/0 cannot be read"), "{error}");
    assert!(
        error.contains(&format!("{} is damaged at byte", path.display())),
        "{error}"
    );
    assert!(
        found
            .iter()
            .all(|stored| stored.record == record(stored.offset.0))
    );
    check_holds(&log, 1, 0..40).await;
}

/// A log in several segments, of two partitions, closed.
async fn sealed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small_segments(1500)).unwrap();
    for number in 0..40 {
        fill(&log, 0, number..number + 1).await;
        fill(&log, 1, number..number + 1).await;
    }
    drop(log);
    assert!(segments(dir.path()) > 3);
    dir
}

async fn check_is_whole(dir: &Path) {
    let log = open(dir, small_segments(1500)).unwrap();
    check_holds(&log, 0, 0..40).await;
    check_holds(&log, 1, 0..40).await;
}

#[tokio::test]
async fn a_missing_index_is_made_again() {
    let dir = sealed().await;
    let before = fs::read(index(dir.path(), 0)).unwrap();
    for number in 0..segments(dir.path()) as u64 {
        fs::remove_file(index(dir.path(), number)).unwrap();
    }
    check_is_whole(dir.path()).await;
    assert_eq!(fs::read(index(dir.path(), 0)).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_index_is_made_again_wherever_the_damage_is() {
    let dir = sealed().await;
    let before = fs::read(index(dir.path(), 1)).unwrap();
    for position in 0..before.len() as u64 {
        flip(&index(dir.path(), 1), position);
        check_is_whole(dir.path()).await;
        assert_eq!(
            fs::read(index(dir.path(), 1)).unwrap(),
            before,
            "byte {position}"
        );
    }
    fs::write(index(dir.path(), 1), b"").unwrap();
    check_is_whole(dir.path()).await;
}

#[tokio::test]
async fn a_sealed_segment_that_lost_its_end_is_damage_even_without_its_index() {
    let dir = sealed().await;
    let path = segment(dir.path(), 0);
    let bytes = fs::read(&path).unwrap();
    // Cut exactly behind a record, so that every checksum holds.
    let magic = b"XPB\x01";
    let last = (0..bytes.len())
        .rev()
        .find(|at| bytes[*at..].starts_with(magic))
        .unwrap();
    fs::write(&path, &bytes[..last]).unwrap();
    fs::remove_file(index(dir.path(), 0)).unwrap();
    let log = open(dir.path(), small_segments(1500)).unwrap();
    for partition in [0, 1] {
        let error = read_all(&log, partition)
            .await
            .1
            .expect("a record is lost")
            .to_string();
        assert!(
            error.contains("the segment ends before the next one begins"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_missing_segment_or_a_damaged_head_or_meta_file_is_named() {
    let dir = sealed().await;
    let harm = |harm: &dyn Fn(&Path), named: &str| {
        let harmed = copy(dir.path());
        harm(harmed.path());
        let error = open(harmed.path(), small_segments(1500))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(named), "{error}");
    };
    let last = segments(dir.path()) as u64 - 1;
    harm(
        &|dir| fs::remove_file(segment(dir, 1)).unwrap(),
        "00001.log is damaged at byte 0: this segment is missing",
    );
    harm(
        &|dir| flip(&segment(dir, last), 30),
        "the segment's head is not what was written",
    );
    harm(
        &|dir| flip(&topic_dir(dir).join("meta"), 40),
        "meta is damaged",
    );
    harm(
        &|dir| fs::remove_file(topic_dir(dir).join("meta")).unwrap(),
        "meta is damaged at byte 0: it is missing",
    );
}

/// Records may hold anything, also what looks like the log's own bytes.
#[tokio::test]
async fn a_record_that_holds_a_whole_segment_is_never_taken_for_the_logs_own() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), events()).unwrap();
    fill(&log, 0, 0..5).await;
    let copied = fs::read(segment(dir.path(), 0)).unwrap();
    let value = xp_transport::Record {
        value: copied.into(),
        ..Default::default()
    };
    let at = crate::rig::at(0);
    let offsets = crate::rig::soon(xp_transport::Log::append(&log, &at, vec![value])).await;
    assert_eq!(offsets[0].as_ref().unwrap(), &Offset(5));
    // The batch's head is torn; the copies in its value must not count as batches that follow.
    let torn = copy(dir.path());
    let path = segment(torn.path(), 0);
    let start = fs::read(&path)
        .unwrap()
        .windows(4)
        .rposition(|window| window == b"XPB\x01")
        .unwrap();
    assert!(start > 0);
    let reopened = {
        let bytes = fs::read(&path).unwrap();
        let outer = (HEAD_BYTES as usize..bytes.len())
            .filter(|at| bytes[*at..].starts_with(b"XPB\x01"))
            .nth(5)
            .unwrap();
        flip(&path, outer as u64 + 5);
        open(torn.path(), events()).unwrap()
    };
    check_holds(&reopened, 0, 0..5).await;
}
