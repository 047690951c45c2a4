//! The same on a real Kafka, whose oldest events are deleted and whose snapshots are compacted.

use xp_local_kafka::{LocalKafka, Options};
use xp_transport::kafka::topics::{self, Created, Kind};
use xp_transport::kafka::{Config as KafkaConfig, Kafka, Topic};

use super::*;

fn topic(name: &str, kind: Kind) -> Topic {
    let kept = Duration::from_secs(3_600);
    Topic {
        name: name.to_owned(),
        partitions: 1,
        kind,
        replication: 1,
        min_insync: 1,
        retention: (!matches!(kind, Kind::Events | Kind::Snapshots)).then_some(kept),
    }
}

async fn log(broker: &LocalKafka) -> Kafka {
    let config = KafkaConfig::at(&[&broker.bootstrap()]);
    let wanted = [
        topic("cluster", Kind::Cluster),
        topic("main.inbound", Kind::Inbound),
        topic("main.events", Kind::Events),
        topic("main.outbound", Kind::Outbound),
        topic("main.snapshots", Kind::Snapshots),
    ];
    let made = topics::create(&config, &wanted).await.unwrap();
    let is_made = |made: &Created| matches!(made, Created::Made(_));
    assert!(made.iter().all(is_made), "{made:?}");
    assert_eq!(topics::check(&config, &wanted).await.unwrap(), []);
    Kafka::connect(config).await.unwrap()
}

/// As retention would do it.
fn delete_events(broker: &LocalKafka, before: Offset) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let wanted = format!(
        r#"{{"version":1,"partitions":[{{"topic":"main.events","partition":0,"offset":{before}}}]}}"#
    );
    std::fs::write(file.path(), wanted).unwrap();
    let path = file.path().to_str().unwrap();
    let tool = "org.apache.kafka.tools.DeleteRecordsCommand";
    broker.tool(tool, &["--offset-json-file", path]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_empty_disk_joins_after_the_oldest_events_were_deleted_from_kafka() {
    let broker = Arc::new(LocalKafka::start(Options::one()).unwrap());
    let mut site = Site::new(Arc::new(log(&broker).await));
    let owner = site.start("owner").await;
    owner.ready().await.unwrap();
    let mirror = site.start("mirror").await;
    mirror.ready().await.unwrap();
    let mut edge = site.edge().await;
    let mut clients = connected(&mut edge, 4).await;
    fill(&mut edge, &mut clients, 20).await;
    let published = site.last_event().await;
    site.published(published).await;
    fill(&mut edge, &mut clients, 1).await;
    owner.kill().await;
    mirror.kill().await;
    let deleting = Arc::clone(&broker);
    let deleted = tokio::task::spawn_blocking(move || delete_events(&deleting, published));
    deleted.await.unwrap();
    assert_eq!(site.first_event().await, published);

    let new = site.start("new").await;
    tokio::time::timeout(PATIENCE, new.ready())
        .await
        .unwrap()
        .unwrap();
    let mut edge = again(&mut site, &mut clients).await;
    // Every answer says how many entries there are.
    fill(&mut edge, &mut clients, 1).await;
    new.stop().await.unwrap();
}
