//! A line that a person or a program types into `xp connect`, as it is read.

use bytes::Bytes;
use xp_client::Payload;

/// One line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without a sign in front: a command.
    Command(Payload),
    /// `?…`: a query.
    Query(Payload),
    /// `~…`: a command that may get lost.
    Ephemeral(Payload),
    /// Nothing to do.
    Empty,
    /// `/help`.
    Help,
    /// `/quit`.
    Quit,
}

/// Why a line was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error("not sent, it is no JSON ({0}); /help shows what can be typed")]
    Json(String),
    #[error("not sent, 0x begins a binary payload of pairs of hex digits")]
    Hex,
    #[error("there is no {0}; /help shows what can be typed")]
    Unknown(String),
}

pub(super) const HELP: &str = "\
  {\"type\":…}     a command; its answer comes with its latency
  ?{\"type\":…}    a query: answered, changes nothing
  ~{\"type\":…}    an ephemeral command: no answer, may be dropped
  0x0a1b…        a binary payload instead of JSON, also behind ? and ~
  /quit          leave for good (so does Ctrl-D)";

impl Line {
    pub(super) fn parse(line: &str) -> Result<Self, LineError> {
        let line = line.trim();
        match line.as_bytes().first() {
            None => Ok(Self::Empty),
            Some(b'/') => word(line),
            Some(b'?') => payload(&line[1..]).map(Self::Query),
            Some(b'~') => payload(&line[1..]).map(Self::Ephemeral),
            Some(_) => payload(line).map(Self::Command),
        }
    }
}

fn word(line: &str) -> Result<Line, LineError> {
    match line {
        "/help" => Ok(Line::Help),
        "/quit" | "/exit" => Ok(Line::Quit),
        other => Err(LineError::Unknown(other.to_owned())),
    }
}

/// JSON is checked here, so that a slip costs no round trip and no number.
fn payload(text: &str) -> Result<Payload, LineError> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        return unhex(hex).map(Payload::binary).ok_or(LineError::Hex);
    }
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        Ok(_) => Ok(Payload::text(text)),
        Err(error) => Err(LineError::Json(error.to_string())),
    }
}

fn unhex(hex: &str) -> Option<Bytes> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let pairs = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(pairs.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A payload as text: as it came, or `0x…` when it is binary.
pub(super) fn readable(payload: &Payload) -> String {
    match std::str::from_utf8(&payload.bytes) {
        Ok(text) if payload.text => text.to_owned(),
        _ => hex(&payload.bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_a_query_an_ephemeral_or_a_word() {
        let json = || Payload::text(r#"{"type":"Clear"}"#);
        assert_eq!(
            Line::parse(" {\"type\":\"Clear\"} "),
            Ok(Line::Command(json()))
        );
        assert_eq!(
            Line::parse("? {\"type\":\"Clear\"}"),
            Ok(Line::Query(json()))
        );
        assert_eq!(
            Line::parse("~{\"type\":\"Clear\"}"),
            Ok(Line::Ephemeral(json()))
        );
        assert_eq!(Line::parse("  "), Ok(Line::Empty));
        assert_eq!(Line::parse("/quit"), Ok(Line::Quit));
    }

    #[test]
    fn binary_payloads_are_typed_and_shown_in_hex() {
        let Ok(Line::Command(payload)) = Line::parse("0x00ff1a") else {
            panic!("no command")
        };
        assert_eq!(payload, Payload::binary(vec![0, 255, 26]));
        assert_eq!(readable(&payload), "0x00ff1a");
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        for (line, says) in [
            ("{oops", "no JSON"),
            ("0x123", "pairs of hex"),
            ("0xzz", "pairs of hex"),
            ("/dance", "/dance"),
        ] {
            let said = Line::parse(line).unwrap_err().to_string();
            assert!(said.contains(says), "{line}: {said}");
        }
    }
}
