//! The silent checks of one entity.

use super::super::broken::Broken;
use super::super::kind::Vocabulary;
use super::{Actor, LOG_LENGTH_ALWAYS_FOLDED, Snapshot};
use crate::host::{Decided, Fault, Instance, Outcome, Reply, RosterChange};

/// A hash map of two entries keeps its order in every second reload, so one reload would often miss it.
const RELOADS: u32 = 4;

impl Actor {
    pub(super) fn check_state_now_and_then(&mut self) -> Result<(), Broken> {
        if self
            .log
            .len()
            .is_multiple_of(1 + self.log.len() / LOG_LENGTH_ALWAYS_FOLDED)
        {
            self.check_state()?;
        }
        Ok(())
    }

    /// That the state is the same however it came about.
    pub(in crate::testkit) fn check_state(&mut self) -> Result<(), Broken> {
        let live = self.encoded(&*self.live)?;
        for _ in 0..RELOADS {
            self.same_state("reloaded", &live, &*self.reloaded()?)?;
        }
        self.same_state("folded anew from the log", &live, &*self.refolded()?)?;
        if let Some(tailed) = self.tailed()? {
            self.same_state("from a snapshot and the tail behind it", &live, &*tailed)?;
        }
        // The next check starts from here on every other occasion, so that tails are short and long.
        if self
            .snapshot
            .as_ref()
            .is_none_or(|snapshot| self.log.len() >= snapshot.at + 2)
        {
            self.snapshot = Some(Snapshot {
                at: self.log.len(),
                state: live,
            });
        }
        Ok(())
    }

    pub(super) fn same_state(
        &self,
        how: &str,
        live: &[u8],
        other: &dyn Instance,
    ) -> Result<(), Broken> {
        let other = self.encoded(other)?;
        if live == other {
            return Ok(());
        }
        Err(Broken(format!(
            "the state of {} is another when it is {how}; is there a hash map or a skipped field in it?\n   live: {}\n  other: {}",
            self.address,
            self.kind.state_json(live),
            self.kind.state_json(&other)
        )))
    }

    pub(super) fn encoded(&self, instance: &dyn Instance) -> Result<Vec<u8>, Broken> {
        instance
            .encode()
            .map_err(|fault| Broken(format!("{} cannot be kept: {fault}", self.address)))
    }

    pub(super) fn reloaded(&self) -> Result<Box<dyn Instance>, Broken> {
        if self.log.is_empty() {
            return Ok(self.peopled(self.kind.host().fresh()));
        }
        self.loaded(&self.encoded(&*self.live)?)
    }

    pub(super) fn refolded(&self) -> Result<Box<dyn Instance>, Broken> {
        self.folded_onto(self.kind.host().fresh(), 0)
    }

    pub(super) fn tailed(&self) -> Result<Option<Box<dyn Instance>>, Broken> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(None);
        };
        let from = self.loaded(&snapshot.state)?;
        self.folded_onto(from, snapshot.at).map(Some)
    }

    pub(super) fn loaded(&self, state: &[u8]) -> Result<Box<dyn Instance>, Broken> {
        let loaded = self.kind.host().load(state);
        let instance = loaded
            .map_err(|fault| Broken(format!("{} cannot be loaded again: {fault}", self.address)))?;
        Ok(self.peopled(instance))
    }

    pub(super) fn folded_onto(
        &self,
        mut instance: Box<dyn Instance>,
        at: usize,
    ) -> Result<Box<dyn Instance>, Broken> {
        for events in &self.log[at..] {
            instance.apply(events).map_err(|fault| {
                Broken(format!(
                    "{} could apply its events once, but not again: {fault}",
                    self.address
                ))
            })?;
        }
        Ok(self.peopled(instance))
    }

    pub(super) fn peopled(&self, mut instance: Box<dyn Instance>) -> Box<dyn Instance> {
        for (connection, member) in &self.members {
            let (subject, claims) = (member.user.subject.as_str(), member.user.token());
            let attached = RosterChange::Attached {
                connection: *connection,
                subject,
                claims: &claims,
            };
            instance
                .roster(&attached)
                .expect("these claims were read before");
            if !member.attached {
                instance
                    .roster(&RosterChange::Detached(*connection))
                    .expect("nothing is decoded here");
            }
        }
        instance
    }

    pub(super) fn check_words(&self, decided: &Decided) -> Result<(), Broken> {
        if decided.event_count > 0 {
            for event in self.kind.split(&decided.events) {
                self.kind.survives(Vocabulary::Event, &event)?;
            }
        }
        for show in &decided.shows {
            self.kind.survives(Vocabulary::Output, &show.output)?;
        }
        for (_, signal) in decided.timers.iter().filter_map(|(_, set)| set.as_ref()) {
            self.kind.survives(Vocabulary::Signal, signal)?;
        }
        if let Reply::Now(outcome) = &decided.reply {
            self.check_outcome(outcome)?;
        }
        decided
            .answers
            .iter()
            .try_for_each(|(_, outcome)| self.check_outcome(outcome))
    }

    pub(super) fn check_outcome(&self, outcome: &Outcome) -> Result<(), Broken> {
        match outcome {
            Outcome::Reply(reply) => self.kind.survives(Vocabulary::Reply, reply),
            Outcome::Rejection(rejection) => self.kind.survives(Vocabulary::Rejection, rejection),
            Outcome::Fault => Ok(()),
        }
    }

    pub(super) fn decided_json(&self, decided: &Result<Decided, Fault>) -> String {
        match decided {
            Ok(decided) if decided.event_count > 0 => {
                let events = self.kind.split(&decided.events);
                let events: Vec<String> = events
                    .iter()
                    .map(|event| self.kind.json(Vocabulary::Event, event))
                    .collect();
                format!("events [{}], {decided:?}", events.join(","))
            }
            other => format!("{other:?}"),
        }
    }
}
