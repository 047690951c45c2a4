//! Names of topics are made in one place, `protocol/src/lane.rs`, and get their installation's prefix in one other,
//! `transport/src/kafka/prefix.rs`: a name made elsewhere would lead into another installation's topic.

use super::problem::Problem;
use super::source::{Source, is_word, line_of};
use super::tree::{File, Tree};

const HERE: &str = "protocol/src/lane.rs";

/// What follows the lane in the name of a topic.
const KINDS: [&str; 4] = ["inbound", "events", "outbound", "snapshots"];

const MEND: &str = "take it from protocol/src/lane.rs, without a prefix: the Kafka backend puts that in front (`Prefix::named` for messages)";

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let elsewhere = tree.rust_files().filter(|file| file.path != HERE);
    elsewhere.flat_map(made_in).collect()
}

fn made_in(file: &File) -> Vec<Problem> {
    let source = Source::new(&file.path, &file.text);
    let places = KINDS.into_iter().flat_map(|kind| {
        let made = format!("}}.{kind}");
        let found = file.text.match_indices(&made);
        let found = found.map(|(at, _)| (at, made.len()));
        found.collect::<Vec<_>>()
    });
    let is_name = |(at, length): &(usize, usize)| {
        let next = file.text[at + length..].chars().next();
        let ends = !next.is_some_and(|c| is_word(c) || c == '-');
        ends && !source.is_test(*at) && !is_comment(&file.text, *at)
    };
    // A brace that stands in the code closes a block, and what follows is a field.
    let in_text = |(at, _): &(usize, usize)| source.code.as_bytes()[*at] != b'}';
    let places = places.filter(|place| is_name(place) && in_text(place));
    let problem = |(at, _)| {
        Problem::new(
            &file.path,
            line_of(&file.text, at),
            "a topic's name is made",
            MEND,
        )
    };
    places.map(problem).collect()
}

fn is_comment(text: &str, at: usize) -> bool {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_topics_name_that_is_made_elsewhere_is_found() {
        let made = "fn f() { let a = format!(\"{lane}.events\"); g(format!(\"{}.outbound\", b)) }";
        assert_eq!(found("edge/src/lane.rs", made), 2);
        assert_eq!(found("protocol/src/lane.rs", made), 0);
        assert_eq!(found("edge/tests/lane.rs", made), 0);
    }

    #[test]
    fn names_that_are_read_and_words_about_them_are_left_alone() {
        let text = "//! `{lane}.events`\nfn f() { a.ends_with(\".events\"); S { b }.events; format!(\"{c}.eventstore {c}.outbound-partitions\") }";
        assert_eq!(found("edge/src/lane.rs", text), 0);
    }
}
