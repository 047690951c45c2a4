//! The message that a partition is deciding now, for those who look at it from outside (R47): domain code that does not
//! return tells nobody.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xp_protocol::Address;
use xp_protocol::events::Cause;

/// Shared by a partition and who looks after it.
#[derive(Clone, Debug, Default)]
pub struct Deciding {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether the turn that began last is not over.
    is_on: AtomicBool,
    last: Mutex<Option<(Address, Cause)>>,
}

impl Deciding {
    /// An entity's turn begins.
    pub(crate) fn begin(&self, address: &Address, cause: &Cause) {
        *self.last() = Some((address.clone(), cause.clone()));
        self.shared.is_on.store(true, Ordering::Release);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.shared.is_on.store(false, Ordering::Release);
    }

    fn last(&self) -> MutexGuard<'_, Option<(Address, Cause)>> {
        let last = self.shared.last.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    /// The entity and its message.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        let turn = self.last().clone();
        let turn = turn.filter(|_| self.shared.is_on.load(Ordering::Acquire));
        turn.map(|(address, cause)| Turn { address, cause }.to_string())
    }
}

struct Turn {
    address: Address,
    cause: Cause,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.cause {
            Cause::Inbound(offset) => write!(
                f,
                "the message at offset {offset} of inbound, for {address}"
            ),
            cause => write!(f, "{cause:?}, of {address}"),
        }
    }
}
