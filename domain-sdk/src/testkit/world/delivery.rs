//! Words between entities arrive.

use bytes::Bytes;
use xp_protocol::Address;

use super::super::actor::{Asking, Waiter};
use super::super::broken::Broken;
use super::{Delivery, OpenAsk, World};
use crate::host::{Input, Origin, Outcome, Termination};

impl World {
    pub(in crate::testkit) fn release(&mut self) -> Result<(), Broken> {
        self.mail.release();
        self.settle()
    }

    /// The test answers an ask that went to an entity which is not on stage.
    pub(in crate::testkit) fn answer_ask(
        &mut self,
        to: &Address,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        let at = self.open_asks.iter().position(|ask| ask.to == *to);
        let ask = at.and_then(|at| self.open_asks.remove(at)).ok_or_else(|| {
            Broken(format!(
                "nobody waits for an answer of {to}; is it on stage, and answers for itself?"
            ))
        })?;
        let OpenAsk { from, to, asking } = ask;
        self.mail.send_at_once(Delivery::Answer {
            from: to,
            to: from,
            asking,
            outcome,
        });
        self.settle()
    }

    /// Delivers until nothing is on its way and no timer is due.
    pub(in crate::testkit) fn settle(&mut self) -> Result<(), Broken> {
        loop {
            if let Some(delivery) = self.mail.next() {
                self.deliver(delivery)?;
            } else if let Some((_, due)) = self.next_due().filter(|(time, _)| *time <= self.now) {
                self.fall_due(due)?;
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) -> Result<(), Broken> {
        match delivery {
            Delivery::Tell {
                from,
                to,
                signal,
                asking,
            } => self.deliver_tell(from, &to, &signal, asking),
            // What asked is over, and what lives there now has asked nobody.
            Delivery::Answer { to, asking, .. } if self.stage(&to).life != asking.life => Ok(()),
            Delivery::Answer {
                from,
                to,
                asking,
                outcome,
            } => {
                let input = Input::Answer {
                    from: &from,
                    continuation: &asking.continuation,
                    outcome: &outcome,
                };
                self.turn(&to, &input, Waiter::Nobody)
            }
            Delivery::Terminated { entity, connection } => {
                self.terminate(&entity, connection, Termination::ByEntity)
            }
        }
    }

    pub(super) fn deliver_tell(
        &mut self,
        from: Address,
        to: &Address,
        signal: &Bytes,
        asking: Option<Asking>,
    ) -> Result<(), Broken> {
        if self.actor(to).is_none() {
            let ask = asking.map(|asking| OpenAsk {
                from,
                to: to.clone(),
                asking,
            });
            self.open_asks.extend(ask);
            return Ok(());
        }
        let origin = Origin::Entity {
            from: &from,
            asked: asking.is_some(),
        };
        let waiter = match asking {
            Some(asking) => Waiter::Asker {
                entity: from.clone(),
                asking,
            },
            None => Waiter::Nobody,
        };
        self.turn(
            to,
            &Input::Signal {
                origin,
                payload: signal,
            },
            waiter,
        )
    }
}
