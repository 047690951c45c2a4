//! `xp log verify`: whether this binary reads a log from its beginning, before it is deployed. Nothing is written.

mod source;
mod page;
mod pace;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use xp_domain_sdk::host::Registry;
use xp_state_node::verification::{Bounds, Report, Verification};

use crate::Domain;
use crate::command_line::Verify;
use crate::configuration::{self, Overrides};
use crate::process::{self, print};
use pace::Pace;
use page::Totals;
use source::{EventsPartition, Source};

/// Scripts take this neither for a yes nor for a no.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be said whether this binary reads the log")]
pub(crate) struct Undecided;

/// Prints what this binary cannot read, and fails if there is anything.
pub(crate) async fn run(asked: Verify, domain: &Domain) -> Result<()> {
    let totals = verify(&asked, domain).await.context(Undecided)?;
    if let Some(unread) = totals.unread() {
        bail!(unread);
    }
    if let Some(late) = totals.late() {
        return Err(anyhow::Error::msg(late).context(Undecided));
    }
    print(&totals.clean())
}

async fn verify(asked: &Verify, domain: &Domain) -> Result<Totals> {
    process::hosts_something(domain)?;
    let overrides = Overrides::default();
    let loaded = configuration::load(&asked.sources, &overrides, configuration::environment())?;
    let source = Source::open(&loaded.config).await?;
    pace::quiet_panics();
    let verified = all(&source, asked, domain.registry()).await;
    source.close().await?;
    verified
}

async fn all(source: &Source, asked: &Verify, domain: &Registry) -> Result<Totals> {
    let domain = Arc::new(domain.clone());
    let mut totals = Totals::default();
    for partition in source.partitions(asked).await? {
        let first = source.first(&partition).await?;
        let bounds = Bounds {
            bytes_max: asked.memory.0,
            named_max: asked.named,
        };
        let at = partition.partition.clone();
        match Verification::new(Arc::clone(&domain), bounds, at, first) {
            Ok(verification) => {
                let report = replay(source, &partition, verification).await?;
                print(&page::found(&partition.partition, &report))?;
                totals.count(&report);
            }
            Err(late) => {
                print(&page::late(&late))?;
                totals.count_late();
            }
        }
    }
    Ok(totals)
}

/// The log as it was at the start, as often as memory wants it.
async fn replay(
    source: &Source,
    partition: &EventsPartition,
    mut verification: Verification,
) -> Result<Report> {
    let mut pace = Pace::of(&partition.partition);
    let mut end = source.end(partition).await?;
    loop {
        let read = source.read(partition, end, |stored| {
            verification.read(stored);
            pace.went_on(stored.offset, end);
        });
        end = Some(read.await?);
        if !verification.ended() {
            return Ok(verification.report().clone());
        }
        pace.begins_again();
    }
}
