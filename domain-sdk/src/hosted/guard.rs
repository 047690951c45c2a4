//! Domain code is a guest: what it throws is caught here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::host::Fault;
use crate::word::Unreadable;

/// Runs domain code; its panic becomes a fault that names the handler.
///
/// Unwind safety: deciding borrows the entity and cannot change it; after a panic in `apply` the caller drops the
/// instance, as [`Instance::apply`](crate::host::Instance::apply) demands.
pub(super) fn catch<T>(handler: &'static str, run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|thrown| Fault::Panicked {
        handler,
        message: message(&*thrown),
    })
}

fn message(thrown: &(dyn Any + Send)) -> String {
    if let Some(text) = thrown.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    thrown
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

pub(super) fn unreadable(what: &'static str, error: Unreadable) -> Fault {
    Fault::Unreadable {
        what,
        reason: error.to_string(),
    }
}
