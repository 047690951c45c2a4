//! Directories and configurations that do not open, and the message of each.

use std::env;
use std::fs;
use std::process::{Command, id};

use xp_transport::embedded::{Config, Embedded, OpenError, TopicConfig};

use crate::rig::{EVENTS, events, one_topic, open, segment, topic_dir};

const DIR: &str = "XP_TEST_OPEN_THIS_DIRECTORY";

#[test]
fn a_directory_opens_once_in_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), events()).unwrap();
    let error = open(dir.path(), events()).err().unwrap();
    assert!(
        matches!(error, OpenError::Locked { holder, .. } if holder == Some(id())),
        "{error}"
    );
    drop(log);
    open(dir.path(), events()).unwrap();
}

/// Does nothing by itself: `another_process_is_refused_…` calls it in a process of its own.
#[test]
fn as_another_process() {
    if let Ok(dir) = env::var(DIR) {
        let error = Embedded::open(dir, one_topic(events())).err().unwrap();
        eprintln!("REFUSED: {error}");
    }
}

#[test]
fn another_process_is_refused_and_told_who_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path(), events()).unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "refusals::as_another_process", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = format!(
        "REFUSED: {} is in use by process {}: stop that process",
        dir.path().display(),
        id()
    );
    assert!(
        output.status.success() && said.contains(&expected),
        "{said}"
    );
}

fn error(config: Config) -> String {
    let dir = tempfile::tempdir().unwrap();
    Embedded::open(dir.path(), config)
        .err()
        .unwrap()
        .to_string()
}

#[test]
fn a_configuration_that_cannot_be_served_says_which_topic_and_why() {
    for name in ["", "../up", ".hidden", "a/b", "ü"] {
        let error = error(one_topic(TopicConfig::durable(name, 1)));
        assert!(error.contains("names a directory"), "{name:?}: {error}");
    }
    assert!(error(one_topic(TopicConfig::durable(EVENTS, 0))).contains("at least one"));
    let twice = Config {
        topics: vec![events(), events()],
    };
    assert!(error(twice).contains("\"main.events\" is configured twice"));
}

#[test]
fn another_partition_count_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), events()).unwrap());
    let error = open(dir.path(), TopicConfig::durable(EVENTS, 3))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("made with 2 partitions and is configured with 3: configure 2"),
        "{error}"
    );
    open(dir.path(), events()).unwrap();
}

#[test]
fn a_durable_topic_does_not_silently_move_to_memory() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), events()).unwrap());
    let error = open(dir.path(), TopicConfig::memory(EVENTS, 2, 1000))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("has records on disk"), "{error}");
}

#[test]
fn a_file_where_the_directory_should_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    fs::write(&file, b"").unwrap();
    let error = open(&file, events()).err().unwrap().to_string();
    assert!(
        error.contains(&format!("cannot make {}", file.display())),
        "{error}"
    );
}

#[test]
fn a_directory_that_no_process_may_write_is_named() {
    // Nobody can make directories here, the superuser included.
    let error = open("/proc/xp-log".as_ref(), events()).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("cannot make /proc/xp-log: make sure"),
        "{error}"
    );
}

#[test]
fn an_unknown_format_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), events()).unwrap());
    let path = segment(dir.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] = 9;
    fs::write(&path, bytes).unwrap();
    let error = open(dir.path(), events()).err().unwrap().to_string();
    assert!(
        error.contains("00000.log has format version 9, and this program knows version 1"),
        "{error}"
    );

    let meta = topic_dir(dir.path()).join("meta");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace("xp-log 1", "xp-log 2")).unwrap();
    let error = open(dir.path(), events()).err().unwrap().to_string();
    assert!(
        error.contains("meta has format version 2, and this program knows version 1"),
        "{error}"
    );
}
