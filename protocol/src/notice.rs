//! Notices: records on the `cluster` log that change nobody's membership: what a person asks of whoever is there, and the answers.
//!
//! They stand beside the fold of members, which passes them over: builds that know them and builds that do not fold the
//! same. Nobody has to read them, so they are not among [`crate::cluster::formats`]; who asks learns who has not answered.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec::Format;
use crate::ids::Incarnation;

/// The key of their records. A member's message has none.
pub const KEY: &[u8] = b"notice";

/// One record of `cluster` with the key [`KEY`]; its header holds it, and the value is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// A person asks every edge to close the sockets of a subject.
    Disconnect {
        /// Names the request.
        id: Uuid,
        /// Who, as edges call it.
        subject: Box<str>,
    },
    /// An edge has closed them.
    Disconnected {
        /// The id of the [`Notice::Disconnect`] that is answered.
        id: Uuid,
        /// The edge that answers, in this incarnation only.
        edge: Incarnation,
        /// How many there were.
        sockets: u32,
    },
}

impl Format for Notice {
    const NAME: &'static str = "notice";
    const VERSION: u8 = 1;
}
