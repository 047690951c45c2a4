//! One value for each shape of each stored format, pinned as bytes in this directory.

use bytes::Bytes;
use uuid::Uuid;
use xp_domain_sdk::host::Fault;
use xp_protocol::codec::{self, Format};
use xp_protocol::events::{
    Answer, Attachment, Awaiter, Ending, MessageName, Parked, Tell, TimerKey, Waiting,
};
use xp_protocol::inbound::TellContent;
use xp_protocol::*;
use xp_state_node::entity::{Busy, Floor, Phase, Quarantine, Runtime, Session, Ticket, Timer};
use xp_state_node::fold::{Accepted, Effects, Fold, InboundPosition, Lives, Tells};
use xp_state_node::snapshot::{Ahead, Pending, Stored, StoredBefore, sealed, unsealed};
use xp_state_node::suspects::Suspects;

/// A value as it is stored, and the way from bytes to bytes through the value.
pub(crate) struct Sample {
    /// The file's name without its ending.
    pub(crate) name: String,
    /// The value, stored by this build.
    pub(crate) bytes: Vec<u8>,
    /// Reads and stores again.
    pub(crate) again: fn(&[u8]) -> Result<Vec<u8>, String>,
}

/// `<format>-<what>-v<version>`, checksum included.
fn sample<T: Format>(what: &str, value: &T) -> Sample {
    Sample {
        name: format!("{}-{what}-v{}", T::NAME, T::VERSION),
        bytes: sealed(&codec::encode(value)).to_vec(),
        again: |bytes| {
            let bytes = unsealed(bytes).map_err(|error| error.to_string())?;
            let value: T = codec::decode(bytes).map_err(|error| error.to_string())?;
            Ok(sealed(&codec::encode(&value)).to_vec())
        },
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Sample> {
    vec![
        sample("full", &header()),
        sample("empty", &Fold::default()),
        sample("busy", &busy()),
        sample("idle", &idle()),
        sample("behind", &behind()),
        sample("ended", &ended()),
        sample("busy", &before(busy())),
        sample("idle", &before(idle())),
        sample("quarantined", &quarantined()),
        sample("every-timer", &pending()),
        sample("two", &ahead()),
    ]
}

fn uuid(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

fn connection(byte: u8) -> ConnectionId {
    ConnectionId(uuid(byte))
}

fn slice(partition: u32) -> LanePartition {
    LanePartition {
        lane: "main".into(),
        partition: PartitionId(partition),
    }
}

fn address(text: &str) -> Address {
    text.parse().expect("the samples' addresses are right")
}

pub(crate) fn header() -> Fold {
    let tell = Tell {
        target: slice(3),
        number: 8,
        from: address("auction/7"),
        to: address("wallet/ana"),
        what: TellContent::Signal {
            conversation: Some(2),
        },
        payload: Bytes::from_static(br#"{"type":"Reserve"}"#),
    };
    Fold {
        claim: Some(Accepted {
            id: ClaimId(uuid(0xc1)),
            incarnation: Incarnation(uuid(0x0d)),
            view: View {
                generation: 1,
                offset: Offset(40),
            },
            attempt: ClaimAttempt(2),
            epoch: Epoch(300),
        }),
        released: true,
        seq: Seq(12),
        last_valid: Some(Offset(313)),
        inbound: InboundPosition::new(LogIdentity(uuid(0x10)), Offset(5000)),
        effects: Effects::new(Offset(310), [Offset(310), Offset(312)]),
        tells: Tells::new(
            [(slice(1), 4)].into(),
            [(slice(3), 8)].into(),
            vec![tell].into(),
        ),
        ignored: 3,
        epochs: vec![Epoch(0), Epoch(300)],
        suspects: Suspects {
            tries: [(Offset(5002), vec![Incarnation(uuid(0x0d))])].into(),
            names: [(Offset(5002), command(7))].into(),
            earlier: [(command(3), vec![Incarnation(uuid(0x0c))])].into(),
        },
        lives: Lives::new(90, Revision(70)),
    }
}

fn command(n: u64) -> MessageName {
    MessageName::Command {
        address: address("auction/7"),
        connection: ConnectionId(uuid(0xc0)),
        n: MessageNumber(n),
    }
}

pub(crate) fn idle() -> Stored {
    Stored {
        state_version: 1,
        runtime: Runtime {
            revision: Revision(9),
            now: TimeMs(1_700_000_000_000),
            exists: true,
            busy: None,
            parked: Default::default(),
        },
        state: Bytes::from_static(br#"{"strokes":[]}"#),
        unapplied: Vec::new(),
        parked: Vec::new(),
        quarantine: None,
    }
}

/// An entity that its build could not read, and what waits for it.
pub(crate) fn quarantined() -> Stored {
    let at = TimeMs(1_700_000_001_000);
    let told = Waiting::Told {
        from: address("auction/7"),
        what: TellContent::Signal { conversation: None },
        payload: Bytes::from_static(br#""Resigned""#),
    };
    let gone = Waiting::Disconnect {
        connection: connection(1),
        attempt: DialAttempt(3),
        why: Ending::Lost,
    };
    let fault = Fault::StateVersion { found: 1, known: 2 };
    let quarantine = Quarantine::new(&fault, at, Revision(9), Bytes::new());
    Stored {
        unapplied: vec![Bytes::from_static(br#"["Moved"]"#)],
        parked: [told, gone].map(|what| Parked { at, what }).into(),
        quarantine: Some(quarantine),
        ..busy()
    }
}

/// An entity whose state has not seen its last events.
fn behind() -> Stored {
    Stored {
        unapplied: vec![
            Bytes::from_static(br#"[{"type":"Drawn"}]"#),
            Bytes::from_static(br#"[{"type":"Wiped"}]"#),
        ],
        ..idle()
    }
}

/// As the first version stored it.
fn before(stored: Stored) -> StoredBefore {
    StoredBefore {
        state_version: stored.state_version,
        runtime: stored.runtime,
        state: stored.state,
    }
}

/// One that has ended, and whose session is remembered.
pub(crate) fn ended() -> Stored {
    let until = TimeMs(1_700_000_030_000);
    let session = session(4, Phase::EndedWithEntity { until });
    let mut stored = idle();
    stored.runtime.exists = false;
    stored.runtime.busy = Some(Box::new(Busy {
        sessions: [(session.socket.connection, Box::new(session))].into(),
        ..Busy::default()
    }));
    stored
}

/// An entity with everything that an entity can have.
pub(crate) fn busy() -> Stored {
    let mut stored = idle();
    let until = TimeMs(1_700_000_030_000);
    let detached = Phase::Detached {
        until,
        why: Ending::Lost,
    };
    let phases = [Phase::Attached, detached, Phase::Ended { until }];
    let sessions = (1..).zip(phases).map(|(byte, phase)| {
        let session = session(byte, phase);
        (session.socket.connection, session)
    });
    stored.runtime.busy = Some(Box::new(Busy {
        sessions: sessions
            .map(|(id, session)| (id, Box::new(session)))
            .collect(),
        tickets: tickets(until),
        timers: [(
            "close".into(),
            Timer {
                due: until,
                signal: Bytes::from_static(br#"{"type":"Close"}"#),
            },
        )]
        .into(),
        conversations: [(2, Bytes::from_static(b"continuation"))].into(),
        conversation: 2,
        chain: [(PartitionId(1), Revision(8))].into(),
    }));
    stored
}

fn session(byte: u8, phase: Phase) -> Session {
    let reply = Answer::Reply(Bytes::from_static(b"1"));
    let no = Answer::Reject(Bytes::from_static(br#""TooLow""#));
    let fault = Answer::Fault(FaultCode::Panicked);
    Session {
        came_down_from: None,
        socket: Attachment {
            connection: connection(byte),
            attempt: DialAttempt(3),
            subject: "ana".into(),
            claims: Bytes::from_static(br#"{"sub":"ana"}"#),
            edge: Incarnation(uuid(0xed)),
            joined: Offset(6),
            outbound: PartitionId(1),
        },
        phase,
        n: MessageNumber(4),
        answers: [
            (MessageNumber(2), Revision(4), reply),
            (MessageNumber(3), Revision(5), no),
            (MessageNumber(4), Revision(6), fault),
        ]
        .into(),
        floor: Floor {
            offset: Offset(301),
            epoch: Epoch(300),
            seq: Seq(1),
            revision: Revision(3),
        },
    }
}

fn tickets(until: TimeMs) -> std::collections::BTreeMap<TicketId, Ticket> {
    let session = Awaiter::Session {
        connection: connection(1),
        n: MessageNumber(4),
    };
    let entity = Awaiter::Entity {
        address: address("auction/7"),
        conversation: 5,
    };
    [session, entity]
        .into_iter()
        .zip(7..)
        .map(|(awaiter, id)| (TicketId(id), Ticket { awaiter, until }))
        .collect()
}

fn pending() -> Pending {
    let keys = [
        TimerKey::Domain("close".into()),
        TimerKey::Grace(connection(2)),
        TimerKey::Forget(connection(3)),
        TimerKey::Ticket(TicketId(7)),
        TimerKey::Parked,
        TimerKey::Retention,
    ];
    let timers = (1_700_000_030_000..).map(TimeMs).zip(keys);
    Pending {
        timers: timers.collect(),
        edges: vec![Incarnation(uuid(0xed))],
    }
}

fn ahead() -> Ahead {
    let address = |text: &str| {
        text.parse::<Address>()
            .expect("the samples' addresses are right")
    };
    let ahead = [
        (address("board/7"), Offset(70_000)),
        (address("board/8"), Offset(70_003)),
    ];
    Ahead(ahead.into())
}
