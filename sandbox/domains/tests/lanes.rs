//! Several lanes, each with its own topics, partitions, bounds and class, and entities that speak across them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::json;
use xp_client::Error;
use xp_domains::auction::{self, Auction};
use xp_domains::board::{self, Board};
use xp_domains::wallet::{self, Wallet};
use xp_local_kafka::{LocalKafka, Options};
use xp_protocol::PartitionId;
use xp_protocol::codes::FaultCode;
use xp_transport::kafka::topics::{self, Created};
use xp_transport::{Log, TopicPartition, kafka};
use xplatform::runtime::lanes::Served;
use xplatform::sandbox::{Builder, Config, Sandbox, Visitor};

const HOSTED: [&str; 3] = ["auction", "board", "wallet"];

fn with_lanes(config: &mut Config) {
    let lanes = json!({
        "drawing": { "categories": ["board"], "partitions": 3, "class": "bulk", "limits": { "records": { "bytes-max": "16 KiB" } } },
        "money": { "categories": ["wallet"], "partitions": 2, "outbound-partitions": 2, "limits": { "records": { "uncommitted-max": 16 } } },
        "rest": { "partitions": 4 },
    });
    config.lanes = serde_json::from_value(lanes).unwrap();
}

fn hosting() -> Builder {
    Sandbox::builder()
        .host::<Auction>()
        .host::<Board>()
        .host::<Wallet>()
}

async fn deposit(sandbox: &Sandbox, who: &str, amount: u64) {
    let cashier = sandbox.user("carl").claim("roles", json!(["cashier"]));
    let cashier = cashier.connect(&format!("wallet/{who}")).await;
    let deposit = wallet::Command::Deposit { amount };
    let () = cashier.command(&deposit).await.reply().unwrap();
    cashier.leave().await;
}

async fn open_auction(sandbox: &Sandbox, lot: String) -> Visitor {
    let seller = sandbox.user("sue").claim("roles", json!(["auctioneer"]));
    let seller = seller.connect("auction/lot").await;
    let (price_min, seconds) = (10, 600);
    let open = auction::Command::Open {
        lot,
        price_min,
        seconds,
    };
    let () = seller.command(&open).await.reply().unwrap();
    seller
}

async fn bid(sandbox: &Sandbox, who: &str, amount: u64) {
    let bidder = sandbox.user(who).connect("auction/lot").await;
    let bid = auction::Command::PlaceBid { amount };
    let () = bidder.command(&bid).await.reply().unwrap();
}

async fn has(purse: &mut Visitor, available: u64, held: u64) {
    let wanted = |output: &wallet::Output| {
        let wallet::Output::Balance {
            available: now,
            held: aside,
        } = output;
        (*now, *aside) == (available, held)
    };
    purse.sees(wanted).await;
}

/// A bid asks a wallet on another lane, before and after a crash; a bound of one lane is none of another.
async fn lanes_work_together(sandbox: &mut Sandbox) {
    deposit(sandbox, "ben", 100).await;
    deposit(sandbox, "ann", 200).await;
    let mut purse = sandbox.user("ben").connect("wallet/ben").await;
    // Larger than any record of the lane `drawing`.
    let _seller = open_auction(sandbox, "x".repeat(20 << 10)).await;
    bid(sandbox, "ben", 60).await;
    has(&mut purse, 40, 60).await;
    sandbox.kill_and_restart_node().await.unwrap();
    bid(sandbox, "ann", 90).await;
    has(&mut purse, 100, 0).await;

    let ana = sandbox.user("ana").connect("board/1").await;
    let draw = |points: i32| board::Command::Draw {
        colour: "red".to_owned(),
        points: (0..points)
            .map(|n| (1_000_000 + n, 1_000_000 + n))
            .collect(),
    };
    let drawn = ana.command(&draw(10)).await.reply::<board::Reply>();
    assert!(
        matches!(drawn, Ok(board::Reply::Drawn { .. })),
        "{}",
        drawn.is_ok()
    );
    let refused = ana.command(&draw(1_000)).await.reply::<board::Reply>();
    assert!(matches!(refused, Err(Error::Fault(FaultCode::TooLarge))));
}

#[tokio::test]
async fn lanes_with_their_own_bounds_work_together_on_the_embedded_log() {
    let sandbox = hosting().configure(with_lanes).start().await;
    let mut sandbox = sandbox.unwrap();
    lanes_work_together(&mut sandbox).await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_with_their_own_topics_work_together_on_kafka() {
    let broker = tokio::task::spawn_blocking(|| LocalKafka::start(Options::one()));
    let broker = broker.await.unwrap().unwrap();
    let on_kafka = {
        let section = json!({ "brokers": [broker.bootstrap()], "replication": 1, "min-insync": 1 });
        move |config: &mut Config| {
            with_lanes(config);
            config.kafka = serde_json::from_value(section).unwrap();
        }
    };
    let settings = make_topics(on_kafka.clone()).await;
    let mut sandbox = hosting().configure(on_kafka).start().await.unwrap();
    lanes_work_together(&mut sandbox).await;
    sandbox.shutdown().await;

    let log = kafka::Kafka::connect(settings).await.unwrap();
    for (lane, partitions) in [("drawing", 3), ("money", 2), ("rest", 4)] {
        let events = format!("{lane}.events");
        assert_eq!(log.partitions(&events).await, Some(partitions));
        let mut records = 0;
        for partition in 0..partitions {
            let at = TopicPartition {
                topic: events.as_str().into(),
                partition: PartitionId(partition),
            };
            records += log.bounds(&at).await.unwrap().next.0;
        }
        assert!(
            records > u64::from(partitions),
            "nothing but claims on {lane}"
        );
    }
    // A blocking end, which is not for this thread.
    tokio::task::spawn_blocking(move || drop(broker))
        .await
        .unwrap();
}

/// Makes what the lanes need, and returns how the broker is reached.
async fn make_topics(tune: impl FnOnce(&mut Config)) -> kafka::Config {
    let mut config = Config::development(std::path::Path::new("nowhere"));
    tune(&mut config);
    let kafka = config.kafka.as_ref().unwrap();
    let settings = config.kafka_settings(kafka, "xp-test").unwrap();
    let served = Served::find(&config.lanes, &HOSTED).unwrap();
    let made = topics::create(&settings, &served.kafka_topics(kafka)).await;
    let made = made.unwrap();
    let refused = made
        .iter()
        .filter(|made| matches!(made, Created::Refused { .. }));
    assert_eq!(refused.count(), 0, "{made:?}");
    settings
}
