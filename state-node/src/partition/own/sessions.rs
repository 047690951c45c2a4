//! Sessions of edges that are lost (R8, R29).

use xp_protocol::TimeMs;
use xp_protocol::events::Cause;

use super::super::Partition;

impl Partition {
    /// R8, R29: sessions of edges that the view no longer lists are detached.
    pub(in crate::partition) fn check_sessions(&mut self, now: TimeMs) {
        if !self.is_owner() {
            return;
        }
        let candidates: Vec<_> = self
            .watched
            .iter()
            .filter(|(edge, _)| !self.members.is_alive(*edge))
            .cloned()
            .collect();
        for (edge, address) in candidates {
            if let Err(reason) = self.load(&address) {
                return self.set_aside(&reason);
            }
            let Some(entity) = self.entities.get(&address) else {
                continue;
            };
            let lost: Vec<_> = entity
                .runtime
                .sessions()
                .filter(|session| session.is_attached() && session.socket.edge == edge)
                .filter(|session| self.members.has_lost(edge, session.socket.joined))
                .map(|session| session.socket.connection)
                .collect();
            for connection in lost {
                let cause = Cause::Verdict { edge };
                self.run(&address, cause, now, None, now, |turn, entity| {
                    turn.lose_edge(entity, connection)
                });
            }
        }
    }
}
