//! Builds of the domain that cannot read everything that others wrote: for a while a process runs one of them.
//!
//! Each writes its number before its states. What it wrote itself every build can read.

use std::sync::Arc;

use bytes::Bytes;
use xp_domain_sdk::host::{
    Decided, Fault, Host, Input, Instance, Outcome, Payload, Registry, RosterChange, SceneData,
    Welcome,
};
use xp_protocol::{Address, ConnectionId, Revision};
use xp_state_node::action::Action;
use xp_state_node::anew::FoldingAnew;
use xp_state_node::partition::Partition;
use xp_transport::{Now, Stored};

use super::ledger;

/// A build of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// Reads what the blind wrote, and folds anew what the later one wrote.
    Sound,
    /// Has another state version and no upcaster.
    Later,
    /// Cannot read half of the states of others: they have a shape that it does not know.
    Blind,
}

impl Build {
    /// The build of the `n`th process of a run.
    pub(super) fn of(n: usize, seed: u64) -> Self {
        match (n as u64 + seed) % 3 {
            0 => Self::Sound,
            1 => Self::Blind,
            _ => Self::Later,
        }
    }

    /// What a process of this build hosts.
    pub(super) fn domain(self) -> Arc<Registry> {
        let all = ledger::domain();
        let mut registry = Registry::default();
        for category in all.registry().categories() {
            let ledger = all.registry().get(category).expect("it is one of them");
            registry.add(Arc::new(Built {
                build: self,
                ledger: Arc::clone(ledger),
            }));
        }
        Arc::new(registry)
    }

    fn number(self) -> u32 {
        match self {
            Self::Sound => 1,
            Self::Later => 2,
            Self::Blind => 3,
        }
    }

    fn reads(self, found: u32, body: &[u8]) -> Result<(), Fault> {
        let (known, later) = (self.number(), Self::Later.number());
        if found == known {
            return Ok(());
        }
        if found == later || self == Self::Later {
            return Err(Fault::StateVersion { found, known });
        }
        if self == Self::Blind && is_foreign(body) {
            return Err(Fault::Unreadable {
                what: "state",
                reason: "it has a shape of another build".to_owned(),
            });
        }
        Ok(())
    }
}

/// An entity's revision and state, after it was folded anew from its partition's `log` if it has to be.
pub(super) fn read(
    core: &mut Partition,
    address: &Address,
    (domain, log): (&Arc<Registry>, &[Stored]),
    now: Now,
) -> Option<(Revision, Vec<u8>)> {
    core.retry(address, now).ok()?;
    for action in core.actions() {
        if let Action::FoldAnew { upto, entities } = action {
            let mut folding = FoldingAnew::new(domain, entities, upto);
            folding.read(log);
            core.folded_anew(folding.finish(), now);
        }
    }
    core.inspect(address).ok()?
}

/// Half of all states, whichever.
fn is_foreign(body: &[u8]) -> bool {
    body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 2 == 0
}

struct Built {
    build: Build,
    ledger: Arc<dyn Host>,
}

impl Built {
    fn instance(&self, ledger: Box<dyn Instance>) -> Box<dyn Instance> {
        let number = self.build.number();
        Box::new(Living { number, ledger })
    }
}

impl Host for Built {
    fn category(&self) -> &'static str {
        self.ledger.category()
    }

    fn state_version(&self) -> u32 {
        self.build.number()
    }

    fn retention_ms(&self) -> Option<u64> {
        self.ledger.retention_ms()
    }

    fn claims(&self) -> &'static [&'static str] {
        self.ledger.claims()
    }

    fn is_text(&self) -> bool {
        self.ledger.is_text()
    }

    fn fresh(&self) -> Box<dyn Instance> {
        self.instance(self.ledger.fresh())
    }

    fn load(&self, state: &[u8]) -> Result<Box<dyn Instance>, Fault> {
        let (found, body) = state.split_first_chunk().ok_or_else(|| Fault::Unreadable {
            what: "state",
            reason: "it is too short".to_owned(),
        })?;
        self.build.reads(u32::from_le_bytes(*found), body)?;
        let known = self.ledger.state_version().to_le_bytes();
        let ledger = self.ledger.load(&[&known, body].concat())?;
        Ok(self.instance(ledger))
    }

    fn reads_signal(&self, signal: &[u8]) -> Result<(), Fault> {
        self.ledger.reads_signal(signal)
    }

    fn sequence(&self, outputs: &[&[u8]]) -> Bytes {
        self.ledger.sequence(outputs)
    }

    fn concat(&self, events: &[&[u8]]) -> Result<Bytes, Fault> {
        self.ledger.concat(events)
    }

    fn default_reply(&self) -> Bytes {
        self.ledger.default_reply()
    }
}

struct Living {
    number: u32,
    ledger: Box<dyn Instance>,
}

impl Instance for Living {
    fn decide(&self, input: &Input<'_>, scene: &SceneData<'_>) -> Result<Decided, Fault> {
        self.ledger.decide(input, scene)
    }

    fn answer(
        &self,
        by: ConnectionId,
        payload: &Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Outcome, Fault> {
        self.ledger.answer(by, payload, scene)
    }

    fn welcome(&self, by: ConnectionId, scene: &SceneData<'_>) -> Result<Welcome, Fault> {
        self.ledger.welcome(by, scene)
    }

    fn apply(&mut self, events: &[u8]) -> Result<(), Fault> {
        self.ledger.apply(events)
    }

    fn roster(&mut self, change: &RosterChange<'_>) -> Result<(), Fault> {
        self.ledger.roster(change)
    }

    fn encode(&self) -> Result<Vec<u8>, Fault> {
        let mut state = self.ledger.encode()?;
        state[..4].copy_from_slice(&self.number.to_le_bytes());
        Ok(state)
    }
}
