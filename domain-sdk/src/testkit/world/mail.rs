//! Words between entities on their way. They arrive in the order in which they were sent.

use std::collections::VecDeque;

use super::Delivery;

/// A test may hold the words that are sent from then on, and let them go later.
#[derive(Default)]
pub(super) struct Mail {
    queue: VecDeque<Delivery>,
    held: Option<VecDeque<Delivery>>,
}

impl Mail {
    /// An entity says something to another.
    pub(super) fn send(&mut self, delivery: Delivery) {
        let held = self.held.as_mut();
        held.unwrap_or(&mut self.queue).push_back(delivery);
    }

    /// What nobody can hold: it is no word of an entity to another on stage.
    pub(super) fn send_at_once(&mut self, delivery: Delivery) {
        self.queue.push_back(delivery);
    }

    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// What was held goes on its way, behind what is on it already.
    pub(super) fn release(&mut self) {
        self.queue.extend(self.held.take().unwrap_or_default());
    }

    /// The next to arrive.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::{Address, ConnectionId};

    use super::*;

    fn ends(n: u128) -> Delivery {
        Delivery::Terminated {
            entity: Address::new("lamp", "1").expect("a category and an id"),
            connection: ConnectionId(Uuid::from_u128(n)),
        }
    }

    fn arrived(mail: &mut Mail) -> Vec<u128> {
        let deliveries = std::iter::from_fn(|| mail.next());
        let which = deliveries.map(|delivery| match delivery {
            Delivery::Terminated { connection, .. } => connection.0.as_u128(),
            Delivery::Tell { .. } | Delivery::Answer { .. } => panic!("nobody sent that"),
        });
        which.collect()
    }

    #[test]
    fn what_is_held_arrives_once_it_is_let_go_and_not_before() {
        let mut mail = Mail::default();
        mail.send(ends(1));
        mail.hold();
        mail.send(ends(2));
        mail.send_at_once(ends(3));
        assert_eq!(arrived(&mut mail), [1, 3]);
        mail.hold();
        mail.send(ends(4));
        mail.release();
        mail.send(ends(5));
        assert_eq!(arrived(&mut mail), [2, 4, 5]);
    }
}
