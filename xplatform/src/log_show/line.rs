//! One record, as a few lines for people or one JSON object for programs.

use serde_json::{Value, json};
use xp_protocol::cluster::Member;
use xp_protocol::codec::{DecodeError, Format};
use xp_protocol::events::{Cause, Commit, Event};
use xp_protocol::inbound::Inbound;
use xp_protocol::notice::{self, Notice};
use xp_protocol::outbound::Outbound;
use xp_protocol::plain::{plain, word};
use xp_protocol::snapshots::Published;
use xp_protocol::utc::utc;
use xp_protocol::{Offset, PartitionId, TimeMs, codec};
use xp_transport::Stored;

use super::readable::{payload, payloads, readable, text_of};
use super::validity::{Validity, Verdict};

/// One record, decoded as far as it can be.
pub(super) struct Entry {
    topic: String,
    partition: PartitionId,
    offset: Offset,
    time: TimeMs,
    key: String,
    value: Value,
    /// The value as it stands in the log, for people: a JSON object's keys keep their order.
    raw: String,
    header: Header,
}

enum Header {
    Event(Box<Event>, Verdict),
    /// Of another topic: its format's name and all of it.
    Other(&'static str, Value),
    Unreadable(String),
}

impl Entry {
    pub(super) fn new(
        topic: &str,
        partition: PartitionId,
        stored: &Stored,
        validity: &mut Validity,
    ) -> Self {
        let record = &stored.record;
        Self {
            topic: topic.to_owned(),
            partition,
            offset: stored.offset,
            time: stored.time,
            key: String::from_utf8_lossy(&record.key).into_owned(),
            value: value(topic, stored),
            raw: text_of(&record.value),
            header: header(topic, stored, validity),
        }
    }

    /// One object per record, all of the header in it.
    pub(super) fn json(&self) -> String {
        let (kind, header) = match &self.header {
            Header::Event(event, _) => (Event::NAME, event_of(event)),
            Header::Other(format, header) => (*format, header.clone()),
            Header::Unreadable(why) => ("unreadable", Value::from(why.as_str())),
        };
        let (valid, void) = match &self.header {
            Header::Event(_, Verdict::Void(why)) => (Some(false), Some(why)),
            Header::Event(_, Verdict::Unknown) => (None, None),
            _ => (Some(true), None),
        };
        let line = json!({
            "topic": self.topic, "partition": self.partition, "offset": self.offset, "time": self.time,
            "key": self.key, "format": kind, "header": header, "value": self.value,
            "valid": valid, "void": void,
        });
        plain(&line.to_string()).into_owned()
    }

    /// A line, and for a commit one more for each thing it did.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{}/{}@{} {}",
            self.topic,
            self.partition,
            self.offset,
            utc(self.time)
        );
        match &self.header {
            Header::Event(event, judged) => {
                match judged {
                    Verdict::Counts => {}
                    Verdict::Void(why) => push(&mut text, " VOID ", &format!("({why})")),
                    Verdict::Unknown => {
                        text.push_str(" UNKNOWN (before the first claim that is left)")
                    }
                }
                self.event(&mut text, event);
            }
            Header::Other(_, header) => self.other(&mut text, header),
            Header::Unreadable(why) => push(&mut text, " unreadable: ", why),
        }
        text
    }

    fn other(&self, text: &mut String, header: &Value) {
        if !self.key.is_empty() {
            push(text, " ", &word(&self.key));
        }
        push(text, " ", &header.to_string());
        if !self.raw.is_empty() {
            push(text, "\n    value ", &self.raw);
        }
    }

    fn event(&self, text: &mut String, event: &Event) {
        let position = event
            .epoch_and_seq()
            .map(|(epoch, seq)| format!(" (epoch {epoch} seq {seq})"))
            .unwrap_or_default();
        match event {
            Event::Claim(claim) => {
                let line = format!(
                    " claim by {} view {}.{} attempt {}",
                    claim.incarnation, claim.view.generation, claim.view.offset, claim.attempt
                );
                push(text, "", &line);
            }
            Event::Commit(commit) => self.commit(text, commit, &position),
            Event::Checkpoint(checkpoint) => push(
                text,
                &format!(" checkpoint{position} inbound "),
                &checkpoint.inbound.to_string(),
            ),
            Event::Trying(trying) => {
                push(text, &format!(" trying{position} "), &cause(&trying.cause))
            }
            Event::TryingNamed(trying, name) => {
                let of = format!("{}: {name}", cause(&trying.cause));
                push(text, &format!(" trying{position} "), &of);
            }
            Event::Release { .. } => push(text, " release", &position),
        }
    }

    fn commit(&self, text: &mut String, commit: &Commit, position: &str) {
        let head = format!(
            " commit {} revision {}{position} cause {}",
            word(&self.key),
            commit.revision,
            cause(&commit.cause)
        );
        push(text, "", &head);
        if commit.event_count > 0 {
            push(text, "\n    events ", &self.raw);
        }
        for change in &commit.changes {
            push(text, "\n    change ", &readable(change).to_string());
        }
        for tell in &commit.tells {
            let what = text_of(&tell.payload);
            push(
                text,
                "\n    tell ",
                &format!(
                    "{} number {} to {} {what}",
                    tell.target,
                    tell.number,
                    word(tell.to.as_str())
                ),
            );
        }
    }
}

/// `head` is of this program; `rest` may be anybody's.
fn push(text: &mut String, head: &str, rest: &str) {
    text.push_str(head);
    text.push_str(&plain(rest));
}

fn header(topic: &str, stored: &Stored, validity: &mut Validity) -> Header {
    let bytes = &stored.record.header;
    let decoded = match topic.rsplit('.').next() {
        Some("events") => codec::decode::<Event>(bytes).map(|event| {
            let judged = validity.judge(stored.offset, &event);
            Header::Event(Box::new(event), judged)
        }),
        Some("inbound") => other::<Inbound>(bytes),
        Some("outbound") => other::<Outbound>(bytes),
        // A head's digest has more digits than JSON's numbers.
        Some("snapshots") => codec::decode::<Published>(bytes)
            .map(|word| Header::Other(Published::NAME, format!("{word:?}").into())),
        _ if stored.record.key == notice::KEY => other::<Notice>(bytes),
        _ => other::<Member>(bytes),
    };
    decoded.unwrap_or_else(|error| Header::Unreadable(error.to_string()))
}

/// An event with what it shows as a list, one payload for each delivery: stored, they stand one behind the other. A
/// commit's outputs stand among its other fields.
fn event_of(event: &Event) -> Value {
    let mut shown = readable(event);
    if let Event::Commit(commit) = event {
        let lengths = commit.outputs.deliveries.iter();
        let lengths = lengths.map(|routed| routed.delivery.payload_bytes);
        if let Value::Object(fields) = &mut shown["Commit"]
            && let Some(Value::Object(outputs)) = fields.remove("outputs")
        {
            fields.extend(outputs);
        }
        shown["Commit"]["frames"] = payloads(&commit.outputs.frames, lengths);
    }
    shown
}

/// The value as it is; on `outbound` a list, one payload for each delivery.
fn value(topic: &str, stored: &Stored) -> Value {
    let record = &stored.record;
    match codec::decode::<Outbound>(&record.header) {
        Ok(outbound) if topic.ends_with(".outbound") => {
            let lengths = outbound.deliveries.iter();
            payloads(&record.value, lengths.map(|one| one.payload_bytes))
        }
        _ => payload(&record.value),
    }
}

fn other<T: Format>(bytes: &[u8]) -> Result<Header, DecodeError> {
    codec::decode::<T>(bytes).map(|value| Header::Other(T::NAME, readable(&value)))
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Inbound(offset) => format!("inbound {offset}"),
        Cause::Timer(key) => format!("timer {}", readable(key)),
        Cause::Verdict { edge } => format!("verdict: edge {edge} is lost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use xp_protocol::plain::acts;
    use xp_protocol::{Epoch, Seq};
    use xp_transport::Record;

    #[test]
    fn a_void_record_says_why_in_both_forms() {
        let release = Event::Release {
            epoch: Epoch(9),
            seq: Seq(1),
        };
        let record = Record {
            header: codec::encode(&release).into(),
            ..Record::default()
        };
        let stored = Stored {
            offset: Offset(3),
            time: TimeMs(0),
            record,
        };
        let entry = Entry::new(
            "main.events",
            PartitionId(1),
            &stored,
            &mut Validity::default(),
        );
        assert_eq!(
            entry.text(),
            "main.events/1@3 1970-01-01T00:00:00.000Z VOID (nobody owns the partition here) release (epoch 9 seq 1)"
        );
        let object: Value = serde_json::from_str(&entry.json()).unwrap();
        assert_eq!(
            (&object["valid"], &object["offset"]),
            (&json!(false), &json!(3))
        );
    }

    #[test]
    fn the_head_of_a_published_snapshot_is_shown_with_its_whole_digest() {
        let head = Published::Head(xp_protocol::snapshots::Head {
            epoch: Offset(4),
            round: 2,
            position: Offset(70_000),
            records: 3,
            digest: u128::MAX,
            crc: 9,
        });
        let stored = Stored {
            offset: Offset(0),
            time: TimeMs(0),
            record: Record {
                header: codec::encode(&head).into(),
                ..Record::default()
            },
        };
        let mut validity = Validity::default();
        let entry = Entry::new("main.snapshots", PartitionId(0), &stored, &mut validity);
        let text = entry.text();
        assert!(text.contains(&format!("digest: {}", u128::MAX)), "{text}");
        assert!(text.contains("position: Offset(70000)"), "{text}");
    }

    #[test]
    fn what_cannot_be_decoded_is_shown_as_such() {
        let record = Record {
            header: Bytes::from_static(&[99]),
            ..Record::default()
        };
        let stored = Stored {
            offset: Offset(0),
            time: TimeMs(0),
            record,
        };
        let text = Entry::new(
            "main.events",
            PartitionId(0),
            &stored,
            &mut Validity::default(),
        )
        .text();
        assert!(text.contains("unreadable: events has version 99"), "{text}");
    }

    #[test]
    fn what_clients_say_is_shown_with_who_says_it_and_what() {
        use xp_protocol::inbound::{ClientAction, Message};
        use xp_protocol::{ConnectionId, DialAttempt, Incarnation, MessageNumber};
        let id = uuid::Uuid::from_u128(7);
        let said = Inbound {
            time: TimeMs(0),
            trace: None,
            message: Message::Client {
                edge: Incarnation(id),
                connection: ConnectionId(id),
                attempt: DialAttempt(1),
                action: ClientAction::Send {
                    n: MessageNumber(3),
                    text: true,
                },
            },
        };
        let record = Record {
            key: Bytes::from_static(b"board/1"),
            header: codec::encode(&said).into(),
            value: Bytes::from_static(b"{\"type\":\"Draw\"}"),
            ..Record::default()
        };
        let stored = Stored {
            offset: Offset(3),
            time: TimeMs(0),
            record,
        };
        let entry = Entry::new(
            "main.inbound",
            PartitionId(0),
            &stored,
            &mut Validity::default(),
        );
        let text = entry.text();
        for part in [
            " board/1 {",
            r#""Send":{"n":3"#,
            "value {\"type\":\"Draw\"}",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let object: Value = serde_json::from_str(&entry.json()).unwrap();
        assert_eq!(
            (&object["format"], &object["valid"]),
            (&json!("inbound"), &json!(true))
        );
        assert_eq!(object["value"]["type"], "Draw");
    }

    fn commit(name: &str, frames: &[&[u8]]) -> Event {
        use xp_protocol::Revision;
        use xp_protocol::events::{Cause, Change, Outputs, Routed};
        use xp_protocol::outbound::{Delivery, Item, Recipients};
        let routed = |frame: &&[u8]| Routed {
            partition: None,
            delivery: Delivery {
                to: Recipients::Everybody,
                item: Item::Ephemeral { text: true },
                payload_bytes: frame.len().try_into().unwrap(),
            },
        };
        Event::Commit(std::sync::Arc::new(Commit {
            epoch: Epoch(0),
            seq: Seq(1),
            sent: Offset(0),
            cause: Cause::Verdict {
                edge: xp_protocol::Incarnation(uuid::Uuid::nil()),
            },
            now: TimeMs(0),
            revision: Revision(1),
            trace: None,
            seed: 0,
            event_count: 0,
            changes: vec![Change::TimerCleared(name.into())],
            outputs: Outputs {
                links: Vec::new(),
                deliveries: frames.iter().map(routed).collect(),
                frames: frames.concat().into(),
            },
            tells: Vec::new(),
        }))
    }

    fn entry_of(event: &Event, key: &str, value: &str) -> Entry {
        let record = Record {
            key: Bytes::copy_from_slice(key.as_bytes()),
            header: codec::encode(event).into(),
            value: Bytes::copy_from_slice(value.as_bytes()),
            ..Record::default()
        };
        let stored = Stored {
            offset: Offset(3),
            time: TimeMs(0),
            record,
        };
        let mut validity = Validity::default();
        Entry::new("main.events", PartitionId(1), &stored, &mut validity)
    }

    #[test]
    fn frames_are_a_list_of_payloads_whatever_they_are() {
        let frames = |all: &[&[u8]]| {
            let entry = entry_of(&commit("close", all), "board/1", "");
            let object: Value = serde_json::from_str(&entry.json()).unwrap();
            object["header"]["Commit"]["frames"].clone()
        };
        assert_eq!(frames(&[]), json!([]));
        assert_eq!(frames(&[b"[1,2]"]), json!([[1, 2]]));
        assert_eq!(frames(&[b"[1]", b"null"]), json!([[1], null]));
        assert_eq!(frames(&[b"\x00\xff", b"hi"]), json!(["0x00ff", "hi"]));
    }

    #[test]
    fn whoever_chooses_an_id_says_nothing_of_its_record() {
        let key = "board/7 revision 99 (epoch 0 seq 1)";
        let text = entry_of(&commit("close", &[]), key, "").text();
        let named = format!(" commit {key:?} revision 1 (epoch 0 seq 1)");
        assert!(text.contains(&named), "{text}");
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_said_moves_a_terminal(said in any::<String>()) {
            let said = format!("{said}\n\u{1b}[2J\u{9b}\u{202e}{said}");
            let entry = entry_of(&commit(&said, &[said.as_bytes()]), &said, &said);
            let json = entry.json();
            prop_assert!(!json.contains(acts), "{json:?}");
            let object: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&object["header"]["Commit"]["frames"][0], &json!(said));
            // Line ends are this program's: each begins with its own indentation.
            let text = entry.text();
            let mut lines = text.split("\n    ");
            prop_assert!(!lines.any(|line| line.contains(acts)), "{text:?}");
        }
    }
}
