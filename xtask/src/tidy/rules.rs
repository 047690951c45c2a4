//! Each file that `docs/rules.md` names for a rule of the log protocol names that rule where it keeps it.

use super::problem::Problem;
use super::tree::Tree;

const PAGE: &str = "docs/rules.md";

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(page) = tree.text(PAGE) else {
        let mend = "list the rules of the log protocol and the files that keep them";
        return vec![Problem::new(PAGE, 1, "the page is missing", mend)];
    };
    let lines = (1..).zip(page.lines());
    lines.flat_map(|(at, line)| judge(tree, at, line)).collect()
}

fn judge(tree: &Tree, at: usize, line: &str) -> Vec<Problem> {
    let Some(rule) = rule(line) else {
        return Vec::new();
    };
    // Links in the form `](../file)`; that the file is there is checked with all other links.
    let files = line
        .split("](../")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let silent = files.filter(|file| tree.text(file).is_some_and(|text| !names(text, rule)));
    silent
        .map(|file| {
            let what = format!("{file} does not name {rule}");
            let mend = "name the rule at the line that keeps it, or name the file that does";
            Problem::new(PAGE, at, what, mend)
        })
        .collect()
}

/// `R14` of a row `| R14 | … |`.
fn rule(line: &str) -> Option<&str> {
    let name = line.strip_prefix("| ")?.split(" |").next()?;
    let number = name.strip_prefix('R')?;
    number.parse::<u8>().is_ok().then_some(name)
}

fn names(text: &str, rule: &str) -> bool {
    let behind = text.split(rule).skip(1);
    behind
        .map(|rest| rest.chars().next())
        .any(|next| !next.is_some_and(|next| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: &str, code: &str) -> Vec<String> {
        let tree = Tree::of(&[(PAGE, row), ("edge/src/lane.rs", code)]);
        let problems = check(&tree).into_iter();
        problems.map(|problem| problem.what).collect()
    }

    const ROW: &str = "| R2 | says | [`edge/src/lane.rs`](../edge/src/lane.rs) |";

    #[test]
    fn a_file_that_names_its_rule_is_fine() {
        assert!(found(ROW, "// (R2).").is_empty());
    }

    #[test]
    fn a_file_that_names_only_another_rule_is_found() {
        assert_eq!(found(ROW, "// R20"), ["edge/src/lane.rs does not name R2"]);
    }

    #[test]
    fn rows_of_other_tables_are_left_alone() {
        assert!(found("| Range | [`x`](../edge/src/lane.rs) |", "").is_empty());
    }
}
