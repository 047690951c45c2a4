//! Words and files that must not be in the tree: unfinished work, tests that are switched off or sleep, `unwrap`
//! outside tests, `mod.rs`, and paths of somebody's machine.

use super::problem::Problem;
use super::source::{Source, line_of};
use super::tree::{File, Tree};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Everywhere,
    InTests,
    OutsideTests,
}

struct Forbidden {
    word: &'static str,
    place: Where,
    mend: &'static str,
}

const FORBIDDEN: [Forbidden; 5] = [
    Forbidden {
        word: "todo!",
        place: Where::Everywhere,
        mend: "build it, or leave the feature out and say so in the documents",
    },
    Forbidden {
        word: "unimplemented!",
        place: Where::Everywhere,
        mend: "build it, or return an error that says what is not supported",
    },
    Forbidden {
        word: "#[ignore",
        place: Where::Everywhere,
        mend: "mend the test or delete it; a test that does not run proves nothing",
    },
    Forbidden {
        word: "thread::sleep",
        place: Where::InTests,
        mend: "wait on the condition with a deadline (recv_timeout, wait_timeout, tokio::time::timeout)",
    },
    Forbidden {
        word: ".unwrap()",
        place: Where::OutsideTests,
        mend: "return an error, or `expect(\"why this holds\")` if it cannot happen",
    },
];

/// First folders of absolute paths that exist on one machine only.
const MACHINE_FOLDERS: [&str; 5] = ["home", "root", "tmp", "work", "Users"];

/// Written by tools.
const NOT_OURS: [&str; 2] = ["Cargo.lock", "LICENSE"];

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let rust = tree
        .rust_files()
        .flat_map(|file| forbidden_words(file).into_iter().chain(mod_rs(file)));
    let ours = tree
        .files()
        .filter(|file| !NOT_OURS.contains(&file.path.as_str()));
    rust.chain(ours.flat_map(machine_paths)).collect()
}

fn forbidden_words(file: &File) -> Vec<Problem> {
    let source = Source::new(&file.path, &file.text);
    let mut found = Vec::new();
    for forbidden in &FORBIDDEN {
        let places = source.code.match_indices(forbidden.word).map(|(at, _)| at);
        for at in places.filter(|at| forbidden.holds(source.is_test(*at))) {
            found.push(Problem::new(
                &file.path,
                source.line(at),
                forbidden.what(),
                forbidden.mend,
            ));
        }
    }
    found
}

impl Forbidden {
    fn holds(&self, is_test: bool) -> bool {
        match self.place {
            Where::Everywhere => true,
            Where::InTests => is_test,
            Where::OutsideTests => !is_test,
        }
    }

    fn what(&self) -> String {
        let place = match self.place {
            Where::Everywhere => "",
            Where::InTests => " in a test",
            Where::OutsideTests => " outside tests",
        };
        format!("`{}`{place}", self.word)
    }
}

fn mod_rs(file: &File) -> Option<Problem> {
    let folder = file.path.strip_suffix("/mod.rs")?;
    let mend = format!("rename it to {folder}.rs: every editor tab then has a name of its own");
    Some(Problem::new(&file.path, 1, "a `mod.rs`", mend))
}

fn machine_paths(file: &File) -> Vec<Problem> {
    let slashes = file.text.match_indices('/').map(|(at, _)| at);
    let found = slashes.filter_map(|at| Some((at, machine_folder(&file.text, at)?)));
    let mend =
        "name it relative to the repository, or take it from configuration or a temporary folder";
    let problem = |(at, folder)| {
        Problem::new(
            &file.path,
            line_of(&file.text, at),
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
    fn unfinished_work_is_found_anywhere() {
        assert_eq!(
            found("a/src/b.rs", "fn f() {\n    todo!()\n}"),
            ["2: `todo!`"]
        );
        assert_eq!(
            found("a/tests/b.rs", "unimplemented!()"),
            ["1: `unimplemented!`"]
        );
        assert_eq!(
            found(
                "a/src/b.rs",
                "// todo! is forbidden\nconst WORD: &str = \"todo!\";"
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn tests_that_are_switched_off_or_sleep_are_found() {
        assert_eq!(
            found(
                "a/tests/b.rs",
                "#[ignore = \"slow\"]\nfn f() { std::thread::sleep(d); }"
            ),
            ["1: `#[ignore`", "2: `thread::sleep` in a test"]
        );
        assert_eq!(
            found(
                "a/src/b.rs",
                "#[cfg(test)]\nmod tests { fn f() { thread::sleep(d) } }"
            ),
            ["2: `thread::sleep` in a test"]
        );
        assert_eq!(
            found("a/src/b.rs", "fn f() { thread::sleep(d) }"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_unwrap_is_found_outside_tests_only() {
        let text = "fn f() { x.unwrap() }\n#[cfg(test)]\nmod tests { fn g() { y.unwrap() } }";
        assert_eq!(found("a/src/b.rs", text), ["1: `.unwrap()` outside tests"]);
    }

    #[test]
    fn a_mod_rs_is_found() {
        assert_eq!(found("a/src/b/mod.rs", ""), ["1: a `mod.rs`"]);
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
