use xp_settings::{Size, Span};

use super::*;
use crate::config::kafka::Age;

fn lanes(spec: &[(&str, &[&str])]) -> BTreeMap<String, Lane> {
    let lane = |categories: &[&str]| Lane {
        categories: categories.iter().map(|c| (*c).to_owned()).collect(),
        ..Lane::default()
    };
    spec.iter()
        .map(|(name, categories)| ((*name).to_owned(), lane(categories)))
        .collect()
}

fn problem(spec: &[(&str, &[&str])], hosted: &[&str]) -> String {
    Served::find(&lanes(spec), hosted).unwrap_err().to_string()
}

#[test]
fn one_lane_serves_what_no_other_names() {
    let lanes = lanes(&[("main", &[]), ("money", &["wallet"])]);
    let served = Served::find(&lanes, &["auction", "board", "wallet"]).unwrap();
    assert_eq!(
        served.categories_of("main").collect::<Vec<_>>(),
        ["auction", "board"]
    );
    assert_eq!(
        served.categories_of("money").collect::<Vec<_>>(),
        ["wallet"]
    );
}

#[test]
fn events_and_cluster_are_durable_and_the_rest_is_in_memory() {
    let lanes = lanes(&[("main", &[])]);
    let topics = Served::find(&lanes, &["board"])
        .unwrap()
        .topics(&Log::default(), |_| false)
        .topics;
    let durable: Vec<_> = topics
        .iter()
        .filter(|t| t.durability == embedded::Durability::Fsync)
        .collect();
    assert_eq!(
        durable.iter().map(|t| &*t.name).collect::<Vec<_>>(),
        ["cluster", "main.events"]
    );
    assert_eq!(topics.len(), 4);
}

/// R36: what retention deletes is in published snapshots, of which only the newest record of each key is kept.
#[test]
fn where_events_are_deleted_snapshots_are_published() {
    let lanes = lanes(&[("main", &[])]);
    let served = Served::find(&lanes, &["board"]).unwrap();
    let topic = |log: &Log, is_there: bool, name: &str| {
        let topics = served.topics(log, |_| is_there).topics;
        topics.into_iter().find(|topic| &*topic.name == name)
    };
    let aged = Log {
        events_age: Age::For(Span::from_secs(60)),
        ..Log::default()
    };
    let sized = Log {
        events_size: Some(Size(80_001)),
        ..Log::default()
    };
    let kept = |bytes, age_ms| Retention { bytes, age_ms };
    for (log, is_there, wanted) in [
        (&aged, false, kept(None, Some(60_000))),
        (&sized, false, kept(Some(10_001), None)),
        // It was so once, and what is left of `events` may need them.
        (&Log::default(), true, kept(None, None)),
    ] {
        let events = topic(log, is_there, "main.events").unwrap();
        let cleanup = events.cleanup;
        assert_eq!(
            (cleanup.retention(), cleanup.waits_for_release()),
            (wanted, true)
        );
        let snapshots = topic(log, is_there, "main.snapshots").unwrap();
        assert_eq!(snapshots.partitions, 8);
        assert_eq!(snapshots.durability, embedded::Durability::Fsync);
        assert!(snapshots.cleanup.compaction().is_some());
    }
    assert_eq!(topic(&Log::default(), false, "main.snapshots"), None);
}

#[test]
fn kafka_needs_four_topics_for_each_lane_and_one_for_the_cluster() {
    let mut lanes = lanes(&[("main", &[])]);
    lanes.get_mut("main").unwrap().outbound_partitions = 3;
    let kafka = Kafka::default();
    let topics = Served::find(&lanes, &["board"])
        .unwrap()
        .kafka_topics(&kafka);
    let shapes: Vec<_> = topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic.partitions, topic.kind))
        .collect();
    let wanted = [
        ("cluster", 1, Kind::Cluster),
        ("main.inbound", 8, Kind::Inbound),
        ("main.events", 8, Kind::Events),
        ("main.outbound", 3, Kind::Outbound),
        ("main.snapshots", 8, Kind::Snapshots),
    ];
    assert_eq!(shapes, wanted);
    assert!(topics.iter().all(|topic| topic.replication == 3));
    assert_eq!(topics[2].retention, None);
}

#[test]
fn nodes_agree_on_what_each_lane_serves_and_where_it_lives() {
    let mut lanes = lanes(&[("main", &[]), ("money", &["wallet"])]);
    let money = lanes.get_mut("money").unwrap();
    money.placement.pin = Some("state-1".to_owned());
    money.placement.labels = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
    // What a node may have for itself is nothing that others must agree on.
    money.class = crate::config::lane::Class::Bulk;
    let served = Served::find(&lanes, &["board", "wallet"]).unwrap();
    let definitions = served.for_state_node(&Limits::default()).definitions(7);
    assert_eq!(definitions.version, 7);
    assert_eq!(definitions.lanes["main"].categories, ["board".into()]);
    let money = &definitions.lanes["money"];
    assert_eq!(money.categories, ["wallet".into()]);
    assert_eq!(money.placement.pin.as_deref(), Some("state-1"));
    assert_eq!(money.placement.labels["region"].as_ref(), "eu");
    assert_eq!((money.partitions, money.placement.standbys), (8, 1));
}

#[test]
fn lanes_that_cannot_work_are_refused_with_the_key() {
    for (spec, hosted, says) in [
        (
            &[("a", &[][..]), ("b", &[])][..],
            &["board"][..],
            "lanes.a.categories is empty, and so is lanes.b.categories",
        ),
        (
            &[("a", &["board"]), ("b", &["board"])],
            &["board"],
            "lanes.a serves already",
        ),
        (
            &[("a", &["bord"])],
            &["board"],
            "names \"bord\", which this binary does not host (it hosts board)",
        ),
        (
            &[("a", &["board"])],
            &["board", "wallet"],
            "no lane serves the hosted category \"wallet\"",
        ),
    ] {
        let said = problem(spec, hosted);
        assert!(said.contains(says), "{said}");
    }
    let none = BTreeMap::from([(
        "main".to_owned(),
        Lane {
            partitions: 0,
            ..Lane::default()
        },
    )]);
    let said = Served::find(&none, &["board"]).unwrap_err().to_string();
    assert_eq!(said, "lanes.main.partitions is 0: give it at least 1");
}
