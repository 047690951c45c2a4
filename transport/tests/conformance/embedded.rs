//! The log in a directory: on disk with the newest records in memory too, and on disk alone.

use std::sync::Arc;

use tempfile::TempDir;
use xp_transport::Log;
use xp_transport::embedded::{Config, Embedded, Retention, TopicConfig};

use crate::suite::{Backend, DURABLE, Optional, PARTITIONS, SHORT, VOLATILE};

struct InDirectory {
    dir: TempDir,
    config: Config,
    open: Option<Embedded>,
}

impl InDirectory {
    fn new(topics: [TopicConfig; 3]) -> Self {
        let mut backend = Self {
            dir: tempfile::tempdir().unwrap(),
            config: Config {
                topics: topics.into(),
            },
            open: None,
        };
        backend.restart();
        backend
    }

    fn open(&self) -> Embedded {
        self.open
            .clone()
            .expect("it is open but for a moment within restart")
    }
}

impl Backend for InDirectory {
    const LACKS: &'static [Optional] = &[Optional::ReadsAhead];

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.open())
    }

    fn rival(&self) -> Arc<dyn Log> {
        Arc::new(self.open())
    }

    fn restart(&mut self) {
        self.open = None;
        self.open = Some(Embedded::open(&self.dir, self.config.clone()).unwrap());
    }
}

fn usual() -> InDirectory {
    InDirectory::new([
        TopicConfig::durable(DURABLE, PARTITIONS),
        TopicConfig::memory(VOLATILE, PARTITIONS, 64 << 20),
        TopicConfig::memory(SHORT, 1, 200_000),
    ])
}

/// Nothing is served from memory, and segments are so small that every test has several.
fn from_disk() -> InDirectory {
    let on_disk = |name, partitions| TopicConfig {
        tail_bytes: 0,
        segment_bytes: 2000,
        ..TopicConfig::durable(name, partitions)
    };
    let retention = Retention {
        bytes: Some(200_000),
        age_ms: None,
    };
    InDirectory::new([
        on_disk(DURABLE, PARTITIONS),
        TopicConfig::memory(VOLATILE, PARTITIONS, 64 << 20),
        TopicConfig {
            segment_bytes: 50_000,
            ..on_disk(SHORT, 1)
        }
        .keeping(retention),
    ])
}

mod with_the_tail_in_memory {
    crate::suite::conformance!(super::usual());
}

mod from_disk_alone {
    crate::suite::conformance!(super::from_disk());
}
