//! The roster of an entity: its sessions with their claims decoded, and those whose claims this build cannot read.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_protocol::ConnectionId;

use super::session::Session;

/// The sessions of one entity. Claims are read once, when a session comes; those that cannot be read condemn only the
/// handlers that need them: the session's own, and those that look at everybody.
pub(crate) struct Roster<C> {
    /// Boxed, since a map has room for eleven entries at the least, and most entities have few sessions or none.
    sessions: BTreeMap<ConnectionId, Box<Session<C>>>,
    unread: BTreeMap<ConnectionId, Unread>,
}

struct Unread {
    subject: Arc<str>,
    reason: String,
}

impl<C> Roster<C> {
    pub(crate) const fn new() -> Self {
        Self {
            sessions: BTreeMap::new(),
            unread: BTreeMap::new(),
        }
    }

    pub(crate) fn attach(&mut self, session: Session<C>) {
        self.unread.remove(&session.connection);
        let connection = session.connection;
        self.sessions.insert(connection, Box::new(session));
    }

    /// A session whose claims cannot be read.
    pub(crate) fn attach_unread(
        &mut self,
        connection: ConnectionId,
        subject: &str,
        reason: String,
    ) {
        self.sessions.remove(&connection);
        let subject = Arc::from(subject);
        self.unread.insert(connection, Unread { subject, reason });
    }

    pub(crate) fn detach(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.attached = false;
        }
    }

    pub(crate) fn end(&mut self, connection: ConnectionId) {
        self.sessions.remove(&connection);
        self.unread.remove(&connection);
    }

    pub(crate) fn get(&self, connection: ConnectionId) -> Option<&Session<C>> {
        self.sessions.get(&connection).map(Box::as_ref)
    }

    /// Why the claims of a session cannot be read.
    pub(crate) fn unread(&self, connection: ConnectionId) -> Option<&str> {
        let unread = self.unread.get(&connection)?;
        Some(&unread.reason)
    }

    /// Everybody, with their claims.
    ///
    /// # Panics
    /// When somebody's claims cannot be read: whoever left that one out would decide differently from a build that can.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session<C>> {
        if let Some((connection, Unread { reason, .. })) = self.unread.first_key_value() {
            panic!("the claims of the session {connection} cannot be read: {reason}");
        }
        self.sessions.values().map(Box::as_ref)
    }

    /// Everybody's connection and subject, which need no claims.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = (ConnectionId, &str)> {
        let known = self.sessions.iter().map(|(id, one)| (*id, &*one.subject));
        let unread = self.unread.iter().map(|(id, one)| (*id, &*one.subject));
        known.chain(unread)
    }
}
