//! Websocket frames in a chunk that was read: where they lie, and the number that a frame carries at a fixed place.

/// The kinds that carry something; the platform's frames are all text.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;

/// Digits of a number at a fixed place.
pub(crate) const DIGITS: usize = 10;

/// Shows each whole unmasked frame, its first byte and its payload, and returns how many bytes they take. The rest is
/// the beginning of a frame.
pub(crate) fn scan(chunk: &[u8], mut on: impl FnMut(u8, &[u8])) -> usize {
    let mut at = 0;
    while let Some((first, head, len)) = header(&chunk[at..]) {
        let Some(payload) = chunk.get(at + head..at + head + len) else {
            break;
        };
        on(first, payload);
        at += head + len;
    }
    at
}

/// The first byte, and the lengths of head and payload. A mask belongs to the head: the generator's changes nothing.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    const MASKED: u8 = 0x80;
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let mask = if second & MASKED == 0 { 0 } else { 4 };
    let (head, len) = match second & !MASKED {
        126 => (
            4,
            usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        ),
        127 => (
            10,
            u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize,
        ),
        short => (2, usize::from(short)),
    };
    Some((first, head + mask, len))
}

/// Appends an unmasked text frame, as a server sends it.
pub(crate) fn append(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(TEXT);
    match payload.len() {
        short @ 0..126 => out.push(short as u8),
        long => {
            out.push(126);
            let long = u16::try_from(long).expect("the generator's frames are small");
            out.extend(long.to_be_bytes());
        }
    }
    out.extend(payload);
}

/// The number whose last digit stands `behind` bytes before the payload's end.
pub(crate) fn number(payload: &[u8], behind: usize) -> Option<u64> {
    let end = payload.len().checked_sub(behind)?;
    let digits = payload.get(end.checked_sub(DIGITS)?..end)?;
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> (Vec<u8>, Vec<Vec<u8>>) {
        let payloads = [0, 1, 125, 126, 127, 3_000].map(|len| vec![b'x'; len]);
        let mut bytes = Vec::new();
        payloads
            .iter()
            .for_each(|payload| append(&mut bytes, payload));
        (bytes, payloads.to_vec())
    }

    #[test]
    fn every_frame_is_seen_once_wherever_a_chunk_ends() {
        let (bytes, payloads) = frames();
        for cut in 0..bytes.len() {
            let mut seen = Vec::new();
            let mut see = |first, payload: &[u8]| {
                assert_eq!(first, TEXT);
                seen.push(payload.to_vec());
            };
            let taken = scan(&bytes[..cut], &mut see);
            let rest = scan(&bytes[taken..], &mut see);
            assert_eq!(
                (taken + rest, &seen),
                (bytes.len(), &payloads),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_frame_of_a_client_is_as_long_as_its_mask_makes_it() {
        let frame = *b"\x81\x88\0\0\0\0send 1 x";
        let mut seen = Vec::new();
        let taken = scan(&frame, |_, payload| seen.push(payload.to_vec()));
        assert_eq!((taken, seen), (frame.len(), vec![b"send 1 x".to_vec()]));
    }

    #[test]
    fn a_number_stands_at_a_fixed_place() {
        assert_eq!(number(b"event 7 0000000420]", 1), Some(420));
        assert_eq!(number(b"event 7 000000042x]", 1), None);
        assert_eq!(number(b"0420]", 1), None);
    }
}
