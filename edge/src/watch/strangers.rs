//! Sockets that an owner speaks of, of an entity that nobody watches here: they are gone.

use xp_protocol::Incarnation;
use xp_protocol::outbound::{Delivery, Item, Outbound, Recipients, Socket};

/// R28, R42: the sockets that are welcomed on this edge, or asked for: each is answered by its disconnect. What is
/// welcomed in pieces is named by the last of them (R41).
#[must_use]
pub fn strangers(edge: Incarnation, outbound: &Outbound) -> Vec<Socket> {
    let mut found = Vec::new();
    for delivery in &outbound.deliveries {
        match &delivery.item {
            Item::LastPiece { deliveries, .. } => {
                deliveries
                    .iter()
                    .for_each(|whole| note(edge, whole, &mut found));
            }
            _ => note(edge, delivery, &mut found),
        }
    }
    found
}

fn note(edge: Incarnation, delivery: &Delivery, found: &mut Vec<Socket>) {
    let (Item::Welcome { edge: named, .. }
    | Item::Resumed { edge: named, .. }
    | Item::StillThere { edge: named }) = &delivery.item
    else {
        return;
    };
    if let (true, Recipients::Only(sockets)) = (*named == edge, &delivery.to) {
        found.extend(sockets);
    }
}
