//! docs/reader.py, which knows nothing of this code, tells valid commits from void records as the rules do.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use uuid::Uuid;
use xp_protocol::events::{Cause, Checkpoint, Claim, Commit, Event, TimerKey, Trying};
use xp_protocol::{
    ClaimAttempt, ClaimId, ConnectionId, Epoch, Incarnation, LogIdentity, Offset, PartitionId,
    Revision, Seq, TicketId, TimeMs, View, codec,
};
use xp_transport::kafka::topics::{self, Created, Kind};
use xp_transport::kafka::{Config, Kafka, Topic};
use xp_transport::{Label, Log, Record, TopicPartition};

use crate::rig::kafka;

/// The reader starts a Python and asks a broker, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is written, and whether the reader must print it.
struct Line {
    record: Record,
    counts: Option<&'static str>,
}

fn line(event: &Event, value: &'static str, counts: bool) -> Line {
    let is_commit = matches!(event, Event::Commit(_));
    let label = || Label {
        time: TimeMs(0),
        revision: Revision(0),
        subject: Some("Zoë, née %".into()),
    };
    Line {
        record: Record {
            key: Bytes::from_static(if is_commit { b"board/1" } else { b"" }),
            header: codec::encode(event).into(),
            value: Bytes::from_static(value.as_bytes()),
            label: is_commit.then(|| Arc::new(label())),
        },
        counts: counts.then_some(value),
    }
}

fn claim(id: u128, view: u64, attempt: u64) -> Line {
    let claim = Claim {
        id: ClaimId(Uuid::from_u128(id)),
        incarnation: Incarnation(Uuid::from_u128(7)),
        view: View {
            generation: 0,
            offset: Offset(view),
        },
        attempt: ClaimAttempt(attempt),
        rules: 1,
        inbound: LogIdentity(Uuid::from_u128(8)),
    };
    line(&Event::Claim(claim), "", false)
}

fn commit(epoch: u64, seq: u64, cause: Cause) -> Event {
    Event::Commit(std::sync::Arc::new(Commit {
        epoch: Epoch(epoch),
        seq: Seq(seq),
        sent: Offset(70_000),
        cause,
        now: TimeMs(1_700_000_000_000),
        revision: Revision(1 << 40),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        seed: u64::MAX,
        event_count: 1,
        changes: Vec::new(),
        outputs: Default::default(),
        tells: Vec::new(),
    }))
}

fn told(epoch: u64, seq: u64) -> Event {
    commit(epoch, seq, Cause::Inbound(Offset(300)))
}

fn timer(epoch: u64, seq: u64, key: TimerKey) -> Event {
    commit(epoch, seq, Cause::Timer(key))
}

fn valid(event: &Event, value: &'static str) -> Line {
    line(event, value, true)
}

fn void(event: &Event) -> Line {
    line(event, r#"["void"]"#, false)
}

/// An owner, who stalls; a takeover; the stalled one goes on as if nothing had happened. `first` is the offset of the
/// first record.
fn takeover(first: u64) -> Vec<Line> {
    let (one, two, three) = (first + 1, first + 11, first + 19);
    let trying = Event::Trying(Trying {
        epoch: Epoch(one),
        seq: Seq(2),
        sent: Offset(0),
        cause: Cause::Inbound(Offset(1)),
    });
    let checkpoint = Event::Checkpoint(Checkpoint {
        epoch: Epoch(one),
        seq: Seq(4),
        sent: Offset(0),
        inbound: Offset(2),
        tells_taken: Vec::new(),
        hashes: Vec::new(),
    });
    let release = Event::Release {
        epoch: Epoch(two),
        seq: Seq(4),
    };
    let edge = Incarnation(Uuid::from_u128(9));
    let session = ConnectionId(Uuid::from_u128(10));
    vec![
        void(&told(first, 1)),
        claim(1, 500, 0),
        valid(&told(one, 1), r#"["the first"]"#),
        line(&trying, "", false),
        // A rejection: it counts, and there is nothing to tell.
        line(&told(one, 3), "", false),
        void(&told(one, 3)),
        void(&told(one, 5)),
        claim(2, 400, 9),
        line(&checkpoint, "", false),
        valid(
            &timer(one, 5, TimerKey::Domain("close".into())),
            r#"["a timer's"]"#,
        ),
        void(&told(first + 7, 1)),
        claim(3, 900, 0),
        void(&told(one, 6)),
        valid(
            &commit(two, 1, Cause::Verdict { edge }),
            r#"["an edge's end"]"#,
        ),
        claim(1, 500, 0),
        valid(
            &timer(two, 2, TimerKey::Ticket(TicketId(4))),
            r#"["a ticket's"]"#,
        ),
        valid(
            &timer(two, 3, TimerKey::Grace(session)),
            r#"["a session's"]"#,
        ),
        line(&release, "", false),
        void(&told(two, 5)),
        claim(4, 900, 1),
        valid(&told(three, 1), r#"["ümläut", {"last": true}]"#),
    ]
}

async fn write(log: &Kafka, at: &TopicPartition, lines: &[Line]) {
    let records = lines.iter().map(|line| line.record.clone()).collect();
    for acknowledged in log.append(at, records).await {
        acknowledged.unwrap();
    }
}

/// What a former build wrote: the header as bytes, and no other.
fn write_as_before(at: &TopicPartition, lines: &[Line]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka().bootstrap());
    let producer: BaseProducer = config.create().unwrap();
    let partition = i32::try_from(at.partition.0).unwrap();
    for Line { record, .. } in lines {
        let header = Header {
            key: "xp",
            value: Some(&record.header[..]),
        };
        let record = BaseRecord::to(&at.topic)
            .partition(partition)
            .key(&record.key[..])
            .payload(&record.value[..])
            .headers(OwnedHeaders::new().insert(header));
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// `cargo xtask test` prepares one and names it in XP_PYTHON.
fn python() -> PathBuf {
    let prepared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/python");
    let python = std::env::var_os("XP_PYTHON").map_or(prepared, PathBuf::from);
    assert!(
        python.is_file(),
        "no Python with `confluent-kafka`: run `cargo xtask test`, which prepares one, or set XP_PYTHON"
    );
    python
}

/// A running reader.
struct Reading {
    child: Child,
    lines: Receiver<String>,
}

impl Reading {
    fn of(lane: &str, settings: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reader.py");
        let mut command = Command::new(python());
        command.arg(script).args([&*kafka().bootstrap(), lane]);
        let mut child = command
            .args(settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn next(&self) -> serde_json::Value {
        let line = self
            .lines
            .recv_timeout(PATIENCE)
            .expect("the reader prints a line");
        serde_json::from_str(&line).unwrap()
    }

    fn take(&self, count: usize) -> Vec<serde_json::Value> {
        (0..count).map(|_| self.next()).collect()
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_reader_without_our_code_prints_what_counts_and_nothing_else_over_a_takeover() {
    let config = Config::at(&[&kafka().bootstrap()]);
    let events = Topic {
        name: "stranger.events".to_owned(),
        partitions: 2,
        kind: Kind::Events,
        replication: 1,
        min_insync: 1,
        retention: None,
    };
    let made = topics::create(&config, &[events]).await.unwrap();
    assert_eq!(made, [Created::Made("stranger.events".to_owned())]);
    let log = Kafka::connect(config).await.unwrap();
    let at = |partition| TopicPartition {
        topic: "stranger.events".into(),
        partition: PartitionId(partition),
    };

    // Offsets that need one byte in one partition and three in the other.
    let fillers: Vec<_> = (0..300).map(|_| void(&told(5, 1))).collect();
    write_as_before(&at(1), &fillers);
    for (partition, first) in [(0, 0), (1, 300)] {
        let lines = takeover(first);
        match partition {
            0 => write(&log, &at(partition), &lines[..14]).await,
            _ => write_as_before(&at(partition), &lines[..14]),
        }
    }
    let reading = Reading::of("stranger", &["client.id=stranger"]);
    let early = reading.take(6);
    for (partition, first) in [(0, 0), (1, 300)] {
        let lines = takeover(first);
        write(&log, &at(partition), &lines[14..]).await;
    }
    let late = reading.take(6);

    for (partition, first) in [(0_u64, 0_u64), (1, 300)] {
        let offsets = first..;
        let expected: Vec<_> = offsets
            .zip(takeover(first))
            .filter_map(|(offset, line)| Some((offset, line.counts?)))
            .collect();
        let printed = early.iter().chain(&late);
        let printed: Vec<_> = printed
            .filter(|line| line["partition"] == partition)
            .collect();
        assert_eq!(printed.len(), expected.len(), "{printed:#?}");
        for (line, (offset, value)) in printed.iter().zip(expected) {
            let events: serde_json::Value = serde_json::from_str(value).unwrap();
            assert_eq!(
                (&line["offset"], &line["events"]),
                (&offset.into(), &events)
            );
            assert_eq!(line["address"], "board/1");
            assert_eq!(line["revision"], 1_u64 << 40);
            assert_eq!(line["now"], 1_700_000_000_000_u64);
            let said = partition == 0 || offset >= first + 14;
            let subject = said.then_some("Zoë, née %");
            assert_eq!(line["subject"], serde_json::json!(subject));
        }
    }
}
