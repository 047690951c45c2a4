//! Owning: turns become commits, commits are acknowledged at the offset where they must be, and what they say
//! leaves through the gate (R8–R15).

mod sessions;
mod timers;
mod run;
mod commit;
mod welcome;
mod resume;
mod deliver;
mod telling;
mod positions;
mod append;
mod caution;
mod hole;
mod late;
mod lag;

use xp_protocol::{Offset, Seq};
use xp_transport::Now;

use super::{Caution, Checkpointed, Owner, Partition, Role};
use crate::action::Action;
use crate::draft::chain_records;
use crate::gate::{Bound, Emitter, Gate, Output};
use crate::tells::Tells;

impl Partition {
    /// R8: the claim has been read back. First everything that may not have gone out goes out again, then the
    /// sessions are checked against the view, then inbound is read.
    pub(super) fn begin_owning(&mut self, caution: Caution, now: Now) {
        let base = self.epoch().0;
        let bound = Bound {
            records: self.setting.limits.outbound_records_max,
            bytes: self.setting.limits.outbound_bytes_max,
        };
        let inbound = self.fold.inbound;
        let tells = self.fold.outstanding.ends();
        let tells = tells
            .map(|(target, first, last)| (target.clone(), Tells::again(first, last)))
            .collect();
        self.role = Role::Owning(Box::new(Owner {
            base,
            committed: Seq(0),
            uncommitted: Default::default(),
            acknowledged: Default::default(),
            round: 0,
            fresh: Vec::new(),
            reading_gap: false,
            repeat_at: None,
            failing: false,
            gate: Gate::default(),
            emitter: Emitter::new(self.setting.rules, bound),
            emit_again_at: None,
            leased: Vec::new(),
            inbound,
            checkpointed: Checkpointed {
                at: now.running,
                inbound,
                sent: self.fold.sent,
                effects_before: Offset(0),
                tells: Default::default(),
            },
            tells,
            put_off: Default::default(),
            tells_taken_dirty: Default::default(),
            large: Default::default(),
            welcomes: Default::default(),
            resumes: Default::default(),
            scans: Default::default(),
            scan: None,
            next_scan: 0,
            held: Default::default(),
            caution,
            wary_until: None,
            releasing: false,
            displaced: false,
            spoilt: false,
            released: None,
            snapshot: None,
            hole: None,
            goodbyes: Default::default(),
            missed: 0,
            missed_said: None,
            untold: Default::default(),
        }));
        if self.setting.rules.emit_again {
            self.send_again();
        }
        self.say_where_it_begins();
        self.repeat_tells(now);
        self.check_sessions(now);
        if !matches!(caution, Caution::None) {
            self.actions.push(Action::FindInboundEnd);
        }
        self.actions.push(Action::ReadInbound { from: inbound });
        // The welcomes among them wait for nothing.
        self.drain(now);
    }

    fn send_again(&mut self) {
        for unsent in std::mem::take(&mut self.unsent) {
            let records: Vec<_> = chain_records(&unsent.address, &unsent.commit).collect();
            if let Some(owner) = self.owner() {
                for (partition, record) in records {
                    let output = Output::Chain(partition, record);
                    owner.gate.push_open(unsent.offset, output);
                }
            }
            self.welcome_again(&unsent);
        }
    }

    fn expected(&self, seq: Seq) -> Offset {
        match &self.role {
            Role::Owning(owner) => Offset(owner.base + seq.0),
            Role::Following(_) | Role::Over => Offset(0),
        }
    }

    /// What is committed has left, but for what flies and what is held until it has arrived.
    fn sent(&self) -> Offset {
        match &self.role {
            Role::Owning(owner) => {
                let next = Offset(owner.base + owner.committed.0 + 1);
                let held = owner.gate.held().unwrap_or(next);
                owner.emitter.sent(next).min(held)
            }
            Role::Following(_) | Role::Over => self.fold.sent,
        }
    }
}
