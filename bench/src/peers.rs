//! The peers: servers of others that do a part of what the platform does, measured in the same run with the same sockets,
//! payload and floors, one after the other.
//!
//! `cargo xtask bench peers` installs them, and hands on what could not be had. Each server gets one core; none of them
//! is tuned beyond what its maker recommends. A peer that fails is named with the reason, and the others go on.

mod measure;
mod subject;
mod list;
mod start;
mod restate;
mod nats;
mod centrifuge;
mod socket_io;
mod plain;
mod speech;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::report::{Absent, Report, Row};
use crate::scale::Scale;
use list::{PEERS, Peer};
use measure::{Measured, Measurement};
use subject::Subject;

#[derive(Clone, Debug, Args)]
pub(crate) struct Asked {
    /// Folders of some of the peers; without any it is all of them
    peers: Vec<String>,
    /// Where they are installed, a folder each
    #[arg(long)]
    installed: PathBuf,
    /// A folder that is not there, and why
    #[arg(long, value_name = "FOLDER=REASON", value_parser = missing)]
    missing: Vec<(String, String)>,
    /// Write the figures to this file
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Only try that everything works, in a small way
    #[arg(long)]
    pub(crate) smoke: bool,
}

fn missing(text: &str) -> Result<(String, String), String> {
    let (folder, reason) = text.split_once('=').ok_or("write FOLDER=REASON")?;
    Ok((folder.to_owned(), reason.to_owned()))
}

/// The platform first, then each peer, into the report.
pub(crate) async fn measure(asked: &Asked, report: &mut Report) -> Result<()> {
    for name in &asked.peers {
        let is_known = PEERS.iter().any(|peer| peer.folder == name);
        ensure!(
            is_known,
            "there is no peer `{name}`: {}",
            folders().join(", ")
        );
    }
    let platform = Subject::platform()?;
    asked.take(&platform, PLATFORM, report).await;
    drop(platform);
    for peer in &PEERS {
        if asked.peers.is_empty() || asked.peers.iter().any(|name| peer.folder == name) {
            let name = peer.full_name(&asked.installed);
            match asked.start(peer).await {
                Ok(subject) => asked.take(&subject, &name, report).await,
                Err(reason) => absent(report, &name, format!("{reason:#}")),
            }
        }
    }
    report.rows = side_by_side(std::mem::take(&mut report.rows));
    Ok(())
}

/// As all pages call it.
pub(crate) const PLATFORM: &str = "platform";

fn folders() -> Vec<&'static str> {
    let mut folders: Vec<_> = PEERS.iter().map(|peer| peer.folder).collect();
    folders.dedup();
    folders
}

impl Asked {
    async fn start<'a>(&self, peer: &'a Peer) -> Result<Subject<'a>> {
        let missing = self
            .missing
            .iter()
            .find(|(folder, _)| folder == peer.folder);
        if let Some((_, reason)) = missing {
            anyhow::bail!("{reason}");
        }
        Subject::peer(peer, &self.installed).await
    }

    #[expect(clippy::print_stdout, reason = "the run takes minutes")]
    async fn take(&self, subject: &Subject<'_>, name: &str, report: &mut Report) {
        let scale = match self.smoke {
            true => Scale::Smoke,
            false => Scale::Full,
        };
        let Measured { rows, left_out } = Measurement::of(subject, name, scale).run().await;
        for row in rows {
            println!("{name}: {row}");
            report.rows.push(row);
        }
        for reason in left_out {
            absent(report, name, reason);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the run takes minutes")]
fn absent(report: &mut Report, name: &str, reason: String) {
    println!("{name}: NOT MEASURED: {reason}");
    let name = name.to_owned();
    report.absent.push(Absent { name, reason });
}

/// What is of the same case and figure together, in the order in which each first came.
fn side_by_side(rows: Vec<Row>) -> Vec<Row> {
    let key = |row: &Row| [&row.workload, &row.case, &row.what].map(Clone::clone);
    let mut groups: Vec<([String; 3], Vec<Row>)> = Vec::new();
    for row in rows {
        let key = key(&row);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups.into_iter().flat_map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests;
