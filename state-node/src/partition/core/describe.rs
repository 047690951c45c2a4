//! The description of one entity, for those who operate the partition. It changes nothing.

use serde::Serialize;
use xp_domain_sdk::host::Host;
use xp_protocol::events::{Parked, TimerKey, Waiting};
use xp_protocol::utc::utc;
use xp_protocol::{Address, TimeMs};

use super::Core;
use crate::entity::{Cure, Entity, Phase, Quarantine, Session};

/// At most this many sessions, timers and parked things are listed; their counts are whole.
const LISTED_MAX: usize = 100;

/// One entity, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The entity's address, `category/id`.
    pub address: Address,
    /// How many commits it has seen.
    pub revision: u64,
    /// Whether it has recorded an event since it began or ended.
    pub exists: bool,
    /// How many sessions are remembered.
    pub session_count: usize,
    /// The first of them.
    pub sessions: Vec<String>,
    /// The first of its timers, in no order; what is parked has one of its own, which is not among them.
    pub timers: Vec<Due>,
    /// Set when this build cannot read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Reason>,
    /// How much waits for it (R44).
    pub parked_count: usize,
    /// The first of what waits, in order.
    pub parked: Vec<String>,
}

/// A domain timer or one of the platform's, with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The timer's name; for one of the platform's, what it is for.
    pub timer: String,
    /// When it is due, in UTC. In quarantine it stays due.
    pub due: String,
}

/// Why and since when an entity is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// In UTC, by the clock of the node that set it aside.
    pub since: String,
    /// What could not be read.
    pub reason: String,
    /// What would mend it.
    pub cure: &'static str,
    /// How many commits lie behind its last good state and could not be applied.
    pub unapplied: usize,
}

impl Core {
    /// One entity as this node has it; `None` when there is none.
    ///
    /// # Errors
    /// When its snapshot cannot be read at all.
    pub(in crate::partition) fn describe(
        &mut self,
        address: &Address,
    ) -> Result<Option<Description>, String> {
        self.load(address)?;
        let entity = self.residents.get(address);
        let host = self.setting.domain.get(address.category());
        let known = entity.zip(host);
        Ok(known.map(|(entity, host)| describe(address, entity, host.as_ref())))
    }
}

fn describe(address: &Address, entity: &Entity, host: &dyn Host) -> Description {
    let runtime = &entity.runtime;
    let timers = entity.timers(host);
    let timers = timers.filter(|(_, key)| *key != TimerKey::Parked);
    Description {
        address: address.clone(),
        revision: runtime.revision.0,
        exists: runtime.exists,
        session_count: runtime.sessions().count(),
        sessions: runtime.sessions().take(LISTED_MAX).map(session).collect(),
        timers: timers.take(LISTED_MAX).map(timer).collect(),
        quarantine: entity.quarantine.as_deref().map(reason),
        parked_count: runtime.parked.len(),
        parked: runtime.parked.iter().take(LISTED_MAX).map(parked).collect(),
    }
}

fn session(session: &Session) -> String {
    let who = format!(
        "{} of {}",
        session.socket.connection, session.socket.subject
    );
    match session.phase {
        Phase::Attached => format!("{who}: attached, {} taken", session.n),
        Phase::Detached { until, .. } => format!("{who}: may come back until {}", utc(until)),
        Phase::Ended { until } => format!("{who}: over, remembered until {}", utc(until)),
        Phase::EndedWithEntity { until } => {
            format!(
                "{who}: over with its entity, remembered until {}",
                utc(until)
            )
        }
    }
}

fn timer((due, key): (TimeMs, TimerKey)) -> Due {
    let timer = match key {
        TimerKey::Domain(name) => name.to_string(),
        TimerKey::Grace(connection) => format!("the grace of {connection}"),
        TimerKey::Forget(connection) => format!("the memory of {connection}"),
        TimerKey::Ticket(ticket) => format!("ticket {ticket}"),
        TimerKey::Parked => "what is parked".to_owned(),
        TimerKey::Retention => "the end of an entity that nobody uses".to_owned(),
    };
    Due {
        timer,
        due: utc(due),
    }
}

fn reason(quarantine: &Quarantine) -> Reason {
    let cure = match quarantine.cure {
        Cure::Build => "a build that can read it",
        Cure::FoldAnew => {
            "`read_state`, or its events folded anew, which takes one reading of the log"
        }
        Cure::Reopen => "its partition opened anew, which happens by itself",
        Cure::Replay => "a build that can read it, and its partition's log replayed with that",
        Cure::Restore => "its partition's snapshots restored",
    };
    Reason {
        since: utc(quarantine.since),
        reason: quarantine.reason.clone(),
        cure,
        unapplied: quarantine.unapplied().len(),
    }
}

fn parked(Parked { at, what }: &Parked) -> String {
    let at = utc(*at);
    match what {
        Waiting::Told { from, payload, .. } => {
            format!("{at} {from} says {}", String::from_utf8_lossy(payload))
        }
        Waiting::Disconnect { connection, .. } => {
            format!("{at} the socket of {connection} is gone")
        }
    }
}
