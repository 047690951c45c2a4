use std::path::{Path, PathBuf};

use super::*;

fn load_from(toml: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.toml");
    std::fs::write(&file, toml).unwrap();
    let sources = Sources {
        config: Some(file),
        data: None,
    };
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(&sources, &Overrides::default(), environment).map_err(|problem| problem.to_string())
}

fn problem(toml: &str, environment: &[(&str, &str)]) -> String {
    load_from(toml, environment)
        .err()
        .expect("this configuration must be refused")
}

#[test]
fn built_in_values_are_enough() {
    let loaded = load(&Sources::default(), &Overrides::default(), []).unwrap();
    assert_eq!(loaded.config.data, PathBuf::from("./data"));
    assert_eq!(loaded.config.edge.listen.port(), 7400);
}

#[test]
fn the_file_wins_over_the_built_in_and_the_environment_over_the_file() {
    let toml = "[edge]\nname = \"from-file\"\nlisten = \"127.0.0.1:1\"\n";
    let loaded = load_from(toml, &[("XP__EDGE__LISTEN", "127.0.0.1:2"), ("HOME", "/")]).unwrap();
    assert_eq!(loaded.config.edge.name, "from-file");
    assert_eq!(loaded.config.edge.listen.port(), 2);
}

#[test]
fn flags_win_over_everything() {
    let sources = Sources {
        config: None,
        data: Some("there".into()),
    };
    let overrides = Overrides {
        listen: Some("127.0.0.1:3".parse().unwrap()),
        edge_name: Some("edge-7".to_owned()),
        state_node_name: Some("state-7".to_owned()),
    };
    let environment = [("XP__EDGE__LISTEN".to_owned(), "127.0.0.1:2".to_owned())];
    let loaded = load(&sources, &overrides, environment).unwrap();
    assert_eq!(loaded.config.edge.listen.port(), 3);
    assert_eq!(loaded.config.edge.name, "edge-7");
    assert_eq!(loaded.config.state_node.name, "state-7");
    assert_eq!(loaded.config.data, PathBuf::from("there"));
}

#[test]
fn the_built_in_secret_lies_in_the_data_directory_that_was_asked_for() {
    let loaded = load_from("data = \"elsewhere\"", &[]).unwrap();
    assert!(show::show(&loaded).contains("elsewhere/development-secret"));
}

#[test]
fn durations_and_sizes_read_as_people_write_them() {
    let toml = "[log]\nsegment-size = \"1 MiB\"\n[edge.timing]\nflush = \"5ms\"\n";
    let loaded = load_from(toml, &[("XP__EDGE__LIMITS__FRAME_BYTES_MAX", "128 KiB")]).unwrap();
    assert_eq!(loaded.config.log.segment_size.0, 1 << 20);
    assert_eq!(loaded.config.edge.limits.frame_bytes_max.0, 128 << 10);
    assert_eq!(loaded.config.edge.timing.flush.ms(), 5);
}

#[test]
fn each_mistake_is_answered_with_its_key_and_its_place() {
    for (toml, environment, says) in [
        (
            "[edge]\nlistn = \"x\"",
            &[][..],
            &["edge.listn in ", "some.toml", "Did you mean \"listen\"?"][..],
        ),
        ("[edge]\nlisten = 5", &[], &["edge.listen in ", "some.toml"]),
        (
            "[egde]\nlisten = 5",
            &[],
            &["egde in ", "some.toml", "Did you mean \"edge\"?"],
        ),
        (
            "[lanes.main]\npartitions = \"many\"",
            &[],
            &["lanes.main.partitions in ", "some.toml"],
        ),
        (
            "",
            &[("XP__EDGE__LISTN", "x")],
            &["edge.listn in $XP__EDGE__LISTN", "Did you mean"],
        ),
        (
            "",
            &[("XP__EDGE__LISTEN", "nowhere")],
            &["edge.listen in $XP__EDGE__LISTEN", "socket address"],
        ),
        (
            "",
            &[("XP__EDGE____LISTEN", "x")],
            &["$XP__EDGE____LISTEN", "XP__SECTION__KEY"],
        ),
        (
            "[log]\nsegment-size = \"12 parsecs\"",
            &[],
            &["log.segment-size in ", "KiB"],
        ),
        (
            "[log]\ndurability = \"paper\"",
            &[],
            &["log.durability", "some.toml", "fsync"],
        ),
        (
            "[log]\ndurability = \"memory\"\nevents-age = \"168 h\"",
            &[],
            &[
                "log.events-age in ",
                "without published snapshots",
                "Set it to \"fsync\", or leave this out",
            ],
        ),
        (
            "[log]\nevents-size = \"100 MiB\"",
            &[],
            &["log.events-size in ", "at least two segments", "64 MiB"],
        ),
        (
            "[log]\nevents-age = \"168 h\"\n[kafka]\nbrokers = [\"k:9092\"]",
            &[],
            &[
                "log.events-age in ",
                "leave it out",
                "kafka.retention.events",
            ],
        ),
        (
            "[log]\nevents-age = \"always\"",
            &[],
            &["log.events-age in ", "\"forever\""],
        ),
        (
            "[edge]\norigins = [\"https://example.org/\"]",
            &[],
            &["edge.origins in ", "some.toml", "\"https://example.org\""],
        ),
        (
            "[edge.tokens]\nkeys = [{ jwks-url = \"accounts.example.org/keys\" }]",
            &[],
            &["edge.tokens.keys in ", "some.toml", "write it whole"],
        ),
        ("[edge\n", &[], &["some.toml", "is not TOML"]),
        (
            "[edge.limits]\nwindow = 0",
            &[],
            &["edge.limits.window in ", "some.toml", "is 0: choose 1"],
        ),
        (
            "[state-node.limits]\nrecords = { bytes-max = \"64 KiB\" }",
            &[],
            &["edge.limits.frame-bytes-max", "64 KiB", "some.toml"],
        ),
        (
            "[kafka.retention]\nevents = \"always\"",
            &[],
            &["kafka.retention.events in ", "some.toml", "\"forever\""],
        ),
        (
            "[kafka]\ntopic-prefix = \"shop\"",
            &[],
            &["kafka.topic-prefix in ", "some.toml", "as in \"shop.\""],
        ),
        (
            "",
            &[("XP__KAFKA__TOPIC_PREFIX", "läden.")],
            &["kafka.topic-prefix in $XP__KAFKA__TOPIC_PREFIX", "has 'ä'"],
        ),
        (
            "[kafka]\n[lanes.\"eu.main\"]",
            &[],
            &["lanes.eu.main in ", "topic-prefix = \"eu.\""],
        ),
        (
            "[kafka.sasl]\nmechanism = \"scram\"",
            &[],
            &["kafka.sasl.mechanism", "scram-sha-512"],
        ),
        (
            "[state-node.limits.sessions]\nanswers = 8",
            &[],
            &["edge.limits.window in built in", "is 64", "some.toml"],
        ),
        (
            "[lanes.main.limits.sessions]\nanswers = 8",
            &[],
            &["lanes.main.limits.sessions.answers in ", "is 8", "64"],
        ),
        (
            "[lanes.main.limits.records]\nbytes-max = \"64 KiB\"",
            &[],
            &["lanes.main.limits.records.bytes-max in ", "frame-bytes-max"],
        ),
        (
            "[lanes.main.limits.sessions]\ngraces = \"5s\"",
            &[],
            &[
                "lanes.main.limits.sessions.graces in ",
                "some.toml",
                "Did you mean \"grace\"?",
            ],
        ),
        (
            "[lanes.main.limits.records]\nquiet = 5",
            &[],
            &[
                "lanes.main.limits.records.quiet in ",
                "some.toml",
                "must be a string",
            ],
        ),
        (
            "[state-node]\ngrace = \"5s\"",
            &[],
            &[
                "state-node.grace in ",
                "some.toml",
                "has moved: write state-node.limits.sessions.grace",
            ],
        ),
        (
            "",
            &[("XP__STATE_NODE__PUBLISHING__INTERVAL", "5s")],
            &[
                "state-node.publishing in $XP__STATE_NODE__PUBLISHING__INTERVAL",
                "write state-node.limits.publishing",
            ],
        ),
        (
            "[edge.timing]\ndrain-spread = \"5s\"",
            &[],
            &[
                "edge.timing.drain-spread in ",
                "write edge.timing.drain.spread",
            ],
        ),
        (
            "[lanes.main.limits]\nrecent-commits-max = 5",
            &[],
            &[
                "lanes.main.limits.recent-commits-max in ",
                "write lanes.main.limits.recent.commits-max",
            ],
        ),
        (
            "[lanes.main]\nclass = \"batch\"",
            &[],
            &["lanes.main.class in ", "interactive", "bulk"],
        ),
        (
            "[lanes.\"a b\"]",
            &[],
            &["lanes.a b in ", "topics are called after it"],
        ),
        (
            "[lanes.main]\nplacement = { label = {} }",
            &[],
            &["lanes.main.placement.label", "Did you mean \"labels\"?"],
        ),
        (
            "lanes-version = 0",
            &[],
            &["lanes-version in ", "count from 1"],
        ),
        (
            "[state-node]\nheartbeat = \"1s\"",
            &[],
            &["state-node.heartbeat in ", "up to 125 ms"],
        ),
        (
            "",
            &[("XP__STATE_NODE__LABELS__NAME", "other")],
            &["state-node.labels.name in $XP__STATE_NODE__LABELS__NAME"],
        ),
    ] {
        let said = problem(toml, environment);
        for part in says {
            assert!(said.contains(part), "{toml:?} {environment:?}: {said}");
        }
    }
}

#[test]
fn passwords_come_from_the_environment_as_they_stand_and_are_never_shown() {
    let toml = "[kafka]\nbrokers = [\"127.0.0.1:9092\"]\n[kafka.sasl]\nuser = \"ana\"\n";
    let variables = [
        ("XP__KAFKA__SASL__PASSWORD", "0042"),
        ("XP__KAFKA__TLS__KEY_PASSWORD", "true"),
    ];
    let loaded = load_from(toml, &variables).unwrap();
    let kafka = loaded.config.kafka.as_ref().unwrap();
    let password = kafka.sasl.as_ref().unwrap().password.as_ref().unwrap();
    assert_eq!(password.expose(), "0042");
    let key_password = kafka.tls.as_ref().unwrap().key_password.as_ref().unwrap();
    assert_eq!(key_password.expose(), "true");
    let page = show::show(&loaded);
    assert!(
        page.contains("kafka.sasl.password = \"(masked)\""),
        "{page}"
    );
    assert!(
        !page.contains("0042") && !page.contains("\"true\""),
        "{page}"
    );
    assert!(
        page.contains("kafka.retention.events = \"forever\""),
        "{page}"
    );
}

#[test]
fn who_names_lanes_has_just_those() {
    let named = |loaded: Loaded| loaded.config.lanes.into_keys().collect::<Vec<_>>();
    let file = "[lanes.money]\ncategories = [\"wallet\"]\n[lanes.rest]\n";
    assert_eq!(named(load_from(file, &[]).unwrap()), ["money", "rest"]);
    let variable = [("XP__LANES__MAIN__PARTITIONS", "4")];
    assert_eq!(named(load_from("", &variable).unwrap()), ["main"]);
    assert_eq!(named(load_from("", &[]).unwrap()), ["main"]);
    assert_eq!(
        named(load_from(file, &variable).unwrap()),
        ["main", "money", "rest"]
    );
}

#[test]
fn a_lane_says_where_it_may_live_and_a_node_what_it_is() {
    let toml = "lanes-version = 3\n[lanes.main]\nclass = \"bulk\"\n\
                placement = { labels = { region = \"eu\" }, standbys = 2, pin = \"state-1\" }\n";
    let loaded = load_from(toml, &[("XP__STATE_NODE__LABELS", "{ region = \"eu\" }")]).unwrap();
    assert_eq!(loaded.config.lanes_version, 3);
    let lane = &loaded.config.lanes["main"];
    assert_eq!(lane.placement.labels["region"], "eu");
    assert_eq!(lane.placement.standbys, 2);
    assert_eq!(lane.placement.pin.as_deref(), Some("state-1"));
    assert_eq!(lane.partitions, 8);
    assert_eq!(loaded.config.state_node.labels["region"], "eu");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let sources = Sources {
        config: Some("no/such.toml".into()),
        data: None,
    };
    let said = load(&sources, &Overrides::default(), [])
        .err()
        .unwrap()
        .to_string();
    assert!(said.starts_with("no/such.toml: cannot be read"), "{said}");
}

#[test]
fn what_is_shown_names_its_source_hides_secrets_and_is_toml_again() {
    let toml = "[edge.tokens]\nkeys = [{ secret = \"hunter2\" }]\n";
    let page = show::show(&load_from(toml, &[("XP__EDGE__NAME", "left")]).unwrap());
    assert!(!page.contains("hunter2"), "{page}");
    let line = |key: &str| {
        page.lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_else(|| panic!("{key}: {page}"))
    };
    assert!(line("edge.name").ends_with("# $XP__EDGE__NAME"));
    assert!(line("edge.tokens.keys").ends_with("some.toml"));
    assert!(line("edge.listen").ends_with("# built in"));
    toml::from_str::<Config>(&page).unwrap();
}

#[test]
fn every_example_under_deploy_can_be_used() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut seen = 0;
    for entry in std::fs::read_dir(deploy).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let sources = Sources {
                config: Some(path.clone()),
                data: None,
            };
            let loaded = load(&sources, &Overrides::default(), []);
            assert!(
                loaded.is_ok(),
                "{}: {}",
                path.display(),
                loaded.err().unwrap()
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "there is no example to parse");
}

/// The variables that a process of the example is told who it is by.
fn variables(file: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').expect("NAME=VALUE");
        (name.to_owned(), value.to_owned())
    };
    lines.map(pair).collect()
}

#[test]
fn the_example_of_a_cluster_can_be_used_by_each_of_its_processes() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let sources = Sources {
        config: Some(deploy.join("cluster.toml")),
        data: None,
    };
    let mut names = std::collections::BTreeSet::new();
    let mut places = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(deploy.join("cluster")).unwrap() {
        let file = entry.unwrap().path();
        let loaded = load(&sources, &Overrides::default(), variables(&file));
        let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (config, name) = (&loaded.config, file.file_stem().unwrap().to_str().unwrap());
        if name.starts_with("edge") {
            assert_eq!(config.edge.name, name);
        } else {
            assert_eq!(config.state_node.name, name);
            assert!(places.insert(config.data.clone()), "{name} shares its data");
            let wanted = &config.lanes["money"].placement.labels;
            let own = &config.state_node.labels;
            assert!(
                wanted
                    .iter()
                    .all(|(label, value)| own.get(label) == Some(value))
            );
        }
        names.insert(name.to_owned());
    }
    assert_eq!(
        Vec::from_iter(names),
        ["edge-1", "edge-2", "state-1", "state-2", "state-3"]
    );
    assert_eq!(places.len(), 3);
}

/// What is wrong with a secret is said, and the secret is not.
#[test]
fn no_message_shows_a_secret() {
    const SECRET: &str = "hunter2-hunter2";
    for text in [
        format!("[kafka.sasl]\npassword = [\"{SECRET}\"]\n"),
        format!("[kafka.sasl]\npassword = {SECRET}\"\n"),
        format!("[edge.tokens]\nkeys = \"{SECRET}\"\n"),
        format!("[edge.tokens]\nkeys = [\"{SECRET}\"]\n"),
        format!("[edge.tokens]\nkeys = [{{ \"{SECRET}\" = \"x\" }}]\n"),
        format!("[edge.tokens]\nkeys = [{{ secret = [\"{SECRET}\"] }}]\n"),
        format!("[edge.tokens]\nkeys = [{{ secret = {SECRET} }}]\n"),
        format!("[kafka.tls]\nkey-password = {{ a = \"{SECRET}\" }}\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("xp.toml");
        std::fs::write(&file, &text).unwrap();
        let sources = Sources {
            config: Some(file),
            ..Sources::default()
        };
        let said = load(&sources, &Overrides::default(), []);
        let said = said
            .err()
            .unwrap_or_else(|| panic!("{text} can be used"))
            .to_string();
        assert!(!said.contains("hunter2"), "{said}");
    }
    let variable = |name: &str| (name.to_owned(), SECRET.to_owned());
    let said = load(
        &Sources::default(),
        &Overrides::default(),
        [variable("XP__EDGE__TOKENS__KEYS")],
    );
    assert!(!said.err().unwrap().to_string().contains("hunter2"));
}
