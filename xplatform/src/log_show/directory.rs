//! The embedded log, from its directory, also while `xp dev` has it open.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use xp_protocol::{Offset, PartitionId};
use xp_transport::embedded;

use super::view::View;
use super::{described, is_asked_for};
use crate::command_line::Show;
use crate::process::print;

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
        views.extend(all.map(|partition| View::new(topic, partition, Offset(0))));
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

/// Reads on from where it stopped.
fn print_new(view: &mut View, dir: &Path, asked: &Show) -> Result<()> {
    for stored in embedded::inspect(dir, &view.topic, view.partition, view.next)? {
        print(&view.lines([&stored?], asked))?;
    }
    Ok(())
}
