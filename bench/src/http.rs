//! Answers of HTTP/1.1 in a chunk that was read: where they lie. Their length must be given; nothing is in pieces.

/// Shows each whole answer, head and body together, and returns how many bytes they take.
pub(crate) fn scan(chunk: &[u8], mut on: impl FnMut(&[u8])) -> usize {
    let mut at = 0;
    while let Some(answer) = first(&chunk[at..]) {
        on(answer);
        at += answer.len();
    }
    at
}

fn first(bytes: &[u8]) -> Option<&[u8]> {
    const END: &[u8] = b"\r\n\r\n";
    let head = bytes.windows(END.len()).position(|four| four == END)?;
    let body = content_length(&bytes[..head]).unwrap_or(0);
    bytes.get(..head + END.len() + body)
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse().ok()
}

/// A request with a body of JSON.
pub(crate) fn post(path: &str, host: &str, json: &str) -> Vec<u8> {
    let bytes = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n{json}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_seen_once_wherever_a_chunk_ends() {
        let answers = [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nvary: origin\r\n\r\n\"hey\""[..],
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n[]",
        ];
        let bytes = answers.concat();
        for cut in 0..=bytes.len() {
            let mut seen = Vec::new();
            let taken = scan(&bytes[..cut], |answer| seen.push(answer.to_vec()));
            let rest = scan(&bytes[taken..], |answer| seen.push(answer.to_vec()));
            assert_eq!(
                (taken + rest, &seen[..]),
                (bytes.len(), &answers.map(<[u8]>::to_vec)[..]),
                "cut at {cut}"
            );
        }
    }
}
