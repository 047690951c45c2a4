use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xp_protocol::{ConnectionId, TicketId};

/// A session, attached or within its grace.
#[derive(Clone, Debug)]
pub struct Session<C> {
    pub(crate) connection: ConnectionId,
    pub(crate) subject: Arc<str>,
    pub(crate) claims: C,
    pub(crate) attached: bool,
}

impl<C> Session<C> {
    /// The connection id that the client chose; one person may have several.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Who it is: the token's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What else the token says.
    #[must_use]
    pub fn claims(&self) -> &C {
        &self.claims
    }

    /// Whether it has a socket just now, rather than being within its grace.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached
    }
}

pub(crate) type Roster<C> = BTreeMap<ConnectionId, Session<C>>;

/// Names a question that is still open.
///
/// [`Decision::later`] puts an answer off, [`Decision::answer`] gives it, from any later decision. Keep the ticket
/// in an event or carry it through a [`Decision::ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub(crate) TicketId);
