//! The identity of an edge: which process it is, where it joined the cluster, and what it listens to.

use xp_cluster::Members;
use xp_cluster::members::End;
use xp_protocol::cluster::{Member, Who};
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::outbound::Socket;
use xp_protocol::{Incarnation, Offset, PartitionId, Revision, TimeMs};

/// Fixed for as long as the process is a member (R25).
pub(crate) struct NodeIdentity {
    incarnation: Incarnation,
    /// As it introduces itself.
    who: Who,
    joined: Offset,
    outbound: PartitionId,
}

impl NodeIdentity {
    /// That of an edge that joined at this offset of the `cluster` log.
    pub(crate) fn new(
        incarnation: Incarnation,
        who: Who,
        joined: Offset,
        outbound: PartitionId,
    ) -> Self {
        Self {
            incarnation,
            who,
            joined,
            outbound,
        }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The outbound partition that it reads of each lane (R25).
    pub(crate) fn outbound(&self) -> PartitionId {
        self.outbound
    }

    /// A heartbeat.
    pub(crate) fn alive(&self, sent: TimeMs) -> Member {
        Member::Alive {
            incarnation: self.incarnation,
            who: self.who.clone(),
            joined: self.joined,
            sent,
            leaving: false,
            warm: Vec::new(),
        }
    }

    /// How a client comes to an entity: by this edge, which state nodes judge by where it joined (R29).
    pub(crate) fn connect(&self, subject: Box<str>, since: Option<Revision>) -> ClientAction {
        ClientAction::Connect {
            subject,
            since,
            outbound: self.outbound,
            joined: self.joined,
        }
    }

    /// The envelope of what a socket's client does.
    pub(crate) fn says(
        &self,
        time: TimeMs,
        socket: Socket,
        trace: Option<Box<str>>,
        action: ClientAction,
    ) -> Inbound {
        Inbound {
            time,
            trace,
            message: Message::Client {
                edge: self.incarnation,
                connection: socket.connection,
                attempt: socket.attempt,
                action,
            },
        }
    }

    /// Why the cluster has it as a member no longer; none while it has, or has not read of it yet. Forgotten is only who
    /// has been away for very long.
    pub(crate) fn end(&self, members: &Members) -> Option<End> {
        let is_lost = members.has_lost(self.incarnation, self.joined);
        is_lost.then(|| members.end(self.incarnation).unwrap_or(End::Silent))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::cluster::Kind;

    use super::*;

    #[test]
    fn an_edge_is_lost_once_the_fold_has_passed_its_join_and_does_not_list_it() {
        let incarnation = Incarnation(Uuid::from_u128(1));
        let outbound = PartitionId(2);
        let who = Who::new("edge", Kind::Edge { outbound });
        let identity = NodeIdentity::new(incarnation, who.clone(), Offset(1), outbound);
        let mut members = Members::new(1);
        let other = Incarnation(Uuid::from_u128(2));
        members.apply(Offset(0), TimeMs(0), &Member::Leave { incarnation: other });
        assert_eq!(identity.end(&members), None, "its join is not read yet");
        members.apply(Offset(1), TimeMs(0), &Member::Join { incarnation, who });
        assert_eq!(identity.end(&members), None);
        members.apply(Offset(2), TimeMs(0), &Member::Leave { incarnation });
        assert_eq!(identity.end(&members), Some(End::Left));
        let mut forgot = Members::new(1);
        forgot.apply(Offset(5), TimeMs(0), &Member::Leave { incarnation: other });
        assert_eq!(identity.end(&forgot), Some(End::Silent));
    }
}
