//! The headers of a record on Kafka: all of them text, because tools that write JSON fail on anything else.

use base64::Engine as _;
use base64::decoded_len_estimate;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use xp_protocol::codec::UNREADABLE;
use xp_protocol::utc::utc;

use crate::log::Record;

/// The header that carries the platform's envelope, in base64 with padding (RFC 4648, section 4).
const ENVELOPE: &str = "xp";

/// What base64 never begins with, and a format's version byte always is below.
const FIRST_LETTER: u8 = b' ';

/// The time that a commit's decision saw, in RFC 3339: people read it, tools sort and parse it.
const TIME: &str = "time";
/// The entity's revision, in decimal.
const REVISION: &str = "revision";
/// Whose message it was, percent-encoded.
const SUBJECT: &str = "subject";

/// The most bytes of a subject here: three for each of the longest that an edge lets in. A longer one is left out, for
/// a part of a name is another name.
const SUBJECT_BYTES_MAX: usize = 3 * 255;

/// What is not shown as it is: whatever is no printable ASCII, and what separates headers where tools print them.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b'"').add(b'\\');

/// The headers with which a record is written. Without any it has none: an empty part is no part.
pub(super) fn of(record: &Record) -> Option<OwnedHeaders> {
    let label = record.label.as_deref();
    if record.header.is_empty() && label.is_none() {
        return None;
    }
    let mut headers = OwnedHeaders::new_with_capacity(4);
    if !record.header.is_empty() {
        headers = with(headers, ENVELOPE, &STANDARD.encode(&record.header));
    }
    if let Some(label) = label {
        headers = with(headers, TIME, &utc(label.time));
        headers = with(headers, REVISION, &label.revision.to_string());
    }
    let subject = label.and_then(|label| label.subject.as_deref());
    match subject.map(encoded) {
        Some(subject) if subject.len() <= SUBJECT_BYTES_MAX => {
            Some(with(headers, SUBJECT, &subject))
        }
        _ => Some(headers),
    }
}

fn encoded(subject: &str) -> String {
    utf8_percent_encode(subject, UNSAFE).to_string()
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    let value = Some(value);
    headers.insert(Header { key, value })
}

/// The envelope among the headers of a record that was read, as it stands there. The other headers are for others.
pub(super) fn envelope<'a>(message: &'a BorrowedMessage<'_>) -> &'a [u8] {
    let headers = message.headers();
    let ours = headers.and_then(|headers| headers.iter().find(|header| header.key == ENVELOPE));
    ours.and_then(|header| header.value).unwrap_or_default()
}

/// About how many bytes an envelope will have.
pub(super) fn bytes_of(value: &[u8]) -> usize {
    decoded_len_estimate(value.len())
}

/// Puts an envelope behind what `bytes` holds. Until it was text it was the bytes themselves, which begin with a version and so with no letter. What is neither
/// is kept as it is behind a mark, and no format reads it.
pub(super) fn read(value: &[u8], bytes: &mut Vec<u8>) {
    if value.first().is_none_or(|first| *first < FIRST_LETTER) {
        return bytes.extend_from_slice(value);
    }
    let start = bytes.len();
    if STANDARD.decode_vec(value, bytes).is_err() {
        bytes.truncate(start);
        bytes.push(UNREADABLE);
        bytes.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use xp_protocol::codec;
    use xp_protocol::events::Event;
    use xp_protocol::{Epoch, Revision, Seq, TimeMs};

    use super::*;
    use crate::log::Label;

    /// All headers, each of them a text.
    fn written(record: &Record) -> Vec<(String, String)> {
        let headers = of(record);
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let all = headers.iter().flat_map(|headers| headers.iter());
        all.map(|one| (one.key.to_owned(), text(one.value.unwrap())))
            .collect()
    }

    fn envelope_of(header: &[u8]) -> Record {
        Record {
            header: Bytes::copy_from_slice(header),
            ..Record::default()
        }
    }

    fn labelled(time: u64, revision: u64, subject: Option<&str>) -> Record {
        let label = Label {
            time: TimeMs(time),
            revision: Revision(revision),
            subject: subject.map(Into::into),
        };
        Record {
            label: Some(Arc::new(label)),
            ..Record::default()
        }
    }

    fn read_back(value: &[u8]) -> Vec<u8> {
        let mut bytes = b"key".to_vec();
        read(value, &mut bytes);
        assert_eq!(&bytes[..3], b"key", "what is there already stays");
        bytes.split_off(3)
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_text_of_the_size_that_is_reckoned_with(header: Vec<u8>) {
            let record = envelope_of(&header);
            let value = written(&record).pop().map(|(_, value)| value).unwrap_or_default();
            prop_assert!(value.is_ascii());
            prop_assert_eq!(read_back(value.as_bytes()), header);
            prop_assert_eq!(record.bytes(), value.len());
        }

        #[test]
        fn what_no_writer_of_ours_wrote_is_read_as_damage_or_as_bytes_of_before(value: Vec<u8>) {
            let bytes = read_back(&value);
            match value.first() {
                Some(first) if *first >= FIRST_LETTER => {
                    let marked = bytes.first() == Some(&UNREADABLE) && bytes[1..] == value[..];
                    prop_assert!(marked || STANDARD.encode(&bytes).as_bytes() == value);
                }
                _ => prop_assert_eq!(bytes, value),
            }
        }

        #[test]
        fn any_subject_is_printable_and_can_be_read_back(subject in "(?s).{0,63}") {
            let headers = written(&labelled(0, 1, Some(&subject)));
            let (key, value) = &headers[2];
            prop_assert_eq!(key, "subject");
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()), "{}", value);
            prop_assert_eq!(percent_decode_str(value).decode_utf8().unwrap(), subject);
        }
    }

    #[test]
    fn an_envelope_is_read_as_it_is_written_now_and_as_it_was_before() {
        let event = Event::Release {
            epoch: Epoch(7),
            seq: Seq(1),
        };
        let before = codec::encode(&event);
        let now = STANDARD.encode(&before);
        let headers = written(&envelope_of(&before));
        assert_eq!(headers, [("xp".to_owned(), now.clone())]);
        for value in [before, now.into_bytes()] {
            assert_eq!(codec::decode(&read_back(&value)), Ok(event.clone()));
        }
    }

    #[test]
    fn a_text_that_is_damaged_is_no_envelope_and_says_so() {
        for damaged in ["AwQHAQ=", "AwQHAQ", "AwQ HAQ==", "üü", "\u{7f}"] {
            let error = codec::decode::<Event>(&read_back(damaged.as_bytes())).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("neither base64 nor"), "{damaged}: {said}");
        }
    }

    #[test]
    fn a_label_is_headers_that_people_read() {
        let mut record = labelled(1_798_761_599_999, 41, Some("Zoë, 7%"));
        record.header = Bytes::from_static(b"\x03\x04\x07\x01");
        let headers = written(&record);
        let headers: Vec<_> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
        let time = ("time", "2026-12-31T23:59:59.999Z");
        let subject = ("subject", "Zo%C3%AB%2C%207%25");
        let wanted = [("xp", "AwQHAQ=="), time, ("revision", "41"), subject];
        assert_eq!(headers, wanted);
        assert_eq!(written(&labelled(0, 1, None)).len(), 2, "nobody's message");
    }

    #[test]
    fn a_label_has_a_largest_size() {
        let longest = "ü".repeat(127);
        let headers = written(&labelled(u64::MAX, u64::MAX, Some(&longest)));
        let bytes: usize = headers
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        assert!(
            headers.len() == 3 && bytes < 1024,
            "{bytes} bytes: {headers:?}"
        );
        let longer = "x".repeat(SUBJECT_BYTES_MAX + 1);
        assert_eq!(written(&labelled(0, 1, Some(&longer))).len(), 2);
    }
}
