//! The one way in which text from outside reaches a terminal or a log: whatever would move the cursor, begin a line,
//! colour, hide or turn letters around is shown by its number.
//!
//! The numbers are written as JSON writes them (`\n`, `\u001b`), so that JSON stays what it was.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most bytes of one value from outside that a line of a log shows.
pub const SHOWN_BYTES_MAX: usize = 128;

/// `text` on one line, with nothing in it that a terminal would act on.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    written(text, acts)
}

/// As [`plain`], for text of several lines: line ends stay.
#[must_use]
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    written(text, |c| c != '\n' && acts(c))
}

/// As [`plain`], and in quotes where it would not be read as one word: what stands in a line of `key=value` ends where its
/// writer meant it to, and begins no key of its own.
#[must_use]
pub fn word(text: &str) -> Cow<'_, str> {
    match text.is_empty() || text.contains(splits) {
        true => quoted(text).into(),
        false => plain(text),
    }
}

/// As [`plain`], in quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", plain(&escaped))
}

fn splits(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '=')
}

/// As [`plain`], and no longer than [`SHOWN_BYTES_MAX`]; what is cut says how long the whole was.
#[must_use]
pub fn brief(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN_BYTES_MAX {
        return plain(text);
    }
    let head = &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)];
    format!("{}… ({} bytes)", plain(head), text.len()).into()
}

/// Whether a terminal or a viewer does something else with `c` than to show it: controls (C0, DEL, C1), what separates
/// lines, what changes the direction of text, and what is not to be seen. What joins letters and emojis stays.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn written(text: &str, is_written: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_written) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_written(c) {
            true => number(&mut plain, c),
            false => plain.push(c),
        }
    }
    plain.into()
}

fn number(plain: &mut String, c: char) {
    match c {
        '\n' => plain.push_str("\\n"),
        '\r' => plain.push_str("\\r"),
        '\t' => plain.push_str("\\t"),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(plain, "\\u{unit:04x}").expect("a String takes all text");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_shown_by_its_number() {
        for (text, shown) in [
            ("ana\nERROR forged", "ana\\nERROR forged"),
            ("\u{1b}[2J", "\\u001b[2J"),
            ("a\u{9b}31m\u{7f}", "a\\u009b31m\\u007f"),
            ("user\u{202e}nimda", "user\\u202enimda"),
            ("a\u{2028}b\u{feff}\r\t", "a\\u2028b\\ufeff\\r\\t"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("ana\u{3164}", "ana\\u3164"),
            ("a\u{34f}\u{17b5}\u{115f}", "a\\u034f\\u17b5\\u115f"),
            ("a\u{1d173}", "a\\ud834\\udd73"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn what_people_read_stays_and_is_not_copied() {
        for text in ["board/7 ü", "日本語", "👩‍👩‍👧", "{\"a\": \"\\n\"}", "مرحبا"]
        {
            assert!(matches!(plain(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let json = "{\"a\": \"x\u{202e}\u{9b}\u{e0041}\u{7f}\"}";
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_ne!(plain(json), json);
        assert_eq!(read(&plain(json)), read(json));
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let long = "ü".repeat(SHOWN_BYTES_MAX);
        let shown = brief(&long);
        assert!(shown.ends_with("ü… (256 bytes)"), "{shown}");
        assert_eq!(shown.matches('ü').count(), SHOWN_BYTES_MAX / 2);
        assert_eq!(brief("short\n"), "short\\n");
    }

    #[test]
    fn a_word_is_quoted_where_it_could_be_read_as_several() {
        for (text, shown) in [
            ("ana", "ana"),
            ("https://a.example#ana", "https://a.example#ana"),
            ("C:\\ana", "C:\\ana"),
            ("", "\"\""),
            ("ana code=x", "\"ana code=x\""),
            ("a\" b=\"c\\", "\"a\\\" b=\\\"c\\\\\""),
            ("a=b", "\"a=b\""),
            ("a\u{a0}b\u{2003}c", "\"a\u{a0}b\u{2003}c\""),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(word(text), shown);
        }
    }

    #[test]
    fn several_lines_stay_several() {
        assert_eq!(plain_lines("a\nb\r"), "a\nb\\r");
    }
}
