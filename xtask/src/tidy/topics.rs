//! Names of topics are made in one place, `protocol/src/lane.rs`, and get their installation's prefix in one other,
//! `transport/src/kafka/prefix.rs`: a name made elsewhere would lead into another installation's topic.

use super::problem::Problem;
use super::syntax::walk;
use super::tree::{File, Tree};
use proc_macro2::TokenTree;

const HERE: &str = "protocol/src/lane.rs";

/// What follows the lane in the name of a topic.
const KINDS: [&str; 4] = ["inbound", "events", "outbound", "snapshots"];

const MEND: &str = "take it from protocol/src/lane.rs, without a prefix: the Kafka backend puts that in front (`Prefix::named` for messages)";

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let elsewhere = tree.rust_files().filter(|file| file.path != HERE);
    elsewhere.flat_map(made_in).collect()
}

fn made_in(file: &File) -> Vec<Problem> {
    let mut found = Vec::new();
    walk(file, &mut |place, trees| {
        if !place.is_test && !is_documentation(trees) {
            let literals = trees.iter().filter_map(|tree| match tree {
                TokenTree::Literal(literal) => Some(literal),
                _ => None,
            });
            let made = literals.filter(|literal| makes_a_name(&literal.to_string()));
            found.extend(made.map(|literal| literal.span().start().line));
        }
    });
    let problem = |line| Problem::new(&file.path, line, "a topic's name is made", MEND);
    found.into_iter().map(problem).collect()
}

/// `doc = "…"`, which a comment becomes.
fn is_documentation(trees: &[TokenTree]) -> bool {
    matches!(trees, [TokenTree::Ident(doc), ..] if doc == "doc")
}

/// `{lane}.events`, and nothing that only begins so.
fn makes_a_name(text: &str) -> bool {
    KINDS.into_iter().any(|kind| {
        let made = format!("}}.{kind}");
        let mut behind = text.split(made.as_str()).skip(1);
        let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        behind.any(|rest| !rest.starts_with(goes_on))
    })
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
