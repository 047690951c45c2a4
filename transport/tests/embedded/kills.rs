//! `kill -9` for real: a child appends and says what was acknowledged, until it is killed.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xp_transport::Log;
use xp_transport::embedded::Embedded;

use crate::rig::{at, one_topic, read_all, record, small_segments, soon};

const DIR: &str = "XP_TEST_APPEND_TO_THIS_DIRECTORY";
const ROUNDS: u64 = 12;

fn config() -> xp_transport::embedded::Config {
    one_topic(small_segments(20_000))
}

/// Does nothing by itself: the test below calls it in a process of its own, and kills that.
#[tokio::test]
async fn as_the_process_that_is_killed() {
    let Ok(dir) = env::var(DIR) else {
        return;
    };
    let log = Embedded::open(dir, config()).unwrap();
    let mut next = soon(log.bounds(&at(0))).await.unwrap().next.0;
    loop {
        let calls: Vec<_> = (next..next + 5)
            .map(|number| log.append(&at(0), vec![record(number)]))
            .collect();
        next += 5;
        for call in calls {
            let offset = soon(call).await.remove(0).unwrap();
            // Straight to the pipe, so that a line is there as soon as it is said.
            writeln!(std::io::stderr(), "ACK {offset}").unwrap();
        }
    }
}

/// Lets a child append until it has acknowledged `count` records, kills it, and returns the highest
/// offset it acknowledged.
fn append_and_die(dir: &std::path::Path, count: usize) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "kills::as_the_process_that_is_killed",
            "--nocapture",
        ])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said: Vec<String> = lines
        .by_ref()
        .map(Result::unwrap)
        .filter(|line| line.contains("ACK"))
        .take(count)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(
        lines
            .map_while(Result::ok)
            .filter(|line| line.contains("ACK")),
    );
    assert!(
        said.len() >= count,
        "the child ended before it was killed: {said:?}"
    );
    // The last line may have been cut by the kill.
    let offsets = said
        .iter()
        .take(count)
        .map(|line| line.split("ACK ").nth(1).unwrap().parse::<u64>().unwrap());
    offsets.max().unwrap()
}

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there_in_order() {
    let seed = env::var("XP_SEED").map_or(7, |seed| seed.parse().unwrap());
    eprintln!("XP_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let highest = append_and_die(dir.path(), rng.random_range(1..120));
        let log = Embedded::open(dir.path(), config()).unwrap();
        let (found, error) = read_all(&log, 0).await;
        assert!(error.is_none(), "round {round}: {error:?}");
        assert!(
            found.len() as u64 > highest,
            "round {round}: {} records, {highest} was acknowledged",
            found.len()
        );
        for (number, stored) in (0..).zip(&found) {
            assert_eq!(
                (stored.offset.0, &stored.record),
                (number, &record(number)),
                "round {round}"
            );
        }
    }
}
