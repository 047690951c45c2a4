//! Websocket frames of a server, encoded once and shared by all who get them (RFC 6455, 5.2).

use bytes::{BufMut, Bytes, BytesMut};

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;
/// The longest reason of a close: a control frame less its two bytes of code.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// A data frame. Servers do not mask, so the bytes are equal for every client.
pub(crate) fn message(text: bool, payload: &[u8]) -> Bytes {
    frame(if text { TEXT } else { BINARY }, payload)
}

pub(crate) fn ping() -> Bytes {
    frame(PING, &[])
}

/// The answer to a client's ping, which fits as a ping does.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

/// A close frame; a longer reason is cut between two characters.
pub(crate) fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    frame(CLOSE, &payload)
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    out.put_u8(FIN | opcode);
    put_length(&mut out, payload.len());
    out.put_slice(payload);
    out.freeze()
}

fn put_length(out: &mut BytesMut, length: usize) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => out.put_u8(short),
        (_, Ok(middle)) => {
            out.put_u8(126);
            out.put_u16(middle);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_one_three_or_nine_bytes() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            assert_eq!(message(true, &payload).len(), length + header);
        }
        assert_eq!(&message(false, b"hi")[..], b"\x82\x02hi");
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let close = close(4000, &"ü".repeat(100));
        assert_eq!(usize::from(close[1]) + 2, close.len());
        assert!(std::str::from_utf8(&close[4..]).is_ok());
    }
}
