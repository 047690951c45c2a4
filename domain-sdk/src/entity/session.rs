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

/// Names a question that is still open.
///
/// [`Decision::later`](super::Decision::later) puts an answer off, [`answer`](super::Decision::answer) gives it, from any later decision. Keep the ticket
/// in an event or carry it through an [`ask`](super::Decision::ask).
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use xp_domain_sdk::prelude::*;
/// # use xp_domain_sdk::testkit::Scenario;
/// /// A gate for two: who comes first waits for the second.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Gate {
///     waiting: Option<Ticket>,
/// }
/// # impl Entity for Gate {
/// #     const CATEGORY: Category = Category::new("gate");
/// #     type Claims = (); type Command = (); type Query = Never; type Signal = Never;
/// #     type Event = Option<Ticket>; type Output = Never; type Reply = String; type Rejection = Never;
/// fn decide(&self, _: (), cx: &Cx<Self>) -> Outcome<Self> {
///     Ok(match self.waiting {
///         None => cx.decision().record(Some(cx.ticket())).later(),
///         Some(first) => {
///             let told = format!("go with {}", cx.subject());
///             cx.decision().record(None).answer(first, Ok(told)).reply("go".into())
///         }
///     })
/// }
/// #     fn apply(&mut self, waiting: Option<Ticket>) { self.waiting = waiting; }
/// # }
/// Scenario::<Gate>::new()
///     .when(()).from("ana").then_waiting()
///     .takeover()
///     .when(()).from("ben").then_reply("go".into()).then_late_reply("ana", "go with ben".into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub(crate) TicketId);
