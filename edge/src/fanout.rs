//! The reader of a lane's outbound partition: it brings each record to the sockets that it concerns.

use std::sync::Arc;

use tracing::warn;
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::{Address, CloseCode, codec};
use xp_transport::{ReadError, Reader, Stored, TopicPartition};

use crate::lane::Fate;
use crate::node::Node;
use crate::send_queue::{self, SendQueue};
use crate::watch::{Effect, EncodedFrame, FrameKind, strangers};
use crate::wire;

/// Follows one outbound partition to the end of the edge. `reader` stands at its end already (R25).
pub(crate) async fn run(node: Arc<Node>, at: TopicPartition, mut reader: Box<dyn Reader>) {
    loop {
        let failure = follow(&node, &at.topic, reader).await;
        if let ReadError::OutOfRange {
            wanted,
            first,
            next,
            ..
        } = failure
            && wanted < first
        {
            warn!(target: "xp_edge::lane", %at, %wanted, %first, "an outbound partition dropped records before this edge read them; its sockets are repaired, and nobody is closed");
            reader = node.log.read(&at, next);
            missed(&node, &at);
            continue;
        }
        warn!(target: "xp_edge::lane", %at, %failure, "an outbound partition cannot be read; its sockets are closed, and it is tried again");
        node.state.went_deaf();
        // What came meanwhile is unknown, so nobody may believe to be up to date.
        node.close_all(CloseCode::LaneLost, "the outbound partition cannot be read");
        reader = reopen(&node, &at).await;
        // What owners said meanwhile of how far they are is not said again.
        let partitions = node.routes.partitions().iter();
        partitions
            .filter(|partition| partition.speaks_on(&at.topic))
            .for_each(|partition| partition.account.forget());
        node.state.hears_again();
    }
}

/// Every entity of this lane may have said something that is not known here.
fn missed(node: &Node, at: &TopicPartition) {
    let concerned = |address: &Address| {
        let partition = node.routes.partition(address);
        partition.is_some_and(|partition| partition.speaks_on(&at.topic))
    };
    node.registry.missed(concerned);
}

async fn follow(node: &Node, topic: &str, mut reader: Box<dyn Reader>) -> ReadError {
    loop {
        match reader.next().await {
            Ok(batch) => {
                batch.iter().for_each(|stored| hear(node, topic, stored));
                node.ready.wake();
            }
            Err(failure) => return failure,
        }
    }
}

async fn reopen(node: &Node, at: &TopicPartition) -> Box<dyn Reader> {
    loop {
        tokio::time::sleep(node.config.timing.retry.0).await;
        if let Ok(bounds) = node.log.bounds(at).await {
            return node.log.read(at, bounds.next);
        }
    }
}

/// What is about a partition has no key.
fn hear(node: &Node, topic: &str, stored: &Stored) {
    match stored.record.key.is_empty() {
        true => about_partition(node, topic, stored),
        false => record(node, stored),
    }
}

/// R42: how far an owner is.
fn about_partition(node: &Node, topic: &str, stored: &Stored) {
    match codec::decode::<Outbound>(&stored.record.header) {
        Ok(outbound) => {
            for delivery in outbound.deliveries {
                if let Item::Taken { partition, upto } = delivery.item
                    && let Some(partition) = node.routes.of_outbound(topic, partition)
                {
                    partition.taken(upto);
                }
            }
        }
        Err(error) => damaged(stored, &error.to_string()),
    }
}

fn record(node: &Node, stored: &Stored) {
    let Some((address, outbound)) = decode(stored) else {
        return;
    };
    let Some(parts) = outbound.split(&stored.record.value) else {
        return damaged(stored, "its payloads do not add up");
    };
    claims_may_be_lost(node, &address, &outbound);
    let now = node.now().running;
    let judge = |watch: &mut crate::watch::Watch<Arc<SendQueue>>| {
        watch.on_record(now, outbound.link, &parts)
    };
    match node.registry.on_record(&address, judge) {
        Some(effects) => apply(node, &address, effects),
        None => unwatched(node, &address, &outbound),
    }
}

fn decode(stored: &Stored) -> Option<(Address, Outbound)> {
    let key = std::str::from_utf8(&stored.record.key).ok();
    let address = key.and_then(|key| key.parse().ok());
    match (address, codec::decode(&stored.record.header)) {
        (Some(address), Ok(outbound)) => Some((address, outbound)),
        (None, _) => {
            damaged(stored, "its key is no address");
            None
        }
        (_, Err(error)) => {
            damaged(stored, &error.to_string());
            None
        }
    }
}

fn damaged(stored: &Stored, reason: &str) {
    let offset = stored.offset.0;
    warn!(target: "xp_edge::lane", offset, reason, "an outbound record is left out");
}

/// R42: what a client said of itself since it connected is said once and may have been lost. It comes back and says
/// it anew.
fn claims_may_be_lost(node: &Node, address: &Address, outbound: &Outbound) {
    for delivery in &outbound.deliveries {
        let (Item::StillThere { edge }, Recipients::Only(asked)) = (&delivery.item, &delivery.to)
        else {
            continue;
        };
        let asked = asked
            .iter()
            .filter(|_| *edge == node.identity.incarnation());
        let send_queues = asked.filter_map(|socket| node.registry.send_queue(address, *socket));
        for send_queue in send_queues.filter(|send_queue| send_queue.is_renewed()) {
            send_queue.close(CloseCode::ComeBack, "its claims may not have arrived");
        }
    }
}

/// R28, R42: a welcome for a socket that is gone, or the question whether it is there, is answered by its disconnect.
fn unwatched(node: &Node, address: &Address, outbound: &Outbound) {
    for socket in strangers(node.identity.incarnation(), outbound) {
        node.disconnect(address, socket, false);
    }
}

pub(crate) fn apply(node: &Node, address: &Address, effects: Vec<Effect<Arc<SendQueue>>>) {
    for effect in effects {
        match effect {
            Effect::Show { to, shown, kind } => show(&to, &shown, &kind),
            Effect::Close { to, code } => to.close(code, "the entity said so"),
            Effect::Resume { of, since } => {
                node.tell(
                    address,
                    of.socket,
                    ClientAction::Resume { since },
                    Fate::Loose,
                );
            }
            Effect::Coming { to } => to.coming(),
            Effect::Gone(socket) => node.disconnect(address, socket, false),
        }
    }
}

/// Encodes the websocket frame once; all get the same bytes.
fn show(to: &[Arc<SendQueue>], shown: &EncodedFrame, kind: &FrameKind) {
    let frame = wire::message(shown.text, &shown.bytes);
    for send_queue in to {
        match kind {
            FrameKind::News => send_queue.push(frame.clone()),
            kind => send_queue.push_now(send_queue::Item::Telling(frame.clone(), kind.clone())),
        }
    }
}

/// Asks again for resumes that were not answered (R20), to the end of the edge.
pub(crate) async fn repair(node: Arc<Node>) {
    let resume = node.config.timing.resume.0;
    loop {
        tokio::time::sleep(resume / 2).await;
        let most = node.config.limits.repairs_max as usize;
        for (address, effects) in node.registry.repairs(node.now().running, most) {
            apply(&node, &address, effects);
        }
        node.ready.wake();
    }
}

#[cfg(test)]
mod tests;
