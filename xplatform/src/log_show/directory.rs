//! The embedded log, from its directory, also while `xp dev` has it open.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use xp_protocol::{Offset, PartitionId};
use xp_transport::{TopicPartition, embedded};

use super::view::View;
use super::{beheaded, described, is_asked_for};
use crate::command_line::Show;
use crate::process::{print, stderr};

/// How often a followed log is looked at again.
const FOLLOW: Duration = Duration::from_millis(200);

pub(super) async fn show(dir: &Path, asked: &Show) -> Result<()> {
    let mut views = views(dir, asked)?;
    loop {
        for view in &mut views {
            print_new(view, dir, asked)?;
        }
        if !asked.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

fn views(dir: &Path, asked: &Show) -> Result<Vec<View>> {
    if !dir.is_dir() {
        bail!(
            "there is no log in {}; --data names the directory that `xp dev` uses",
            dir.display()
        );
    }
    let topics = embedded::topics(dir)?;
    let mut views = Vec::new();
    for (topic, partitions) in topics
        .iter()
        .filter(|(topic, _)| is_asked_for(topic, asked))
    {
        let all = (0..*partitions)
            .map(PartitionId)
            .filter(|p| asked.partition.is_none_or(|asked| asked == *p));
        for partition in all {
            views.push(view(dir, topic, partition)?);
        }
    }
    if views.is_empty() {
        bail!(
            "the log in {} has no such partition; it has {}",
            dir.display(),
            described(&topics)
        );
    }
    Ok(views)
}

/// Of a partition from its oldest record on.
fn view(dir: &Path, topic: &str, partition: PartitionId) -> Result<View> {
    let first = embedded::inspect(dir, topic, partition, Offset(0))?.first();
    let at = TopicPartition {
        topic: topic.into(),
        partition,
    };
    if let Some(line) = beheaded(&at, first) {
        stderr::say(&line);
    }
    Ok(View::new(topic, partition, first))
}

/// Reads on from where it stopped.
fn print_new(view: &mut View, dir: &Path, asked: &Show) -> Result<()> {
    for stored in embedded::inspect(dir, &view.topic, view.partition, view.next)? {
        print(&view.lines([&stored?], asked))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use xp_protocol::events::Event;
    use xp_protocol::{Epoch, Seq, codec};
    use xp_transport::embedded::{Config, Embedded, Retention, TopicConfig};
    use xp_transport::{Log, Record};

    use super::*;
    use crate::command_line::{CommandLine, Log as LogTask, Task};

    /// A record whose claim was deleted is none that nobody owned.
    #[tokio::test]
    async fn where_the_beginning_is_gone_nothing_is_called_void_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Retention {
            bytes: Some(2_000),
            age_ms: None,
        };
        let events = TopicConfig {
            segment_bytes: 500,
            ..TopicConfig::durable("main.events", 1)
        };
        let topics = vec![events.keeping(kept)];
        let log = Embedded::open(dir.path(), Config { topics }).unwrap();
        let at = TopicPartition {
            topic: Arc::from("main.events"),
            partition: PartitionId(0),
        };
        for seq in 1..100 {
            let event = Event::Release {
                epoch: Epoch(0),
                seq: Seq(seq),
            };
            let record = Record {
                header: codec::encode(&event).into(),
                ..Record::default()
            };
            log.append(&at, vec![record]).await.remove(0).unwrap();
        }
        let first = log.bounds(&at).await.unwrap().first;
        assert!(first > Offset(0));
        let task = CommandLine::parse_from(["xp", "log", "show"]).task;
        let Some(Task::Log(LogTask::Show(asked))) = task else {
            panic!("not a show: {task:?}")
        };
        let mut views = views(dir.path(), &asked).unwrap();
        let view = &mut views[0];
        assert_eq!(view.next, first);
        let said = beheaded(&at, first).unwrap();
        let begins = format!("main.events/0 begins at offset {first}");
        assert!(said.starts_with(&begins), "{said}");
        let stored = embedded::inspect(dir.path(), "main.events", PartitionId(0), first).unwrap();
        let stored: Vec<_> = stored.map(Result::unwrap).collect();
        let lines = view.lines(&stored, &asked);
        assert!(!lines.is_empty() && !lines.contains("VOID"), "{lines}");
    }
}
