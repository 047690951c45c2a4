//! One real broker, through its life.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use xp_local_kafka::{LocalKafka, Options};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

#[test]
fn a_topic_survives_a_killed_broker_and_the_broker_does_not_survive_its_handle() {
    let kafka = LocalKafka::start(Options::one()).unwrap();
    let create = ["--create", "--topic", "kept", "--partitions", "3"];
    kafka.tool(TOPICS, &create).unwrap();
    let first = kafka.pid(0).unwrap();

    kafka.kill(0).unwrap();
    assert!(!is_running(first), "process {first} outlived its kill");
    assert_eq!(kafka.pid(0), None);
    kafka.restart(0).unwrap();

    let described = kafka
        .tool(TOPICS, &["--describe", "--topic", "kept"])
        .unwrap();
    assert!(described.contains("PartitionCount: 3"), "{described}");
    assert_eq!(kafka.leader("kept", 2).unwrap(), 0);

    let (second, dir) = (kafka.pid(0).unwrap(), kafka.dir().to_owned());
    assert!(is_running(second));
    drop(kafka);
    assert!(!is_running(second), "process {second} outlived its handle");
    assert!(!dir.exists(), "{} outlived its handle", dir.display());
}

/// A process that ended but was not waited for has no command line any more.
fn is_running(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
