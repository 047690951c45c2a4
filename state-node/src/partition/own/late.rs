//! Dials that may be late: the log may land a Connect behind its own goodbye. Who attached the session by it would hold it
//! for ever, because nobody says goodbye twice, and the welcome, which the edge would answer, may be lost. So the edge is
//! asked whether it holds the socket, by a question that is not lost (R27, R28).

use xp_protocol::Address;
use xp_protocol::events::Attachment;
use xp_protocol::outbound::Socket;

use super::super::Partition;

impl Partition {
    /// A goodbye has come: of a dial that its session has not seen yet, it is remembered. Others are doubted anyway.
    pub(in crate::partition) fn note_goodbye(&mut self, address: &Address, socket: Socket) {
        let session = self.session(address, socket.connection);
        let is_early = session.is_none_or(|session| session.is_before(socket.attempt));
        if let Some(owner) = self.owner().filter(|_| is_early) {
            owner.goodbyes.note(address, socket);
        }
    }

    /// The socket of a dial that may be late: it is no later than the last one, or has said goodbye already.
    pub(in crate::partition) fn doubt(
        &mut self,
        address: &Address,
        wanted: &Attachment,
    ) -> Option<Socket> {
        let socket = Socket {
            connection: wanted.connection,
            attempt: wanted.attempt,
        };
        let session = self.session(address, wanted.connection);
        let is_known = session.is_some_and(|session| session.may_have_had(wanted.attempt));
        let owner = self.owner()?;
        let is_doubtful = is_known || owner.goodbyes.has(address, socket);
        (is_doubtful && self.setting.rules.ask_of_late_dials).then_some(socket)
    }

    /// The edge of a session is asked whether it holds this socket, if the session has it now.
    pub(in crate::partition) fn ask_of(&mut self, address: &Address, socket: Socket) {
        let session = self.session(address, socket.connection);
        let Some(session) = session.filter(|session| session.is_socket(socket.attempt)) else {
            return;
        };
        let (edge, partition) = (session.socket.edge, session.socket.outbound);
        self.ask_edge(address, edge, partition, &[socket]);
    }
}
