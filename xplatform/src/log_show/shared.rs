//! A log that others share, through the trait that nodes read it by.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;
use xp_protocol::{Offset, PartitionId};
use xp_transport::kafka::Prefix;
use xp_transport::{Bounds, Log, Reader, Stored, TopicPartition};

use super::view::View;
use super::{beheaded, described, is_asked_for};
use crate::command_line::Show;
use crate::process::stderr;

/// Batches that were read and not yet printed. At the bound reading waits for the printing.
const WAITING_MAX: usize = 16;

/// Shows those of `topics` that are asked for. A partition that hands out nothing for `patience`, although it has more,
/// is an error. Whoever reads it finds topics called as Kafka calls them.
pub(super) async fn show(
    (log, prefix): (&dyn Log, &Prefix),
    topics: &[String],
    asked: &Show,
    patience: Duration,
    mut print: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut open = Vec::new();
    for at in partitions(log, prefix, topics, asked).await? {
        let (mut reading, bounds) = Reading::open(log, prefix, &at, asked).await?;
        while reading.view.next < bounds.next {
            let batch = reading.batch(&bounds, patience).await?;
            print(&reading.view.lines(&batch, asked))?;
        }
        open.push(reading);
    }
    if asked.follow {
        follow(open, asked, print).await?;
    }
    Ok(())
}

async fn partitions(
    log: &dyn Log,
    prefix: &Prefix,
    topics: &[String],
    asked: &Show,
) -> Result<Vec<TopicPartition>> {
    let mut there = Vec::new();
    // A topic outside of the configured lanes may be asked for by its name.
    let named = asked.topic.iter().filter(|named| !topics.contains(named));
    for topic in topics.iter().chain(named) {
        if let Some(partitions) = log.partitions(topic).await {
            there.push((topic.clone(), partitions));
        }
    }
    let of_topic = |(topic, partitions): &(String, u32)| {
        let topic: std::sync::Arc<str> = topic.as_str().into();
        let all = (0..*partitions).map(PartitionId);
        let asked_for = all.filter(|p| asked.partition.is_none_or(|asked| asked == *p));
        asked_for
            .map(|partition| TopicPartition {
                topic: topic.clone(),
                partition,
            })
            .collect::<Vec<_>>()
    };
    let wanted = there.iter().filter(|(topic, _)| is_asked_for(topic, asked));
    let found: Vec<_> = wanted.flat_map(of_topic).collect();
    if found.is_empty() {
        let named = there
            .iter()
            .map(|(topic, count)| (prefix.named(topic), *count));
        let there: Vec<_> = named.collect();
        bail!(
            "Kafka has no such partition; it has {}. `xp topics check` says what is missing",
            described(&there)
        );
    }
    Ok(found)
}

struct Reading {
    view: View,
    reader: Box<dyn Reader>,
    /// As Kafka calls it.
    at: TopicPartition,
}

impl Reading {
    async fn open(
        log: &dyn Log,
        prefix: &Prefix,
        at: &TopicPartition,
        asked: &Show,
    ) -> Result<(Self, Bounds)> {
        let bounds = log.bounds(at).await?;
        let named = prefix.at(at);
        let is_judged = at.topic.ends_with(".events");
        if let Some(line) = beheaded(&named, bounds.first) {
            stderr::say(&line);
        }
        // Elsewhere nothing depends on what was before.
        let start = if is_judged {
            bounds.first
        } else {
            asked.from.clamp(bounds.first, bounds.next)
        };
        let mut view = View::new(&named.topic, at.partition, bounds.first);
        view.next = start;
        let reading = Self {
            view,
            reader: log.read(at, start),
            at: named,
        };
        Ok((reading, bounds))
    }

    async fn batch(&mut self, bounds: &Bounds, patience: Duration) -> Result<Vec<Stored>> {
        let missing = self.view.next..bounds.next;
        next_batch(self.reader.as_mut(), &self.at, missing, patience).await
    }
}

/// The next records of a partition that has more, `missing`: nothing for `patience` is an error.
pub(crate) async fn next_batch(
    reader: &mut dyn Reader,
    at: &TopicPartition,
    missing: Range<Offset>,
    patience: Duration,
) -> Result<Vec<Stored>> {
    let batch = tokio::time::timeout(patience, reader.next()).await;
    let batch = batch.with_context(|| {
        let Range { start, end } = missing;
        format!(
            "nothing came of {at} from offset {start} for {patience:?}, although it goes up to {end}"
        )
    })?;
    Ok(batch?)
}

/// Prints what comes, in the order in which it comes.
async fn follow(
    open: Vec<Reading>,
    asked: &Show,
    mut print: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let (sender, mut batches) = mpsc::channel(WAITING_MAX);
    let mut views = Vec::new();
    for reading in open {
        let (sender, index, mut reader) = (sender.clone(), views.len(), reading.reader);
        views.push(reading.view);
        tokio::spawn(async move {
            loop {
                let batch = reader.next().await;
                let is_last = batch.is_err();
                if sender.send((index, batch)).await.is_err() || is_last {
                    return;
                }
            }
        });
    }
    drop(sender);
    while let Some((index, batch)) = batches.recv().await {
        print(&views[index].lines(&batch?, asked))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
