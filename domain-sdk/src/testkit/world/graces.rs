//! Graces: until when sessions without a socket live on (R26).

use std::collections::BTreeMap;
use std::time::Duration;

use xp_protocol::{Address, ConnectionId, TimeMs};

use super::later;

/// The grace of each session that has lost its socket.
pub(in crate::testkit) struct Graces {
    length: Duration,
    ends: BTreeMap<(Address, ConnectionId), TimeMs>,
}

impl Graces {
    pub(super) fn new(length: Duration) -> Self {
        let ends = BTreeMap::new();
        Self { length, ends }
    }

    /// How long those last that begin from now on.
    pub(in crate::testkit) fn set_length(&mut self, length: Duration) {
        self.length = length;
    }

    pub(super) fn begin(&mut self, entity: &Address, connection: ConnectionId, now: TimeMs) {
        let end = later(now, self.length);
        self.ends.insert((entity.clone(), connection), end);
    }

    /// The session has a socket again, or is over.
    pub(super) fn remove(&mut self, entity: &Address, connection: ConnectionId) {
        self.ends.remove(&(entity.clone(), connection));
    }

    /// Whose grace ends when.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Address, ConnectionId, TimeMs)> {
        let ends = self.ends.iter();
        ends.map(|((entity, connection), end)| (entity, *connection, *end))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_socket_that_breaks_again_begins_its_grace_anew() {
        let entity = Address::new("lamp", "1").expect("a category and an id");
        let connection = ConnectionId(Uuid::from_u128(1));
        let mut graces = Graces::new(Duration::from_secs(60));
        let ends = |graces: &Graces| graces.iter().map(|(.., end)| end.0).collect::<Vec<_>>();
        graces.begin(&entity, connection, TimeMs(0));
        graces.set_length(Duration::from_secs(5));
        assert_eq!(ends(&graces), [60_000], "it had begun");
        graces.begin(&entity, connection, TimeMs(1_000));
        assert_eq!(ends(&graces), [6_000]);
        graces.remove(&entity, connection);
        assert!(ends(&graces).is_empty());
    }
}
