//! Rust source as these checks see it: comments, strings and characters blanked at their places, so that what is
//! left is code and every offset still holds. Enough for reading structure by brackets; it is no parser.

use std::ops::Range;

pub(crate) struct Source {
    pub(crate) code: String,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank_prose(text);
        let tests = if is_test_file(path) {
            std::iter::once(0..code.len()).collect()
        } else {
            test_regions(&code)
        };
        Self { code, tests }
    }

    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|region| region.contains(&at))
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        line_of(&self.code, at)
    }

    /// Where `word` stands as a whole word.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words(&self.code, word)
    }
}

/// Line of an offset, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code[..*at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifier that starts at `at`, after white space; empty if there is none.
pub(crate) fn identifier(code: &str, at: usize) -> &str {
    let rest = code[at..].trim_start();
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    &rest[..end]
}

/// The end of the block whose `{` stands at `open`, just behind its `}`; the end of the code if it never closes.
pub(crate) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Cargo's `tests/` folders, and test modules in a file of their own.
fn is_test_file(path: &str) -> bool {
    let inside = path
        .split('/')
        .any(|part| part == "tests" || part == "benches");
    inside || path.ends_with("/tests.rs")
}

fn test_regions(code: &str) -> Vec<Range<usize>> {
    let attributes = code
        .match_indices("#[cfg(test)]")
        .chain(code.match_indices("#[cfg(all(test,"));
    attributes
        .filter_map(|(at, _)| block_after(code, at))
        .collect()
}

/// From an attribute to the end of the block it stands on; none if the item has no body here (`mod tests;`).
fn block_after(code: &str, at: usize) -> Option<Range<usize>> {
    let item = at + code[at..].find(']')?;
    let next = item + code[item..].find(['{', ';'])?;
    (code.as_bytes()[next] == b'{').then(|| at..block_end(code, next))
}

pub(crate) fn blank_prose(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        match prose_end(text.as_bytes(), at) {
            Some(end) => {
                let prose = code[at..end].iter_mut().filter(|byte| **byte != b'\n');
                prose.for_each(|byte| *byte = b' ');
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8(code)
        .expect("prose is blanked from one ASCII delimiter to the next, so whole characters are")
}

/// If a comment or a literal starts at `at`, where it ends.
fn prose_end(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => Some(find(text, at, b"\n")),
        b'/' if rest.starts_with(b"/*") => Some(comment_end(text, at)),
        b'"' => Some(string_end(text, at + 1, b'"')),
        b'r' if !continues_word(text, at) => raw_string_end(text, at),
        b'\'' => character_end(text, at),
        _ => None,
    }
}

fn find(text: &[u8], from: usize, needle: &[u8]) -> usize {
    let found = text[from..]
        .windows(needle.len())
        .position(|window| window == needle);
    found.map_or(text.len(), |found| from + found)
}

fn comment_end(text: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (1, start + 2);
    while depth > 0 && at < text.len() {
        let pair = &text[at..text.len().min(at + 2)];
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    at
}

fn string_end(text: &[u8], mut at: usize, quote: u8) -> usize {
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    text.len().min(at + 1)
}

/// `b` and `c` may stand before the `r` of a raw string; any other word character means that this `r` ends a name.
fn continues_word(text: &[u8], at: usize) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match text[..at] {
        [.., before, b'b' | b'c'] => is_word(&before),
        [b'b' | b'c'] => false,
        [.., before] => is_word(&before),
        [] => false,
    }
}

fn raw_string_end(text: &[u8], at: usize) -> Option<usize> {
    let hashes = text[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = at + 1 + hashes;
    if text.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    Some(text.len().min(find(text, open + 1, &close) + close.len()))
}

/// A quote starts a character if it closes after one; otherwise it starts a lifetime.
fn character_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at + 1) == Some(&b'\\') {
        return Some(string_end(text, at + 1, b'\''));
    }
    let first = *text.get(at + 1)?;
    let width = match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (text.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> String {
        let code = blank_prose(text);
        assert_eq!(code.len(), text.len());
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_strings_and_characters_are_blanked_and_code_stays() {
        assert_eq!(left("a // b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(
            left(r##"a("b \" c", r#"d " e"#, br"f", 'g', '\'', 'é', b'h')"##),
            "a( , , b , , , , b )"
        );
        assert_eq!(
            left("fn f<'a>(x: &'a str) { 'l: loop {} }"),
            "fn f<'a>(x: &'a str) { 'l: loop {} }"
        );
        assert_eq!(
            left("let for_r = r#type; \"é\\\\\" b"),
            "let for_r = r#type; b"
        );
    }

    #[test]
    fn lines_survive_the_blanking() {
        let source = Source::new("a.rs", "/* 1\n2 */\n\"3\n4\"\nfive");
        assert_eq!(
            source
                .words("five")
                .map(|at| source.line(at))
                .collect::<Vec<_>>(),
            [5]
        );
    }

    #[test]
    fn a_test_module_ends_with_its_bracket() {
        let source = Source::new(
            "a/src/b.rs",
            "one\n#[cfg(test)]\nmod tests { two { } }\nthree\n#[cfg(test)]\nmod x;\nfour {}",
        );
        let is_test = |word| source.is_test(source.words(word).next().unwrap());
        assert!(is_test("two"));
        assert!(!is_test("one") && !is_test("three") && !is_test("four"));
    }

    #[test]
    fn files_in_tests_folders_are_tests() {
        assert!(
            is_test_file("edge/tests/handshake.rs") && is_test_file("edge/src/session/tests.rs")
        );
        assert!(!is_test_file("edge/src/session.rs") && !is_test_file("domain-sdk/src/testkit.rs"));
    }
}
