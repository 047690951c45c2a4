//! Each promise in `GUARANTEES.md` names the test that proves it, and that test is there.

use super::functions::functions;
use super::problem::Problem;
use super::syntax::{is_punct, walk};
use super::tree::{File, Tree};
use proc_macro2::TokenTree;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "GUARANTEES.md";

const FORM: &str = "each row of a table in GUARANTEES.md names its tests as `package: test_function` in backticks, such as `xp-edge: a_late_connect_is_ignored`";

/// Test functions by the name of their package.
type Tests = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(page) = tree.text(PAGE) else {
        return vec![Problem::new(PAGE, 1, "the page is missing", FORM)];
    };
    let rows = rows(page);
    if rows.is_empty() {
        return vec![Problem::new(PAGE, 1, "the page promises nothing", FORM)];
    }
    let tests = tests(tree);
    let judged = rows
        .into_iter()
        .flat_map(|(line, row)| judge(line, row, &tests));
    judged.chain(lost_rows(page)).collect()
}

/// Rows that a blank line cuts off from their table: readers see bars, and no table.
fn lost_rows(page: &str) -> impl Iterator<Item = Problem> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let is_row = |at: usize| lines.get(at).is_some_and(|line| line.starts_with('|'));
    let begins = |at: &usize| is_row(*at) && (*at == 0 || !is_row(*at - 1));
    let lost = (0..lines.len()).filter(begins);
    let lost: Vec<_> = lost.filter(|at| !is_rule(&lines, at + 1)).collect();
    let problem = |at| {
        let what = "this row belongs to no table";
        let mend = "take the blank line before it away, or give the table a heading";
        Problem::new(PAGE, at + 1, what, mend)
    };
    lost.into_iter().map(problem)
}

/// Whether a line divides a table's heading from its rows.
fn is_rule(lines: &[&str], at: usize) -> bool {
    let line = lines.get(at);
    line.is_some_and(|line| line.starts_with('|') && line.chars().all(|c| "|-: ".contains(c)))
}

/// The rows of all tables, without their headings.
fn rows(page: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let is_rule = |at: usize| is_rule(&lines, at);
    let rows = (0..lines.len())
        .filter(|at| lines[*at].starts_with('|') && !is_rule(*at) && !is_rule(at + 1));
    rows.map(|at| (at + 1, lines[at])).collect()
}

fn judge(line: usize, row: &str, tests: &Tests) -> Vec<Problem> {
    let named: Vec<(&str, &str)> = row
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(test_name)
        .collect();
    if named.is_empty() {
        return vec![Problem::new(PAGE, line, "this promise names no test", FORM)];
    }
    let missing = named.into_iter().filter(|(package, test)| {
        !tests
            .get(*package)
            .is_some_and(|tests| tests.contains(*test))
    });
    missing
        .map(|(package, test)| missing_test(line, package, test, tests))
        .collect()
}

/// `package: test_function`
fn test_name(span: &str) -> Option<(&str, &str)> {
    let (package, test) = span.split_once(": ")?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    (is_name(package) && is_name(test)).then_some((package, test))
}

fn missing_test(line: usize, package: &str, test: &str, tests: &Tests) -> Problem {
    let elsewhere = tests.iter().find(|(_, tests)| tests.contains(test));
    let mend = match elsewhere {
        Some((other, _)) => format!("it is in `{other}`: write `{other}: {test}`"),
        None if !tests.contains_key(package) => format!(
            "packages with tests are {}",
            tests.keys().cloned().collect::<Vec<_>>().join(", ")
        ),
        None => "name the test as it is called now, or write it".to_owned(),
    };
    Problem::new(
        PAGE,
        line,
        format!("there is no test `{test}` in `{package}`"),
        mend,
    )
}

fn tests(tree: &Tree) -> Tests {
    let mut tests = Tests::new();
    let packages = packages(tree);
    for file in tree.rust_files() {
        let inside = packages
            .iter()
            .filter(|(folder, _)| file.path.starts_with(folder.as_str()));
        if let Some((_, package)) = inside.max_by_key(|(folder, _)| folder.len()) {
            tests
                .entry(package.clone())
                .or_default()
                .extend(test_functions(file));
        }
    }
    tests
}

/// Folder (with its slash) and name of each package.
fn packages(tree: &Tree) -> Vec<(String, String)> {
    tree.files().filter_map(package).collect()
}

fn package(file: &File) -> Option<(String, String)> {
    let folder = file.path.strip_suffix("Cargo.toml")?;
    let manifest: toml::Table = file.text.parse().ok()?;
    let name = manifest.get("package")?.get("name")?.as_str()?;
    Some((folder.to_owned(), name.to_owned()))
}

fn test_functions(file: &File) -> Vec<String> {
    let tests = functions(file).into_iter().filter(|one| one.is_test);
    tests
        .map(|function| function.name)
        .chain(suite_tests(file))
        .collect()
}

/// What a macro makes tests of, one for each backend: the names after `@tests …;`.
fn suite_tests(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    walk(file, &mut |_, trees| {
        let is_list = matches!(trees, [at, TokenTree::Ident(tests), ..] if is_punct(at, '@') && tests == "tests");
        let list = trees.iter().skip_while(|tree| !is_punct(tree, ';'));
        let list: Vec<&TokenTree> = list.filter(|_| is_list).collect();
        // The last name of each path.
        let names =
            (0..list.len()).filter(|at| !list.get(at + 1).is_some_and(|next| is_punct(next, ':')));
        let names = names.filter_map(|at| match list[at] {
            TokenTree::Ident(name) => Some(name.to_string()),
            _ => None,
        });
        found.extend(names);
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: (&str, &str) = ("edge/Cargo.toml", "[package]\nname = \"xp-edge\"\n");
    const CODE: (&str, &str) = (
        "edge/src/a.rs",
        "fn helper() {}\n#[cfg(test)]\nmod tests {\n#[test]\nfn one_holds() {}\n/// Doc.\n#[tokio::test(flavor = \"x\")]\n#[cfg(unix)]\nasync fn two_holds() {}\n}",
    );

    fn found(page: &str) -> Vec<String> {
        let problems = check(&Tree::of(&[(PAGE, page), MANIFEST, CODE]));
        problems
            .into_iter()
            .map(|problem| {
                format!(
                    "{}:{} {}; {}",
                    problem.path, problem.line, problem.what, problem.mend
                )
            })
            .collect()
    }

    fn table(test: &str) -> String {
        format!("# Promises\n\n| promise | test |\n| --- | --- |\n| it holds | {test} |\n")
    }

    #[test]
    fn tests_that_exist_prove_a_promise() {
        assert_eq!(
            found(&table("`xp-edge: one_holds`, `xp-edge: two_holds`")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let expected = "GUARANTEES.md:5 there is no test `three_holds` in `xp-edge`; name the test as it is called now, or write it";
        assert_eq!(
            found(&table("`xp-edge: one_holds`, `xp-edge: three_holds`")),
            [expected]
        );
    }

    #[test]
    fn a_row_behind_a_blank_line_is_lost_to_its_table() {
        let row = "| it holds too | `xp-edge: two_holds` |";
        let page = table("`xp-edge: one_holds`");
        assert!(found(&format!("{page}{row}\n")).is_empty());
        let expected = "GUARANTEES.md:7 this row belongs to no table; take the blank line before it away, or give the table a heading";
        assert_eq!(found(&format!("{page}\n{row}\n")), [expected]);
    }

    #[test]
    fn a_function_that_is_no_test_proves_nothing() {
        assert_eq!(found(&table("`xp-edge: helper`")).len(), 1);
    }

    #[test]
    fn a_test_in_another_package_is_pointed_to() {
        let expected = "GUARANTEES.md:5 there is no test `one_holds` in `edge`; it is in `xp-edge`: write `xp-edge: one_holds`";
        assert_eq!(found(&table("`edge: one_holds`")), [expected]);
    }

    #[test]
    fn a_suite_names_the_tests_that_it_makes() {
        let text = "macro_rules! suite {\n(@tests $b:expr; $($t:ident)*) => {};\n($b:expr) => { suite! { @tests $b;\n one_holds\n kill::two_holds\n} };\n}";
        let file = File {
            path: "a/tests/b.rs".to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(suite_tests(&file), ["one_holds", "two_holds"]);
    }

    #[test]
    fn a_promise_without_a_test_and_a_page_without_a_promise_are_found() {
        assert!(
            found(&table("to come"))[0].starts_with("GUARANTEES.md:5 this promise names no test")
        );
        assert!(found("# Promises")[0].starts_with("GUARANTEES.md:1 the page promises nothing"));
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
