//! Tells, turns for other entities: their signals, and their answers to what this one asked (R34).

use bytes::Bytes;
use xp_domain_sdk::host::{Fault, Input, Origin, Outcome, Reply};
use xp_protocol::events::{Awaiter, Change};
use xp_protocol::inbound::{AnswerKind, TellContent};
use xp_protocol::{Address, LanePartition};

use super::effects::Drafting;
use super::{Turn, Turned, unread};
use crate::entity::Entity;

impl Turn<'_> {
    /// R34: another entity's tell, already found to be the next of its source.
    pub fn tell(
        self,
        entity: &Entity,
        (source, number): (LanePartition, u64),
        from: &Address,
        what: &TellContent,
        payload: &[u8],
    ) -> Turned {
        if self.parks(entity) {
            return self.park_tell(entity, (source, number), from, what, payload);
        }
        let mut draft = self.draft(entity);
        let taken = source.clone();
        draft.changes.push(Change::TellTaken {
            source: taken,
            number,
        });
        let mut drafting = self.drafting(entity, &mut draft);
        match drafting.take_tell(from, what, payload) {
            Ok(()) => Turned::Commit(Box::new(draft)),
            Err(fault) => {
                let parked = self.park_tell(entity, (source, number), from, what, payload);
                unread(fault, parked)
            }
        }
    }
}

impl Drafting<'_> {
    /// What a tell does, now or after it was parked.
    ///
    /// # Errors
    /// R44: when this build cannot read it, so that it must wait.
    pub(super) fn take_tell(
        &mut self,
        from: &Address,
        what: &TellContent,
        payload: &[u8],
    ) -> Result<(), Fault> {
        match what {
            TellContent::Signal { conversation } => self.take_signal(from, *conversation, payload),
            TellContent::Answer { conversation, kind } => {
                let outcome = outcome(*kind, payload);
                self.take_answer(from, *conversation, outcome)
            }
        }
    }

    fn take_signal(
        &mut self,
        from: &Address,
        conversation: Option<u64>,
        payload: &[u8],
    ) -> Result<(), Fault> {
        let origin = Origin::Entity {
            from,
            asked: conversation.is_some(),
        };
        let awaiter = conversation.map(|conversation| Awaiter::Entity {
            address: from.clone(),
            conversation,
        });
        self.draft.awaiter.clone_from(&awaiter);
        match self
            .turn
            .hear(self.entity, &Input::Signal { origin, payload })?
        {
            Ok(decided) => {
                if let (None, Reply::Now(Outcome::Rejection(_))) = (conversation, &decided.reply) {
                    tracing::warn!(entity = %self.turn.address, %from, "a told signal was refused");
                }
                self.answered(decided, awaiter);
            }
            Err(failure) => self.fault(awaiter, &failure),
        }
        Ok(())
    }

    fn take_answer(
        &mut self,
        from: &Address,
        conversation: u64,
        outcome: Outcome,
    ) -> Result<(), Fault> {
        let continuation = self
            .entity
            .runtime
            .busy
            .as_ref()
            .and_then(|busy| busy.conversations.get(&conversation));
        let Some(continuation) = continuation else {
            tracing::warn!(entity = %self.turn.address, %from, conversation, "an answer came that nobody asked for");
            return Ok(());
        };
        self.draft.changes.push(Change::AskClosed(conversation));
        let input = Input::Answer {
            from,
            continuation,
            outcome: &outcome,
        };
        let decided = self.turn.hear(self.entity, &input)?;
        self.heard(decided, None);
        Ok(())
    }
}

fn outcome(kind: AnswerKind, payload: &[u8]) -> Outcome {
    let payload = Bytes::copy_from_slice(payload);
    match kind {
        AnswerKind::Reply => Outcome::Reply(payload),
        AnswerKind::Rejection => Outcome::Rejection(payload),
        AnswerKind::Fault => Outcome::Fault,
    }
}
