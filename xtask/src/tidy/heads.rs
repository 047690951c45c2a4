//! The first sentence of a module: it begins with what the module is, and not with a question.

use super::problem::Problem;
use super::tree::{File, Tree};

/// What questions begin with.
const QUESTION_WORDS: [&str; 9] = [
    "What", "How", "Who", "Whose", "Where", "When", "Which", "Why", "Whether",
];

const MEND: &str = "begin with a noun, \"The send queue of one socket: …\", and say what the module does not do \
                    if a reader could think that it does";

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    tree.rust_files().filter_map(question).collect()
}

/// The question that a file's documentation begins with. Attributes and comments may stand before it.
fn question(file: &File) -> Option<Problem> {
    let mut lines = file.text.lines().enumerate();
    let (index, head) = lines.find_map(|(index, line)| Some((index, line.strip_prefix("//!")?)))?;
    let head = head.trim_start();
    let word = head.split(|letter: char| !letter.is_alphabetic()).next()?;
    let is_question = QUESTION_WORDS.contains(&word);
    is_question.then(|| {
        let what = format!("the module's first sentence begins with `{word}`");
        Problem::new(&file.path, index + 1, what, MEND)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[("house/src/hall.rs", text)]);
        let found = check(&tree).into_iter();
        found.map(|problem| (problem.line, problem.what)).collect()
    }

    #[test]
    fn a_module_begins_with_what_it_is_and_not_with_a_question() {
        let begins = |word: &str| format!("the module's first sentence begins with `{word}`");
        for word in QUESTION_WORDS {
            let asked = format!("//! {word} stands in the hall.\n");
            assert_eq!(found(&asked), [(1, begins(word))]);
        }
        let behind_an_attribute = "#![allow(dead_code)]\n\n//! What's in the hall.\n";
        assert_eq!(found(behind_an_attribute), [(3, begins("What"))]);
        assert!(
            found("//! The hall: what stands in it, and who may come in.\n//! What else.\n")
                .is_empty()
        );
        assert!(
            found("//! Whatever stands in the hall.\n").is_empty(),
            "another word"
        );
        assert!(
            found("/// What an item is.\nfn hall() {}\n").is_empty(),
            "no module"
        );
    }
}
