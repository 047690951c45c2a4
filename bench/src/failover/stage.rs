//! The run of one fault in every trial, and the entities that it concerns.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use xp_protocol::cluster::Member;
use xp_protocol::lane::events_topic;

use super::Asked;
use super::bare::Bare;
use super::cluster::{Cluster, LANE, PARTITIONS, SEVERABLE, STATE_NODES};
use super::fault::Fault;
use super::load::Load;
use super::owners::{Owned, Owners, lane_partition, pause};
use super::ready::all_ready;
use super::report::Outcome;
use crate::figures::now;

/// How long something stands still or is cut off.
const LONG: Duration = Duration::from_secs(5);
/// For how long commands still belong to a trial whose fault is over.
const AFTERMATH: Duration = Duration::from_millis(1_500);

/// How long it takes at the most until every entity has set its timer.
const TIMERS_SET: Duration = Duration::from_millis(200);
/// How long the only broker stands still, and how long it is away before it is started again.
const STOPPED: Duration = Duration::from_secs(4);
const AWAY: Duration = Duration::from_millis(1_100);
/// How long a stuttering owner stands still each time, and how long it goes on in between, in milliseconds.
const STUTTER_MS: [(u64, u64); 6] = [
    (500, 120),
    (900, 60),
    (650, 200),
    (800, 90),
    (550, 40),
    (900, 150),
];

/// A cluster under load.
pub(super) struct Stage {
    cluster: Cluster,
    owners: Owners,
    asked: Asked,
}

impl Stage {
    pub(super) fn set(cluster: Cluster, asked: &Asked) -> Result<Self> {
        let owners = Owners::at(&cluster.kafka.bootstrap())?;
        owners.calm()?;
        if asked.cells > 0 {
            cluster.fill(asked.cells)?;
        }
        Ok(Self {
            cluster,
            owners,
            asked: asked.clone(),
        })
    }

    pub(super) fn trials(&mut self, fault: Fault, trials: u32) -> Result<Outcome> {
        let every = Duration::from_millis(self.asked.every_ms);
        let load = Load::start(
            &self.cluster.doors,
            fault.name(),
            self.asked.entities,
            every,
        )?;
        load.waits(now())?;
        let mut outcome = Outcome::of(fault);
        let bootstrap = self.cluster.kafka.bootstrap();
        let bare = fault.is_of_brokers().then(|| Bare::start(&bootstrap));
        let bare = bare.transpose()?;
        let started = now();
        let bound = Duration::from_secs(60 * self.asked.row_minutes);
        for trial in 0..trials {
            if started.elapsed() > bound {
                eprintln!("  {trial} of {trials} trials: --row-minutes are over");
                break;
            }
            let owned = self.owners.calm()?;
            load.waits(now())?;
            let began = now();
            let timers = fault.timers_due();
            if let Some(after) = timers {
                load.set_timers(after);
                pause(TIMERS_SET);
            }
            let concerned = self.strike(fault, trial, &owned)?;
            let answers = now();
            if timers.is_some() {
                let ready = all_ready(&self.cluster.answering())?;
                outcome.ready.push(ready.saturating_duration_since(answers));
                outcome.late.push(load.late()?);
            }
            let ended = now() + AFTERMATH;
            pause(AFTERMATH);
            if let Some(bare) = &bare {
                outcome.bare.push(bare.longest(began, ended)?);
            }
            outcome
                .pauses
                .push(pauses(&load, &concerned, began, ended)?);
            self.mend(fault, trial, &owned)?;
            eprintln!("  {}: {}", trial + 1, outcome.last());
        }
        outcome.damage = load.end()?;
        Ok(outcome)
    }

    /// Returns the partitions concerned, when the fault is over as far as it has a length.
    fn strike(&mut self, fault: Fault, trial: u32, owned: &Owned) -> Result<BTreeSet<u32>> {
        let victim = victim(owned, trial);
        match fault {
            Fault::Nothing => {
                pause(LONG);
                return Ok(owned.keys().copied().collect());
            }
            Fault::Killed => self.cluster.kill(victim)?,
            Fault::Paused => {
                self.cluster.signal(victim, Signal::STOP)?;
                pause(LONG);
                self.cluster.signal(victim, Signal::CONT)?;
            }
            Fault::Stuttering => {
                for (still, goes_on) in STUTTER_MS {
                    self.cluster.signal(victim, Signal::STOP)?;
                    pause(Duration::from_millis(still));
                    self.cluster.signal(victim, Signal::CONT)?;
                    pause(Duration::from_millis(goes_on));
                }
            }
            Fault::BrokerStopped => {
                self.cluster.kafka.pause(0)?;
                pause(STOPPED);
                self.cluster.kafka.resume(0)?;
                return Ok(owned.keys().copied().collect());
            }
            Fault::BrokerRestarted => {
                self.cluster.kafka.kill(0)?;
                pause(AWAY);
                self.cluster.kafka.restart(0)?;
                return Ok(owned.keys().copied().collect());
            }
            Fault::CutOff => {
                self.cluster.kafka.cut();
                pause(LONG);
                self.cluster.kafka.mend();
                return Ok(owned_by(owned, SEVERABLE));
            }
            Fault::Handover => {
                let partition = trial % PARTITIONS;
                let to = self.owners.mirror(partition)?;
                self.move_to(partition, Some(&to))?;
                return Ok(BTreeSet::from([partition]));
            }
            Fault::Rolling => {
                for node in STATE_NODES {
                    self.cluster.terminate(node)?;
                    self.cluster.restart(node)?;
                    self.owners.calm()?;
                }
                return Ok(owned.keys().copied().collect());
            }
            Fault::Broker => {
                let leader = self.leader()?;
                self.cluster.kafka.kill(leader)?;
                // A broker's death is noticed by the others within their session timeout.
                pause(LONG);
                self.cluster.kafka.restart(leader)?;
                return Ok(owned.keys().copied().collect());
            }
        }
        Ok(owned_by(owned, victim))
    }

    fn mend(&mut self, fault: Fault, trial: u32, owned: &Owned) -> Result<()> {
        match fault {
            Fault::Killed => self.cluster.restart(victim(owned, trial)),
            Fault::Handover => self.move_to(trial % PARTITIONS, None),
            // Who was given up again and again waits longer and longer before it joins again; a new process does not.
            Fault::Paused | Fault::Stuttering => self.cluster.renew(victim(owned, trial)),
            Fault::CutOff => self.cluster.renew(SEVERABLE),
            Fault::Nothing
            | Fault::Rolling
            | Fault::BrokerStopped
            | Fault::BrokerRestarted
            | Fault::Broker => Ok(()),
        }
    }

    fn move_to(&self, partition: u32, to: Option<&str>) -> Result<()> {
        self.owners.say(&Member::Move {
            partition: lane_partition(partition),
            to: to.map(Into::into),
        })
    }

    fn leader(&self) -> Result<usize> {
        self.cluster.kafka.leader(&events_topic(LANE), 0)
    }
}

/// The state nodes that own something, in turn.
fn victim(owned: &Owned, trial: u32) -> &'static str {
    let owns = |node: &&&str| owned.values().any(|owner| owner == **node);
    let owning: Vec<_> = STATE_NODES.iter().filter(owns).copied().collect();
    owning[trial as usize % owning.len()]
}

fn owned_by(owned: &Owned, node: &str) -> BTreeSet<u32> {
    let its_own = owned.iter().filter(|(_, owner)| *owner == node);
    its_own.map(|(partition, _)| *partition).collect()
}

/// The longest wait of each entity on these partitions.
fn pauses(
    load: &Load,
    concerned: &BTreeSet<u32>,
    began: Instant,
    ended: Instant,
) -> Result<Vec<Duration>> {
    let waits = load.waits(ended)?;
    let entities = (0..).zip(&load.partitions);
    let entities = entities.filter(|(_, partition)| concerned.contains(partition));
    let longest = |entity: u32| {
        let its_own = waits.iter().filter(|wait| wait.entity == entity);
        let in_time = its_own.filter(|wait| (began..ended).contains(&wait.due));
        in_time.map(|wait| wait.lasted).max()
    };
    let all = entities.map(|(entity, _)| longest(entity));
    all.collect::<Option<_>>()
        .context("every entity has a command in every trial")
}
