//! `xp cluster`: who is there, who owns what, and asking for it to be otherwise. It reads the `cluster` log as every
//! node does, so what it shows is what the nodes act on.

pub(crate) mod whereabouts;
pub(crate) mod disconnect;
mod page;
mod request;
mod picture;
mod claimed;
mod following;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use xp_runtime::Config;
use xp_transport::Log;
use xp_transport::kafka::Kafka;

use crate::command_line::{Cluster, Shape, Sources};
use crate::configuration::{self, Overrides};
use crate::process::print;
use claimed::claims;
use following::Following;
use picture::Picture;
use request::Request;

/// Who asks, in the brokers' logs.
const CLIENT: &str = "xp-cluster";
/// For how long somebody's message is waited for. A state node says ten times a second that it lives.
const LISTEN: Duration = Duration::from_secs(1);
/// For how long a partition's log is looked at to see whose claim it goes by.
const LOOK: Duration = Duration::from_secs(3);

/// Prints what was asked for, or asks for a change and waits for it.
pub(crate) async fn run(asked: Cluster) -> Result<()> {
    let (log, generation, patience) = open(asked.sources()).await?;
    let done = answer(&log, generation, patience, asked).await;
    close(log).await?;
    let answer = done?;
    print(&answer.text)?;
    match answer.failure {
        Some(failure) => bail!(failure),
        None => Ok(()),
    }
}

/// What is printed, and why the command failed all the same, if it did.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    text: String,
    failure: Option<String>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self {
            text,
            failure: None,
        }
    }
}

async fn open(sources: &Sources) -> Result<(Kafka, u64, Duration)> {
    let loaded = configuration::load(sources, &Overrides::default(), configuration::environment())?;
    connect(&loaded.config).await
}

/// The end of a client blocks.
async fn close(log: Kafka) -> Result<()> {
    Ok(tokio::task::spawn_blocking(move || drop(log)).await?)
}

async fn connect(config: &Config) -> Result<(Kafka, u64, Duration)> {
    let kafka = config.kafka.as_ref().context(
        "the configuration has no section [kafka], so the log is the embedded one, and its one process is the whole cluster: ask its /ready, and `xp log show`",
    )?;
    let settings = config.kafka_settings(kafka, CLIENT)?;
    let (patience, generation) = (settings.connect_timeout, config.cluster_generation());
    Ok((Kafka::connect(settings).await?, generation, patience))
}

async fn answer(
    log: &dyn Log,
    generation: u64,
    patience: Duration,
    asked: Cluster,
) -> Result<Answer> {
    let mut following = Following::enter(log, generation, patience).await?;
    match asked {
        Cluster::Status(Shape { json, .. }) => {
            let picture = looked_at(log, &mut following).await?;
            let text = shaped(json, &picture, page::status);
            let failure = picture.failure();
            Ok(Answer {
                text: text?,
                failure,
            })
        }
        Cluster::Members(Shape { json, .. }) => {
            let picture = picture(&mut following).await?;
            shaped(json, &picture.members, |members| page::members(members)).map(Answer::from)
        }
        Cluster::Partitions { shape, lane } => {
            let picture = looked_at(log, &mut following).await?;
            let partitions = picture.of_lane(lane.as_deref())?;
            shaped(shape.json, &partitions, |rows| page::partitions(rows)).map(Answer::from)
        }
        Cluster::Drain {
            node, undo, wait, ..
        } => {
            let request = Request::drain(&following.members, &node, !undo)?;
            fulfil(log, &mut following, &request, wait).await
        }
        Cluster::Move {
            partition,
            to,
            wait,
            ..
        } => {
            let request = Request::moving(&following.members, &partition, to.as_deref())?;
            fulfil(log, &mut following, &request, wait).await
        }
    }
}

/// What holds once somebody has spoken, or nobody has for a while.
async fn picture(following: &mut Following) -> Result<Picture> {
    let is_silent = !following.hear(LISTEN).await?;
    Ok(Picture::of(&following.members, is_silent))
}

/// The same, and who owns in fact beside who should.
async fn looked_at(log: &dyn Log, following: &mut Following) -> Result<Picture> {
    let picture = picture(following).await?;
    let members = &following.members;
    let claims = claims(log, members.partitions().cloned(), LOOK).await;
    Ok(picture.beside(members, &claims))
}

fn shaped<T: Serialize>(json: bool, what: &T, page: impl Fn(&T) -> String) -> Result<String> {
    if json {
        return Ok(serde_json::to_string_pretty(what)? + "\n");
    }
    Ok(page(what))
}

/// Appends the request and waits until the nodes' fold shows what it was for.
async fn fulfil(
    log: &dyn Log,
    following: &mut Following,
    request: &Request,
    wait: Duration,
) -> Result<Answer> {
    let at = xp_cluster::log::append(log, &request.record())
        .await
        .context("the cluster log did not take it; nothing was changed, or it will be later: `xp cluster status` tells")?;
    let holds = following.until(wait, |members| {
        members.next() > at && request.holds(members)
    });
    if holds.await? {
        return Ok(request.done(&following.members).into());
    }
    bail!(request.waits(&following.members, wait))
}

#[cfg(test)]
mod tests;
