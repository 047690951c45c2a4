//! The check before a node rejoins that the cluster had given up: whether its name is free.

use tokio::time::sleep;
use xp_cluster::log::enter;
use xp_protocol::cluster::Kind;
use xp_transport::Log;

use super::StartError;
use super::hold_off::RETRY;

/// The first life of the `cluster` log.
const GENERATION: u64 = 1;

/// Looks whether anybody has taken its place meanwhile; waits for a log that does not answer.
///
/// # Errors
/// [`StartError::Taken`] when another process of that name and kind is a member now.
pub(super) async fn is_free(log: &dyn Log, name: &str, kind: Kind) -> Result<(), StartError> {
    let alike = |other: &Kind| std::mem::discriminant(other) == std::mem::discriminant(&kind);
    let members = loop {
        match enter(log, GENERATION).await {
            Ok((members, _)) => break members,
            Err(error) => tracing::warn!(%error, "the cluster log cannot be read yet"),
        }
        sleep(RETRY).await;
    };
    let mut others = members.iter();
    match others.any(|(_, who, _)| *who.name == *name && alike(&who.kind)) {
        true => Err(StartError::Taken(name.to_owned())),
        false => Ok(()),
    }
}
