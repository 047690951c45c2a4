//! The output of `xp connect`: plain lines for pipes, coloured ones with latencies for people.

use std::time::Duration;

use xp_client::{Answer, Item};
use xp_protocol::Revision;
use xp_protocol::plain::plain;

use super::line::readable;
use super::paint::{Colour, Paint};

/// Writes lines in one of the two manners.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    pub(super) paint: Paint,
    /// People want to know how long an answer took; a program that compares output does not.
    pub(super) latency: bool,
}

impl Printer {
    /// An item as the frame it came in, with the revision first.
    pub(super) fn item(self, item: &Item) -> String {
        match item {
            Item::Welcome { revision, shown } => self.line(
                Colour::Green,
                format!("welcome {revision} fresh"),
                &readable(shown),
            ),
            Item::StartedOver { revision, shown } => self.line(
                Colour::Yellow,
                format!("welcome {revision} started-over"),
                &readable(shown),
            ),
            Item::Resumed { since } => {
                self.line(Colour::Green, format!("welcome {since} resumed"), "")
            }
            Item::Event { revision, payload } => self.line(
                Colour::Cyan,
                format!("event {revision}"),
                &readable(payload),
            ),
            Item::Ephemeral { payload } => {
                self.line(Colour::Dim, "ephemeral".to_owned(), &readable(payload))
            }
            Item::Lost { why, retry_ms } => self.line(
                Colour::Yellow,
                "lost".to_owned(),
                &format!("{why}; trying again in {retry_ms} ms"),
            ),
            Item::Closed(end) => self.line(Colour::Red, "closed".to_owned(), &end.to_string()),
        }
    }

    /// An answer; `id` is its number or tag.
    pub(super) fn answer(self, id: &str, answer: &Answer, took: Duration) -> String {
        let head =
            |verb: &str, revision: &Revision| format!("{verb} {id} {revision}{}", self.took(took));
        match answer {
            Answer::Reply { revision, payload } => {
                self.line(Colour::Green, head("reply", revision), &readable(payload))
            }
            Answer::Reject { revision, payload } => {
                self.line(Colour::Red, head("reject", revision), &readable(payload))
            }
            Answer::Fault {
                revision,
                code,
                said,
            } => {
                let rest = format!("{} {said}", code.name());
                self.line(Colour::Red, head("fault", revision), rest.trim_end())
            }
        }
    }

    fn took(self, took: Duration) -> String {
        if !self.latency {
            return String::new();
        }
        format!(" ({:.1} ms)", took.as_secs_f64() * 1_000.0)
    }

    fn line(self, colour: Colour, head: String, rest: &str) -> String {
        let head = self.paint.on(colour, &plain(&head));
        if rest.is_empty() {
            head
        } else {
            format!("{head} {}", plain(rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xp_client::{End, Lost, Payload};
    use xp_protocol::FaultCode;
    use xp_protocol::plain::acts;

    const PLAIN: Printer = Printer {
        paint: Paint::Never,
        latency: false,
    };

    #[test]
    fn plain_lines_read_like_frames() {
        let event = Item::Event {
            revision: Revision(7),
            payload: Payload::text("[1]"),
        };
        assert_eq!(PLAIN.item(&event), "event 7 [1]");
        let answer = Answer::Reply {
            revision: Revision(7),
            payload: Payload::text("\"ok\""),
        };
        assert_eq!(
            PLAIN.answer("3", &answer, Duration::ZERO),
            "reply 3 7 \"ok\""
        );
        let fault = Answer::Fault {
            revision: Revision(7),
            code: FaultCode::Unreadable,
            said: "#7f unreadable command".into(),
        };
        assert_eq!(
            PLAIN.answer("?q1", &fault, Duration::ZERO),
            "fault ?q1 7 unreadable #7f unreadable command"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_anybody_shows_moves_a_terminal(said in any::<String>()) {
            let said = format!("{said}\n\u{1b}]0;\u{7}\u{9b}\u{202e}{said}");
            let payload = Payload::text(said.clone());
            let (revision, shown) = (Revision(1), payload.clone());
            let items = [
                Item::Welcome { revision, shown: shown.clone() },
                Item::StartedOver { revision, shown },
                Item::Event { revision, payload: payload.clone() },
                Item::Ephemeral { payload: payload.clone() },
                Item::Lost { why: Lost::Transport(said.clone()), retry_ms: 1 },
                Item::Lost { why: Lost::Code(4400, said.clone().into()), retry_ms: 1 },
                Item::Closed(End::Refused(Some(payload.clone()))),
                Item::Closed(End::Code(4001, said.clone().into())),
            ];
            for item in items {
                prop_assert!(!PLAIN.item(&item).contains(acts), "{item:?}");
            }
            let reply = Answer::Reply { revision, payload: payload.clone() };
            let reject = Answer::Reject { revision, payload };
            let fault = Answer::Fault { revision, code: FaultCode::Misuse, said: said.into() };
            for answer in [reply, reject, fault] {
                let line = PLAIN.answer("1", &answer, Duration::ZERO);
                prop_assert!(!line.contains(acts), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_lost_socket_names_its_code_and_the_next_try() {
        let item = Item::Lost {
            why: Lost::Code(4410, "#7766-3".into()),
            retry_ms: 200,
        };
        assert_eq!(
            PLAIN.item(&item),
            "lost 4410 no-keys (#7766-3); trying again in 200 ms"
        );
    }

    #[test]
    fn people_see_colours_and_latencies() {
        let people = Printer {
            paint: Paint::Always,
            latency: true,
        };
        let answer = Answer::Reply {
            revision: Revision(1),
            payload: Payload::text("1"),
        };
        let line = people.answer("1", &answer, Duration::from_micros(4_200));
        assert!(
            line.contains("reply 1 1 (4.2 ms)") && line.starts_with("\u{1b}["),
            "{line:?}"
        );
    }
}
