//! The syntax of a Rust file: its items as syn reads them, and its tokens with what stands around them. Macros are seen
//! as tokens too, where syn knows no items; comments are not there.

use super::tree::File;
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{Attribute, Item, UseTree};

/// What stands around tokens.
#[derive(Clone, Default)]
pub(crate) struct Place {
    /// The blocks `mod name { … }`.
    pub(crate) modules: Vec<String>,
    pub(crate) is_test: bool,
}

/// A path: `crate::a::{b, c::D as E}` is two of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    /// `["crate", "a", "b"]`; a glob ends with `*`.
    pub(crate) names: Vec<String>,
    /// The name that it has here: after `as`, else its last.
    pub(crate) known_as: String,
}

/// The items of a file; none for one that the compiler refuses.
pub(crate) fn items(file: &File) -> Vec<Item> {
    let parsed = syn::parse_file(&file.text);
    parsed.map(|file| file.items).unwrap_or_default()
}

/// Whether an item is there for tests alone.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    let mut attributes = attributes.iter();
    attributes.any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => is_test_condition(&list.tokens),
        _ => false,
    })
}

/// `test` and `all(test, …)`
fn is_test_condition(condition: &TokenStream) -> bool {
    let condition = condition.to_string().replace(' ', "");
    condition == "test" || condition.starts_with("all(test,")
}

/// Shows each list of tokens that a pair of brackets, or the whole file, holds.
pub(crate) fn walk(file: &File, show: &mut dyn FnMut(&Place, &[TokenTree])) {
    let place = Place {
        is_test: is_test_file(&file.path),
        ..Place::default()
    };
    // What the compiler refuses is found elsewhere.
    if let Ok(tokens) = file.text.parse::<TokenStream>() {
        walk_in(&place, tokens, show);
    }
}

fn walk_in(around: &Place, tokens: TokenStream, show: &mut dyn FnMut(&Place, &[TokenTree])) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    show(around, &trees);
    let mut place = around.clone();
    for (at, tree) in trees.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            let mut inside = place.clone();
            inside.modules.extend(module_before(&trees[..at]));
            walk_in(&inside, group.stream(), show);
            place.is_test |= is_attribute(&trees[..at]) && says_test(group);
        }
        // An attribute is of the item behind it, which ends so.
        if is_body(tree) || is_punct(tree, ';') {
            place.is_test = around.is_test;
        }
    }
}

/// The name of the module whose block comes next.
fn module_before(before: &[TokenTree]) -> Option<String> {
    match before {
        [.., TokenTree::Ident(word), TokenTree::Ident(name)] if word == "mod" => {
            Some(name.to_string())
        }
        _ => None,
    }
}

fn is_attribute(before: &[TokenTree]) -> bool {
    before.last().is_some_and(|tree| is_punct(tree, '#'))
}

fn says_test(attribute: &Group) -> bool {
    let trees: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match &trees[..] {
        [TokenTree::Ident(word), TokenTree::Group(condition)] if word == "cfg" => {
            is_test_condition(&condition.stream())
        }
        _ => makes_test(attribute),
    }
}

/// `#[test]`, `#[tokio::test(…)]`
fn makes_test(attribute: &Group) -> bool {
    let names = attribute.stream().into_iter();
    let names = names.take_while(|tree| !matches!(tree, TokenTree::Group(_)));
    names.last().is_some_and(|last| last.to_string() == "test")
}

pub(crate) fn is_punct(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Brackets that hold the body of an item.
pub(crate) fn is_body(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// What stands between the end of the item before and the last of these.
pub(crate) fn makes_a_test(before: &[TokenTree]) -> bool {
    let end = before
        .iter()
        .rposition(|tree| is_body(tree) || is_punct(tree, ';'));
    let own = &before[end.map_or(0, |end| end + 1)..];
    own.windows(2).any(|pair| {
        matches!(&pair[1], TokenTree::Group(group) if is_punct(&pair[0], '#') && makes_test(group))
    })
}

/// Cargo's `tests/` folders, and test modules in a file of their own.
pub(crate) fn is_test_file(path: &str) -> bool {
    let inside = path
        .split('/')
        .any(|part| part == "tests" || part == "benches");
    inside || path.ends_with("/tests.rs")
}

/// Every path in a list of tokens that begins with `crate` or `super`, in `use` lines and elsewhere.
pub(crate) fn paths_within_crate(trees: &[TokenTree]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        let rest = &trees[at..];
        let length = match tree {
            TokenTree::Ident(word) if word == "use" => used_by_line(word, &rest[1..], &mut found),
            TokenTree::Ident(word) if word == "crate" || word == "super" => {
                written_out(rest, &mut found)
            }
            _ => 0,
        };
        at += length.max(1);
    }
    found.retain(|path| ["crate", "super"].contains(&path.names[0].as_str()));
    found
}

/// What a line `use …;` brings in; returns how long it is. `use<'a>` of a type is no such line.
fn used_by_line(word: &Ident, behind: &[TokenTree], found: &mut Vec<Path>) -> usize {
    let line = behind.iter().take_while(|tree| !is_punct(tree, ';'));
    let line: Vec<TokenTree> = line.cloned().collect();
    match syn::parse2::<UseTree>(line.iter().cloned().collect()) {
        Ok(tree) => {
            unfold(&tree, word.span().start().line, Vec::new(), found);
            line.len() + 1
        }
        Err(_) => 0,
    }
}

/// `super::super::A` in an expression or a type; returns how long it is.
fn written_out(trees: &[TokenTree], found: &mut Vec<Path>) -> usize {
    let mut names = Vec::new();
    let mut rest = trees;
    while let [TokenTree::Ident(name), behind @ ..] = rest {
        names.push(name.to_string());
        rest = behind;
        match rest {
            [first, second, behind @ ..] if is_punct(first, ':') && is_punct(second, ':') => {
                rest = behind;
            }
            _ => break,
        }
    }
    if let [_, .., last] = &names[..] {
        found.push(Path {
            line: trees[0].span().start().line,
            known_as: last.clone(),
            names,
        });
    }
    trees.len() - rest.len()
}

/// What the `use` items of a file bring into it.
pub(crate) fn used(items: &[Item]) -> Vec<Path> {
    let mut found = Vec::new();
    for item in items {
        if let Item::Use(item) = item {
            unfold(
                &item.tree,
                item.use_token.span.start().line,
                Vec::new(),
                &mut found,
            );
        }
    }
    found
}

fn unfold(tree: &UseTree, line: usize, mut names: Vec<String>, found: &mut Vec<Path>) {
    let (last, known_as) = match tree {
        UseTree::Path(path) => {
            names.push(path.ident.to_string());
            return unfold(&path.tree, line, names, found);
        }
        UseTree::Group(group) => {
            let each = group.items.iter();
            return each.for_each(|tree| unfold(tree, line, names.clone(), found));
        }
        UseTree::Name(name) => (name.ident.to_string(), None),
        UseTree::Rename(renamed) => {
            let known_as = renamed.rename.to_string();
            (renamed.ident.to_string(), Some(known_as))
        }
        UseTree::Glob(_) => ("*".to_owned(), None),
    };
    // In a group it means the path so far.
    if last != "self" || names.is_empty() {
        names.push(last);
    }
    let known_as = known_as.or_else(|| names.last().cloned());
    found.push(Path {
        line,
        known_as: known_as.unwrap_or_default(),
        names,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File {
            path: "a/src/b.rs".to_owned(),
            text: text.to_owned(),
        }
    }

    fn shown(path: &Path) -> String {
        let names = path.names.join("::");
        format!("{} {names} as {}", path.line, path.known_as)
    }

    fn paths(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(&file(text), &mut |_, trees| {
            found.extend(paths_within_crate(trees));
        });
        found.iter().map(shown).collect()
    }

    /// Words, and whether each is in a test.
    fn words(text: &str) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        walk(&file(text), &mut |place, trees| {
            let words = trees.iter().filter(|tree| tree.to_string().len() == 1);
            let words = words.filter(|tree| matches!(tree, TokenTree::Ident(_)));
            found.extend(words.map(|tree| (tree.to_string(), place.is_test)));
        });
        found
    }

    #[test]
    fn groups_are_unfolded() {
        let code = "use crate::{\n    a::{self, B},\n    c::D as E,\n    f::*,\n};\nuse std::fmt;";
        assert_eq!(
            paths(code),
            [
                "1 crate::a as a",
                "1 crate::a::B as B",
                "1 crate::c::D as E",
                "1 crate::f::* as *"
            ]
        );
        let used = used(&items(&file("pub use x::{Y, z};")));
        let used: Vec<_> = used.iter().map(shown).collect();
        assert_eq!(used, ["1 x::Y as Y", "1 x::z as z"]);
    }

    #[test]
    fn paths_in_types_expressions_and_macros_count_too() {
        let code = "fn f(x: super::super::A<u8>) -> crate::b::C {\n vec![crate::d::e(x) as u8] }\npub(crate) fn g() {}\n// crate::no::no\nconst A: &str = \"crate::no::no\";";
        assert_eq!(
            paths(code),
            [
                "1 crate::b::C as C",
                "1 super::super::A as A",
                "2 crate::d::e as e",
            ]
        );
    }

    #[test]
    fn a_test_ends_with_its_bracket() {
        let code = "fn f() { a }\n#[cfg(test)]\nmod t { fn g() { b } }\nfn h() { c }\n#[cfg(test)]\nmod x;\nfn i() { d }\n#[tokio::test(flavor = \"x\")]\nasync fn j(e: E) { k }";
        let tests: Vec<_> = words(code).into_iter().filter(|word| word.1).collect();
        let tests: Vec<_> = tests.iter().map(|word| word.0.as_str()).collect();
        assert_eq!(tests, ["g", "b", "e", "E", "k"]);
    }

    #[test]
    fn files_in_tests_folders_are_tests() {
        assert!(
            is_test_file("edge/tests/handshake.rs") && is_test_file("edge/src/session/tests.rs")
        );
        assert!(!is_test_file("edge/src/session.rs") && !is_test_file("domain-sdk/src/testkit.rs"));
    }
}
