//! `xp log show`: the embedded log's records, readable.

mod line;
mod readable;
mod validity;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use xp_protocol::{Offset, PartitionId};
use xp_sandbox::config::log_dir;
use xp_transport::embedded;

use crate::command_line::Show;
use crate::configuration::{self, Overrides};
use line::Entry;
use validity::Validity;

/// How often a followed log is looked at again.
const FOLLOW: Duration = Duration::from_millis(200);

/// Prints what was asked for; with `--follow` it ends only when interrupted.
pub(crate) async fn run(asked: Show) -> Result<()> {
    let loaded = configuration::load(
        &asked.sources,
        &Overrides::default(),
        configuration::environment(),
    )?;
    let dir = log_dir(&loaded.config.data);
    let mut views = views(&dir, &asked)?;
    loop {
        let mut out = std::io::stdout().lock();
        for view in &mut views {
            view.print_new(&dir, &asked, &mut out)?;
        }
        out.flush()?;
        drop(out);
        if !asked.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

/// One partition, read up to somewhere.
struct View {
    topic: String,
    partition: PartitionId,
    next: Offset,
    validity: Validity,
}

fn views(dir: &Path, asked: &Show) -> Result<Vec<View>> {
    if !dir.is_dir() {
        bail!(
            "there is no log in {}; --data names the directory that `xp dev` uses",
            dir.display()
        );
    }
    let topics = embedded::topics(dir)?;
    let wanted = |topic: &str| match &asked.topic {
        Some(name) => name == topic,
        None => topic.ends_with(".events"),
    };
    let mut views = Vec::new();
    for (topic, partitions) in topics.iter().filter(|(topic, _)| wanted(topic)) {
        let all = (0..*partitions)
            .map(PartitionId)
            .filter(|p| asked.partition.is_none_or(|asked| asked == *p));
        views.extend(all.map(|partition| View::new(topic, partition)));
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

fn described(topics: &[(String, u32)]) -> String {
    let described: Vec<_> = topics
        .iter()
        .map(|(topic, partitions)| format!("{topic} with partitions 0 to {}", partitions - 1))
        .collect();
    if described.is_empty() {
        "none".to_owned()
    } else {
        described.join(", ")
    }
}

impl View {
    fn new(topic: &str, partition: PartitionId) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            next: Offset(0),
            validity: Validity::default(),
        }
    }

    /// Reads on from where it stopped. Whether a record is valid follows from all before it, so reading begins at
    /// the log's beginning even when printing does not.
    fn print_new(&mut self, dir: &Path, asked: &Show, out: &mut impl Write) -> Result<()> {
        for stored in embedded::inspect(dir, &self.topic, self.partition, self.next)? {
            let stored = stored?;
            self.next = stored.offset.next();
            let entry = Entry::new(&self.topic, self.partition, &stored, &mut self.validity);
            let is_about = asked
                .address
                .as_ref()
                .is_none_or(|address| stored.record.key == address.as_str().as_bytes());
            if stored.offset >= asked.from && is_about {
                let text = if asked.json {
                    entry.json()
                } else {
                    entry.text()
                };
                writeln!(out, "{text}")?;
            }
        }
        Ok(())
    }
}
