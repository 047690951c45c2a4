//! Functions with a body: their names, where they stand, and how long they are.

use super::syntax::{is_body, is_punct, makes_a_test, walk};
use super::tree::File;
use proc_macro2::TokenTree;

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of its `fn` to that of its last bracket.
    pub(crate) lines: usize,
    /// Whether an attribute such as `#[test]` or `#[tokio::test(…)]` stands on it.
    pub(crate) is_test: bool,
}

/// Those of a file, nested ones and those in macros too.
pub(crate) fn functions(file: &File) -> Vec<Function> {
    let mut found = Vec::new();
    walk(file, &mut |_, trees| {
        found.extend((0..trees.len()).filter_map(|at| function(trees, at)));
    });
    found
}

fn function(trees: &[TokenTree], at: usize) -> Option<Function> {
    let [TokenTree::Ident(word), TokenTree::Ident(name), rest @ ..] = &trees[at..] else {
        return None;
    };
    // A `;` ends a declaration without a body.
    let mut rest = rest.iter().take_while(|tree| !is_punct(tree, ';'));
    let body = rest.find(|tree| is_body(tree)).filter(|_| word == "fn")?;
    let line = word.span().start().line;
    Some(Function {
        name: name.to_string(),
        line,
        lines: body.span().end().line - line + 1,
        is_test: makes_a_test(&trees[..at]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_runs_to_its_last_bracket_and_a_declaration_is_none() {
        let text = "trait T {\n fn no(&self, n: [u8; 2]);\n fn yes(&self) -> [u8; 2] {\n  {}\n }\n}\ntype F = fn(u8);\nproptest! {\n #[test]\n fn shaken(n in 0..5) {}\n fn helper() {}\n}";
        let file = File {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        };
        let found: Vec<_> = functions(&file)
            .into_iter()
            .map(|f| (f.name, f.line, f.lines, f.is_test))
            .collect();
        let expected = [
            ("yes", 3, 3, false),
            ("shaken", 10, 1, true),
            ("helper", 11, 1, false),
        ];
        assert_eq!(
            found,
            expected.map(|(name, line, lines, is_test)| (name.to_owned(), line, lines, is_test))
        );
    }
}
