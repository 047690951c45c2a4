//! Sessions of edges that are lost (R8, R29).

use xp_protocol::events::Cause;
use xp_protocol::{Address, ConnectionId, Incarnation};
use xp_transport::Now;

use super::super::Partition;

impl Partition {
    /// R8, R29: sessions of edges that the view no longer lists are detached.
    pub(in crate::partition) fn check_sessions(&mut self, now: Now) {
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
            self.lose_edge(&address, edge, now);
        }
    }

    /// R29: one commit for all sessions of the entity on that edge; more only when one record cannot hold them.
    fn lose_edge(&mut self, address: &Address, edge: Incarnation, now: Now) {
        if let Err(reason) = self.load(address) {
            return self.set_aside(&reason);
        }
        let mut lost = self.lost_sessions(address, edge);
        while !lost.is_empty() {
            let cause = Cause::Verdict { edge };
            self.run(address, cause, now.time, None, now, |turn, entity| {
                turn.lose_edge(entity, &lost)
            });
            let left = self.lost_sessions(address, edge);
            // An owner that may not decide any more detaches nobody; whoever comes next checks again (R8).
            if left.len() == lost.len() {
                return;
            }
            lost = left;
        }
    }

    fn lost_sessions(&self, address: &Address, edge: Incarnation) -> Vec<ConnectionId> {
        let sessions = self
            .entities
            .get(address)
            .into_iter()
            .flat_map(|entity| entity.runtime.sessions());
        sessions
            .filter(|session| session.is_attached() && session.socket.edge == edge)
            .filter(|session| self.members.has_lost(edge, session.socket.joined))
            .map(|session| session.socket.connection)
            .collect()
    }
}
