//! An edge without sockets: it says what clients say, and collects what the owner answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use uuid::Uuid;
use xp_cluster::log as cluster;
use xp_cluster::timing::EDGE_HEARTBEAT_MS;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::{
    Address, ConnectionId, DialAttempt, Incarnation, MessageNumber, Offset, PartitionId, Revision,
    codec,
};
use xp_state_node::Lanes;
use xp_transport::{Clock, Log, Reader, Record, TopicPartition};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Edge {
    log: Arc<dyn Log>,
    lanes: Lanes,
    clock: Clock,
    incarnation: Incarnation,
    joined: Offset,
    beating: JoinHandle<()>,
    outbound: Box<dyn Reader>,
    heard: Vec<Heard>,
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Says that the edge lives, until the log is closed.
async fn beat(log: Arc<dyn Log>, alive: Member) {
    let mut every = tokio::time::interval(Duration::from_millis(EDGE_HEARTBEAT_MS));
    loop {
        every.tick().await;
        drop(cluster::append(log.as_ref(), &alive).await);
    }
}

/// One delivery of an outbound record, as the edge of the test got it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) chained: bool,
    pub(crate) to: Recipients,
    pub(crate) item: Item,
    pub(crate) payload: Bytes,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: Address,
    pub(crate) connection: ConnectionId,
    pub(crate) attempt: DialAttempt,
    pub(crate) n: u64,
}

impl Client {
    pub(crate) fn new(address: &str, name: u128) -> Self {
        Self {
            address: address.parse().unwrap(),
            connection: ConnectionId(Uuid::from_u128(name)),
            attempt: DialAttempt(1),
            n: 0,
        }
    }
}

impl Edge {
    pub(crate) async fn join(log: &Arc<dyn Log>, lanes: &Lanes, clock: &Clock, name: u128) -> Self {
        let incarnation = Incarnation(Uuid::from_u128(name));
        let outbound = PartitionId(0);
        let who = Who::new("edge", Kind::Edge { outbound });
        let join = Member::Join {
            incarnation,
            who: who.clone(),
        };
        let joined = cluster::append(log.as_ref(), &join).await.unwrap();
        let alive = Member::Alive {
            incarnation,
            who,
            joined,
            sent: clock.now(),
            leaving: false,
            warm: Vec::new(),
        };
        let beating = tokio::spawn(beat(Arc::clone(log), alive));
        let at = TopicPartition {
            topic: "main.outbound".into(),
            partition: PartitionId(0),
        };
        let outbound = log.read(&at, log.bounds(&at).await.unwrap().next);
        Self {
            log: Arc::clone(log),
            lanes: lanes.clone(),
            clock: clock.clone(),
            incarnation,
            joined,
            beating,
            outbound,
            heard: Vec::new(),
        }
    }

    pub(crate) async fn say(&self, client: &Client, action: ClientAction, value: &str) {
        let (connection, attempt) = (client.connection, client.attempt);
        let message = Message::Client {
            edge: self.incarnation,
            connection,
            attempt,
            action,
        };
        let header = codec::encode(&Inbound {
            time: self.clock.now(),
            trace: None,
            message,
        })
        .into();
        let key = Bytes::copy_from_slice(client.address.as_str().as_bytes());
        let partition = self.lanes.locate(&client.address).unwrap();
        let at = TopicPartition {
            topic: "main.inbound".into(),
            partition: partition.partition,
        };
        let record = Record {
            key,
            header,
            value: Bytes::copy_from_slice(value.as_bytes()),
            ..Record::default()
        };
        self.log.append(&at, vec![record]).await[0]
            .as_ref()
            .unwrap();
    }

    pub(crate) async fn connect(&self, client: &Client, since: Option<u64>) {
        self.connect_as(client, since, r#"{"sub":"ana"}"#).await;
    }

    pub(crate) async fn connect_as(&self, client: &Client, since: Option<u64>, claims: &str) {
        let action = ClientAction::Connect {
            subject: "ana".into(),
            since: since.map(Revision),
            outbound: PartitionId(0),
            joined: self.joined,
        };
        self.say(client, action, claims).await;
    }

    pub(crate) async fn send(&self, client: &mut Client, payload: &str) {
        client.n += 1;
        self.send_again(client, client.n, payload).await;
    }

    pub(crate) async fn send_again(&self, client: &Client, n: u64, payload: &str) {
        self.say(
            client,
            ClientAction::Send {
                n: MessageNumber(n),
                text: true,
            },
            payload,
        )
        .await;
    }

    /// Waits until a delivery for this client's socket fits, and returns it with all before it taken off.
    pub(crate) async fn hear(&mut self, client: &Client, fits: impl Fn(&Heard) -> bool) -> Heard {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self
                .heard
                .iter()
                .position(|heard| heard.concerns(client) && fits(heard));
            if let Some(at) = found {
                return self.heard.drain(..=at).next_back().unwrap();
            }
            let batch = tokio::time::timeout_at(deadline, self.outbound.next()).await;
            let batch = batch.unwrap_or_else(|_| panic!("waited in vain; heard {:#?}", self.heard));
            for stored in batch.unwrap() {
                let header: Outbound = codec::decode(&stored.record.header).unwrap();
                let parts = header.split(&stored.record.value).unwrap();
                self.heard
                    .extend(parts.into_iter().map(|(delivery, payload)| Heard {
                        chained: header.link.is_some(),
                        to: delivery.to.clone(),
                        item: delivery.item.clone(),
                        payload,
                    }));
            }
        }
    }

    pub(crate) async fn welcome(&mut self, client: &Client) -> (u64, u64, String) {
        let heard = self
            .hear(client, |heard| matches!(heard.item, Item::Welcome { .. }))
            .await;
        let Item::Welcome { revision, n, .. } = heard.item else {
            unreachable!()
        };
        (revision.0, n.0, heard.text())
    }

    /// The answer to the client's last command, as the client would read it.
    pub(crate) async fn answer(&mut self, client: &Client) -> String {
        let id = xp_protocol::frame::RequestId::Number(MessageNumber(client.n));
        let heard = self
            .hear(client, |heard| heard.answers() == Some(&id))
            .await;
        match heard.item {
            Item::Fault { code, .. } => format!("fault {}", code.name()),
            Item::Reject { .. } => format!("reject {}", heard.text()),
            _ => heard.text(),
        }
    }

    pub(crate) async fn ask(&mut self, client: &mut Client, payload: &str) -> String {
        self.send(client, payload).await;
        self.answer(client).await
    }
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.payload.to_vec()).unwrap()
    }

    pub(crate) fn answers(&self) -> Option<&xp_protocol::frame::RequestId> {
        match &self.item {
            Item::Reply { id, .. } | Item::Reject { id, .. } | Item::Fault { id, .. } => Some(id),
            _ => None,
        }
    }

    fn concerns(&self, client: &Client) -> bool {
        let mine = |socket: &xp_protocol::outbound::Socket| {
            socket.connection == client.connection && socket.attempt == client.attempt
        };
        match &self.to {
            Recipients::Everybody => true,
            Recipients::Except(sockets) => !sockets.iter().any(mine),
            Recipients::Only(sockets) => sockets.iter().any(mine),
        }
    }
}
