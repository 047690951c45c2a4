//! Recorded words of each peer, from the version that is pinned, and what the generator reads in them.

use super::centrifuge::Centrifuge;
use super::nats::Nats;
use super::plain::Plain;
use super::restate::Restate;
use super::socket_io::SocketIo;
use super::speech::text;
use crate::dialect::{Dialect, Role};
use crate::frames::scan;

const CALLER: Role = Role::Caller(3);

/// The numbers in it, and what is answered at once.
fn hear(dialect: &dyn Dialect, role: Role, payload: &[u8]) -> anyhow::Result<(Vec<u64>, Vec<u8>)> {
    let mut numbers = Vec::new();
    let answer = dialect.hear(role, payload, &mut |number| numbers.push(number))?;
    Ok((
        numbers,
        answer.map(|answer| payload_of(&answer)).unwrap_or_default(),
    ))
}

fn payload_of(frame: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    assert_eq!(scan(frame, |_, all| payload = all.to_vec()), frame.len());
    payload
}

fn said(dialect: &dyn Dialect, role: Role, number: u64) -> String {
    String::from_utf8(payload_of(&dialect.say(role, number))).unwrap()
}

fn check(dialect: &dyn Dialect, role: Role, payload: &str, numbers: &[u64], answer: &str) {
    let (heard, answered) = hear(dialect, role, payload.as_bytes()).unwrap();
    assert_eq!(heard, numbers, "{payload}");
    assert_eq!(answered, answer.as_bytes(), "{payload}");
}

#[test]
fn a_message_carries_128_bytes_that_end_with_its_number() {
    assert_eq!((text(7).len(), text(1 << 33).len()), (128, 128));
    let plain = Plain { callers: "/echo" };
    assert_eq!(said(&plain, CALLER, 42), text(42));
    check(&plain, CALLER, &text(42), &[42], "");
    assert!(hear(&plain, CALLER, b"welcome").is_err());
}

#[test]
fn nats_says_several_messages_in_a_frame() {
    let (one, other) = (text(41), text(42));
    let frame = format!("MSG hot 1 128\r\n{one}\r\nMSG hot 1 128\r\n{other}\r\n");
    check(&Nats::Core, Role::Subscriber, &frame, &[41, 42], "");
    check(&Nats::Core, CALLER, &frame, &[41, 42], "");
    let with_ping = format!("MSG hot 1 128\r\n{one}\r\nPING\r\n");
    check(&Nats::Core, Role::Subscriber, &with_ping, &[41], "PONG\r\n");
    for broken in [
        &frame[..frame.len() - 1],
        &frame[..20],
        "MSG hot 1 x\r\n",
        "-ERR 'Slow Consumer'\r\n",
    ] {
        assert!(
            hear(&Nats::Core, CALLER, broken.as_bytes()).is_err(),
            "{broken}"
        );
    }
    assert_eq!(
        said(&Nats::Core, CALLER, 42),
        format!("PUB call.3 128\r\n{other}\r\n")
    );
}

#[test]
fn jetstream_answers_at_the_subject_that_has_the_number() {
    let stored = "MSG stored.3.0000000042 1 26\r\n{\"stream\":\"CELLS\",\"seq\":1}\r\n";
    check(&Nats::JetStream, CALLER, stored, &[42], "");
    let wrong = "MSG stored.3.0000000042 1 61\r\n{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"full\"} }\r\n";
    let refused = hear(&Nats::JetStream, CALLER, wrong.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("10077"), "{refused}");
    let publish = said(&Nats::JetStream, CALLER, 42);
    assert!(
        publish.starts_with("PUB call.3 stored.3.0000000042 128\r\n"),
        "{publish}"
    );
}

#[test]
fn socket_io_says_an_event_as_an_array() {
    let event = format!(r#"42["update","{}"]"#, text(42));
    check(&SocketIo, Role::Subscriber, &event, &[42], "");
    check(&SocketIo, CALLER, "2", &[], "3");
    assert!(hear(&SocketIo, CALLER, b"41").is_err());
    assert_eq!(
        said(&SocketIo, CALLER, 42),
        format!(r#"42["echo","{}"]"#, text(42))
    );
    assert!(said(&SocketIo, Role::Publisher, 42).starts_with(r#"42["publish","#));
}

#[test]
fn centrifuge_says_replies_and_pushes_on_lines_of_one_frame() {
    let push = |number| {
        format!(
            r#"{{"push":{{"channel":"hot","pub":{{"data":"{}"}}}}}}"#,
            text(number)
        )
    };
    let frame = format!(
        "{}\n{{\"id\":3,\"publish\":{{}}}}\n{}\n{{\"id\":4,\"publish\":{{}}}}",
        push(41),
        push(42)
    );
    check(&Centrifuge, CALLER, &frame, &[41, 42], "");
    check(
        &Centrifuge,
        Role::Publisher,
        r#"{"id":3,"publish":{}}"#,
        &[],
        "",
    );
    check(&Centrifuge, Role::Subscriber, "{}", &[], "{}");
    let refused = br#"{"id":3,"error":{"code":103,"message":"permission denied"}}"#;
    assert!(hear(&Centrifuge, CALLER, refused).is_err());
}

#[test]
fn restate_answers_a_request_with_the_text() {
    let text = text(42);
    let answer = |status: &str| {
        format!(
            "HTTP/1.1 {status}\r\nx-restate-id: inv_1cGolalrS3DL4WV8PmDidPI0GWiZutxwuP\r\ncontent-type: application/json\r\n\
             content-length: 130\r\ndate: Sat, 28 Nov 2026 20:48:50 GMT\r\n\r\n\"{text}\""
        )
    };
    check(&Restate, CALLER, &answer("200 OK"), &[42], "");
    assert!(
        hear(
            &Restate,
            CALLER,
            answer("500 Internal Server Error").as_bytes()
        )
        .is_err()
    );
    let request = String::from_utf8(Restate.say(CALLER, 42)).unwrap();
    assert!(
        request.starts_with("POST /Cell/3/put HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.ends_with(&format!("\r\ncontent-length: 130\r\n\r\n\"{text}\"")),
        "{request}"
    );
}
