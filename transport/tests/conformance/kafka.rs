//! The log in a real Kafka: one broker for all tests, topics of its own for each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset as At, TopicPartitionList};
use xp_local_kafka::{LocalKafka, Options};
use xp_protocol::{LogIdentity, Offset};
use xp_transport::kafka::{Config, Kafka};
use xp_transport::{
    Acknowledged, Bounds, Eventually, Log, ReadError, Reader, Record, TopicPartition,
};

use crate::suite::{Backend, DURABLE, Optional, PARTITIONS, SHORT, VOLATILE};

/// A log whose topics have a word in front of their names, so that tests do not meet.
struct Prefixed {
    log: Kafka,
    prefix: String,
}

impl Prefixed {
    fn at(&self, at: &TopicPartition) -> TopicPartition {
        TopicPartition {
            topic: format!("{}.{}", self.prefix, at.topic).into(),
            partition: at.partition,
        }
    }
}

impl Log for Prefixed {
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged {
        self.log.append(&self.at(at), records)
    }

    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader> {
        self.log.read(&self.at(at), from)
    }

    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>> {
        self.log.bounds(&self.at(at))
    }

    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>> {
        self.log.identity(&self.at(at))
    }

    fn partitions(&self, topic: &str) -> Eventually<Option<u32>> {
        self.log.partitions(&format!("{}.{topic}", self.prefix))
    }
}

struct Brokered {
    prefix: String,
    log: Kafka,
}

fn broker() -> &'static LocalKafka {
    static BROKER: OnceLock<LocalKafka> = OnceLock::new();
    BROKER.get_or_init(|| LocalKafka::start(Options::one()).unwrap())
}

/// The suite's functions are not async where a backend of its own would not need it.
fn apart<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    };
    std::thread::scope(|scope| scope.spawn(runtime).join().unwrap())
}

fn connected() -> Kafka {
    apart(Kafka::connect(Config::at(&[&broker().bootstrap()]))).unwrap()
}

fn admin() -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker().bootstrap());
    config.create().unwrap()
}

async fn create(prefix: &str) {
    let topics = [(DURABLE, PARTITIONS), (VOLATILE, PARTITIONS), (SHORT, 1)];
    for (name, partitions) in topics {
        let name = format!("{prefix}.{name}");
        let partitions = i32::try_from(partitions).unwrap();
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1))
            .set("message.timestamp.type", "LogAppendTime");
        let made = admin().create_topics([&topic], &AdminOptions::new()).await;
        made.unwrap().remove(0).unwrap();
    }
}

impl Brokered {
    fn start() -> Self {
        static TESTS: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("t{}", TESTS.fetch_add(1, Ordering::Relaxed));
        apart(create(&prefix));
        Self {
            prefix,
            log: connected(),
        }
    }

    fn prefixed(&self, log: Kafka) -> Arc<dyn Log> {
        Arc::new(Prefixed {
            log,
            prefix: self.prefix.clone(),
        })
    }
}

impl Backend for Brokered {
    /// Everything that Kafka acknowledges is on disk or replicated.
    const LACKS: &'static [Optional] = &[Optional::VolatileTopics];

    fn log(&self) -> Arc<dyn Log> {
        self.prefixed(self.log.clone())
    }

    fn rival(&self) -> Arc<dyn Log> {
        self.prefixed(connected())
    }

    fn restart(&mut self) {
        self.log = connected();
    }

    /// Kafka looks after retention every five minutes; this is what it would do.
    fn retain(&self) {
        let topic = format!("{}.{SHORT}", self.prefix);
        let delete = async {
            let (_, next) = self.log_bounds(&topic).await;
            let mut list = TopicPartitionList::new();
            let upto = next.saturating_sub(20);
            list.add_partition_offset(&topic, 0, At::Offset(i64::try_from(upto).unwrap()))
                .unwrap();
            let deleted = admin().delete_records(&list, &AdminOptions::new()).await;
            deleted.unwrap();
        };
        apart(delete);
    }
}

impl Brokered {
    async fn log_bounds(&self, topic: &str) -> (u64, u64) {
        let at = TopicPartition {
            topic: topic.into(),
            partition: xp_protocol::PartitionId(0),
        };
        let bounds = self.log.bounds(&at).await.unwrap();
        (bounds.first.0, bounds.next.0)
    }
}

mod on_a_broker {
    crate::suite::conformance!(super::Brokered::start());
}

mod beyond_the_suite {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::suite::{append, at, record, soon, take, text};

    /// More than a mailbox and librdkafka's queue hold.
    const LARGE: usize = 40;

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_told_what_it_missed() {
        let backend = Brokered::start();
        let log = backend.log();
        append(&*log, &at(SHORT, 0), vec![record("first")]).await;
        let mut reader = log.read(&at(SHORT, 0), Offset(0));
        take(&mut *reader, 1).await;
        for _ in 0..LARGE {
            let large = Record {
                value: Bytes::from(vec![7; 900 << 10]),
                ..Record::default()
            };
            append(&*log, &at(SHORT, 0), vec![large]).await;
        }
        backend.retain();
        let mut expected = 1;
        let error = loop {
            match soon(reader.next()).await {
                Ok(batch) => {
                    assert_eq!(batch[0].offset, Offset(expected));
                    expected += batch.len() as u64;
                }
                Err(error) => break error,
            }
        };
        let wanted = Offset(expected);
        assert!(
            matches!(error, ReadError::OutOfRange { wanted: told, .. } if told == wanted),
            "{error} at {expected}"
        );
        // Other readers of the instance go on.
        let next = soon(log.bounds(&at(SHORT, 0))).await.unwrap().next;
        append(&*log, &at(SHORT, 0), vec![record("news")]).await;
        let news = take(&mut *log.read(&at(SHORT, 0), next), 1).await;
        assert_eq!(text(&news[0]), "news");
    }

    /// More than there are instances, as when many sessions resume after a takeover.
    const READERS: usize = 60;

    #[tokio::test]
    async fn many_readers_of_one_partition_take_turns() {
        let backend = Brokered::start();
        let log = backend.log();
        append(&*log, &at(DURABLE, 0), vec![record("a"), record("b")]).await;
        let read = |_| {
            let mut reader = log.read(&at(DURABLE, 0), Offset(0));
            tokio::spawn(async move { take(&mut *reader, 2).await })
        };
        let readers: Vec<_> = (0..READERS).map(read).collect();
        for reader in readers {
            let found = soon(reader).await.unwrap();
            assert_eq!(found.iter().map(text).collect::<Vec<_>>(), ["a", "b"]);
        }
    }

    #[tokio::test]
    async fn an_outage_is_waited_out_by_readers_and_told_to_who_appends() {
        let broker = Arc::new(LocalKafka::start(Options::one()).unwrap());
        let config = Config {
            append_timeout: Duration::from_secs(2),
            ..Config::at(&[&broker.bootstrap()])
        };
        let topic = ["--create", "--topic", "o.events", "--partitions", "1"];
        broker
            .tool("org.apache.kafka.tools.TopicCommand", &topic)
            .unwrap();
        let log = Kafka::connect(config).await.unwrap();
        let at = at("o.events", 0);
        append(&log, &at, vec![record("before")]).await;
        let mut reader = log.read(&at, Offset(0));
        take(&mut *reader, 1).await;
        broker.kill(0).unwrap();
        let refused = soon(log.append(&at, vec![record("during")])).await;
        assert!(refused[0].is_err(), "{refused:?}");
        let waiting = tokio::spawn(async move { take(&mut *reader, 1).await });
        let bounds = tokio::spawn(log.bounds(&at));
        let again = Arc::clone(&broker);
        let restarted = tokio::task::spawn_blocking(move || again.restart(0)).await;
        restarted.unwrap().unwrap();
        // As a partition does (R12): again and again, until it is acknowledged.
        while soon(log.append(&at, vec![record("after")])).await[0].is_err() {}
        let found = text(&soon(waiting).await.unwrap()[0]);
        assert!(found == "after" || found == "during", "{found}");
        soon(bounds).await.unwrap().unwrap();
    }
}
