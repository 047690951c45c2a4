//! Things that must not be in the tree and that no lint finds: tests that are switched off, and paths of somebody's
//! machine.

use super::problem::Problem;
use super::syntax::{is_punct, walk};
use super::tree::{File, Tree};
use proc_macro2::TokenTree;

/// First folders of absolute paths that exist on one machine only.
const MACHINE_FOLDERS: [&str; 5] = ["home", "root", "tmp", "work", "Users"];

/// Written by tools.
const NOT_OURS: [&str; 2] = ["Cargo.lock", "LICENSE"];

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let ours = tree
        .files()
        .filter(|file| !NOT_OURS.contains(&file.path.as_str()));
    let switched_off = tree.rust_files().flat_map(switched_off);
    switched_off.chain(ours.flat_map(machine_paths)).collect()
}

/// `#[ignore]`, with a reason or without.
fn switched_off(file: &File) -> Vec<Problem> {
    let mut found = Vec::new();
    walk(file, &mut |_, trees| {
        for pair in trees.windows(2) {
            if is_punct(&pair[0], '#') && is_ignore(&pair[1]) {
                let mend = "mend the test or delete it; a test that does not run proves nothing";
                let line = pair[0].span().start().line;
                found.push(Problem::new(&file.path, line, "`#[ignore]`", mend));
            }
        }
    });
    found
}

fn is_ignore(tree: &TokenTree) -> bool {
    let TokenTree::Group(attribute) = tree else {
        return false;
    };
    let first = attribute.stream().into_iter().next();
    first.is_some_and(|first| first.to_string() == "ignore")
}

fn machine_paths(file: &File) -> Vec<Problem> {
    let slashes = file.text.match_indices('/').map(|(at, _)| at);
    let found = slashes.filter_map(|at| Some((at, machine_folder(&file.text, at)?)));
    let mend =
        "name it relative to the repository, or take it from configuration or a temporary folder";
    let problem = |(at, folder)| {
        Problem::new(
            &file.path,
            file.text[..at].matches('\n').count() + 1,
            format!("a path of one machine: `/{folder}/…`"),
            mend,
        )
    };
    found.map(problem).collect()
}

/// An absolute path starts where no name stands before its slash.
fn machine_folder(text: &str, slash: usize) -> Option<&'static str> {
    let before = text[..slash].chars().next_back();
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || "._-~}$)]>*/".contains(c);
    if before.is_some_and(is_part_of_a_name) {
        return None;
    }
    let rest = &text[slash + 1..];
    MACHINE_FOLDERS.into_iter().find(|folder| {
        rest.strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)]))
            .into_iter()
            .map(|problem| format!("{}: {}", problem.line, problem.what))
            .collect()
    }

    #[test]
    fn tests_that_are_switched_off_are_found() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n// #[ignore]\n";
        assert_eq!(found("a/tests/b.rs", text), ["2: `#[ignore]`"]);
    }

    #[test]
    fn paths_of_one_machine_are_found_in_any_file() {
        let path = format!("see /{}/ana/notes", "home");
        let expected = format!("1: a path of one machine: `/{}/…`", "home");
        assert_eq!(found("docs/a.md", &path), [expected]);
        let relative = format!(
            "see ./{0}/a, b/{0}/c, https://x.example/{0}/d and the {0}",
            "work"
        );
        assert_eq!(found("docs/a.md", &relative), Vec::<String>::new());
    }
}
