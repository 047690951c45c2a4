//! Golden files: what version 1 wrote, byte by byte, and that it can still be read.

use std::fs;
use std::path::{Path, PathBuf};

use xp_transport::embedded::Compaction;

use crate::rig::{
    append, check_holds, events, index, open, segment, segments, small_segments, soon, topic_dir,
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/embedded/golden/v1")
}

/// The golden file, and its name in a topic's directory.
const FILES: [(&str, &str); 3] = [
    ("meta", "meta"),
    ("segment", "00000000000000000000.log"),
    ("index", "00000000000000000000.index"),
];

/// Three records, each a write of its own, then a clean close.
async fn write(dir: &Path) {
    let log = open(dir, events()).unwrap();
    for (partition, number) in [(0, 0), (1, 0), (0, 1)] {
        append(&log, partition, number).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_written_today_is_what_the_golden_files_hold() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path()).await;
    for (golden_name, name) in FILES {
        let written = fs::read(topic_dir(dir.path()).join(name)).unwrap();
        if std::env::var_os("XP_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(golden()).unwrap();
            fs::write(golden().join(golden_name), &written).unwrap();
        }
        assert_eq!(
            written,
            fs::read(golden().join(golden_name)).unwrap(),
            "{name}: a changed format needs a new version"
        );
    }
}

#[tokio::test]
async fn what_version_1_wrote_can_be_read_and_continued() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(topic_dir(dir.path())).unwrap();
    for (golden_name, name) in FILES {
        fs::copy(golden().join(golden_name), topic_dir(dir.path()).join(name)).unwrap();
    }
    let log = open(dir.path(), events()).unwrap();
    check_holds(&log, 0, 0..2).await;
    check_holds(&log, 1, 0..1).await;
    append(&log, 0, 2).await.unwrap();
    check_holds(&log, 0, 0..3).await;
    assert!(segment(dir.path(), 0).exists() && index(dir.path(), 0).exists());
}

/// What compaction leaves: records at their offsets, and holes.
#[tokio::test]
async fn what_is_compacted_today_is_what_the_golden_file_holds() {
    let dir = tempfile::tempdir().unwrap();
    let small = small_segments(200);
    let log = open(dir.path(), small.clone()).unwrap();
    for number in 0..8 {
        append(&log, 0, number).await.unwrap();
    }
    append(&log, 1, 0).await.unwrap();
    append(&log, 1, 1).await.unwrap();
    drop(log);
    let last = segments(dir.path()) as u64 - 2;
    let compaction = Compaction { tombstones_ms: 0 };
    let log = open(dir.path(), small.compacted(compaction)).unwrap();
    soon(async {
        while segments(dir.path()) > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(log);
    let written = fs::read(segment(dir.path(), last)).unwrap();
    let golden = golden().join("compacted");
    if std::env::var_os("XP_WRITE_GOLDEN").is_some() {
        fs::write(&golden, &written).unwrap();
    }
    let was = fs::read(&golden).unwrap();
    assert_eq!(written, was, "a changed format needs a new version");
}
