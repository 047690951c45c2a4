//! Files read downwards: a module imports only modules that its crate lists after it, so that circles cannot form.
//!
//! Judged at the place where the two paths part: in `crate::a::x` using `crate::b::y` it is the order of `a` and `b`
//! in the root that counts. What a parent defines itself is free to its children (a type and the files that implement
//! its parts); what it merely re-exports counts as the module that it comes from. Tests may import anything.

use super::modules::{Module, roots};
use super::problem::Problem;
use super::syntax::{Path, paths_within_crate, used, walk};
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    roots(tree).iter().flat_map(check_crate).collect()
}

fn check_crate(root: &Module) -> Vec<Problem> {
    let modules = root.with_descendants();
    modules
        .into_iter()
        .flat_map(|module| check_module(root, module))
        .collect()
}

fn check_module(root: &Module, module: &Module) -> Vec<Problem> {
    let mut found = Vec::new();
    walk(module.file, &mut |place, trees| {
        if !place.is_test {
            let from = [&module.path[..], &place.modules].concat();
            let paths = paths_within_crate(trees).into_iter();
            found.extend(paths.filter_map(|path| judge(root, module, &from, &path)));
        }
    });
    found
}

/// A path that stands in the module `from` of this file.
fn judge(root: &Module, module: &Module, from: &[String], path: &Path) -> Option<Problem> {
    let to = absolute(from, &path.names)?;
    let shared = from
        .iter()
        .zip(&to)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    // Above the place where the paths part stands what lists both; below it there is only our own.
    let ours = from.get(shared)?;
    let parent = root.descendant(&from[..shared])?;
    let theirs = to.get(shared)?;
    let problem = |(what, mend)| Problem::new(&module.file.path, path.line, what, mend);
    if theirs == "*" {
        let what = format!(
            "`{}` imports everything from {}",
            name(from),
            parent.file.path
        );
        return Some(problem((
            what,
            "name what it needs, so that its order can be judged".to_owned(),
        )));
    }
    let source = origin(parent, theirs)?;
    let order = (parent.position(ours)?, parent.position(&source)?);
    (order.1 < order.0).then(|| problem(upward(parent, ours, &source)))
}

fn upward(parent: &Module, ours: &str, theirs: &str) -> (String, String) {
    let list = &parent.file.path;
    let what = format!("`{ours}` imports from `{theirs}`, which {list} lists before it");
    let mend = format!(
        "move `mod {theirs}` below `mod {ours}` in {list}, or what both need into a module listed after both"
    );
    (what, mend)
}

/// From the root of the crate; none for a path that leads out of it.
fn absolute(from: &[String], names: &[String]) -> Option<Vec<String>> {
    let ups = names.iter().take_while(|name| *name == "super").count();
    let base = if names.first()? == "crate" {
        &[]
    } else {
        from.get(..from.len().checked_sub(ups)?)?
    };
    let rest = &names[ups.max(1)..];
    Some(base.iter().chain(rest).cloned().collect())
}

/// The child of `parent` that an item known to it comes from; none if it is the parent's own.
fn origin(parent: &Module, item: &str) -> Option<String> {
    if parent.position(item).is_some() {
        return Some(item.to_owned());
    }
    let used = used(&parent.items);
    let children = used
        .iter()
        .filter_map(|path| Some((path, child_of(parent, path)?)));
    let mut from = children.filter(|(path, child)| {
        let is_glob = path.known_as == "*";
        path.known_as == item
            || is_glob
                && parent
                    .descendant(std::slice::from_ref(child))
                    .is_some_and(|child| child.defines(item))
    });
    from.next().map(|(_, child)| child)
}

/// `child::Item`, `self::child::Item` or `crate::…::child::Item` in the parent's file.
fn child_of(parent: &Module, path: &Path) -> Option<String> {
    let mut names = path.names.as_slice();
    if names.first().is_some_and(|first| first == "self") {
        names = &names[1..];
    } else if names.first().is_some_and(|first| first == "crate") {
        names = names[1..].strip_prefix(parent.path.as_slice())?;
    }
    let child = names.first()?;
    parent.position(child).map(|_| child.clone())
}

fn name(path: &[String]) -> String {
    ["crate"]
        .into_iter()
        .chain(path.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: (&str, &str) = (
        "x/src/lib.rs",
        "pub mod a;\nmod b;\npub use a::{One, Two as Deux};\npub use b::*;\npub struct Own;\n",
    );
    const A: (&str, &str) = (
        "x/src/a.rs",
        "mod up;\nmod down;\nuse crate::b::Three;\npub struct One;\n",
    );
    const DOWN: (&str, &str) = (
        "x/src/a/down.rs",
        "use super::One;\nuse crate::{Three, Own};\n",
    );
    const UP: (&str, &str) = ("x/src/a/up.rs", "use super::down::f;\n");
    const B: (&str, &str) = ("x/src/b.rs", "pub struct Three;\nuse std::fmt;\n");

    fn found(changed: (&str, &str)) -> Vec<String> {
        let files: Vec<_> = [LIB, A, DOWN, UP, B]
            .into_iter()
            .map(|file| if file.0 == changed.0 { changed } else { file })
            .collect();
        let all = check(&Tree::of(&files));
        all.into_iter()
            .map(|problem| format!("{}:{} {}", problem.path, problem.line, problem.what))
            .collect()
    }

    #[test]
    fn downward_imports_a_parents_own_items_and_tests_are_fine() {
        assert_eq!(found(B), Vec::<String>::new());
        assert_eq!(
            found((
                "x/src/b.rs",
                "#[cfg(test)]\nmod tests { use crate::a::One; use super::*; }"
            )),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_upward_import_is_found() {
        let expected = "x/src/b.rs:2 `b` imports from `a`, which x/src/lib.rs lists before it";
        assert_eq!(found(("x/src/b.rs", "\nuse crate::a::One;")), [expected]);
        assert_eq!(
            found(("x/src/b.rs", "\nfn f() -> crate::a::One {}")),
            [expected]
        );
        assert_eq!(found(("x/src/b.rs", "\nuse super::{a};")), [expected]);
        assert_eq!(
            found(("x/src/b.rs", "mod inline {\nuse super::super::a::One; }")),
            [expected]
        );
    }

    #[test]
    fn an_upward_import_through_a_re_export_is_found() {
        let expected = "x/src/b.rs:1 `b` imports from `a`, which x/src/lib.rs lists before it";
        assert_eq!(found(("x/src/b.rs", "use crate::One;")), [expected]);
        assert_eq!(found(("x/src/b.rs", "use crate::Deux;")), [expected]);
    }

    #[test]
    fn an_upward_import_between_the_children_of_a_module_is_found() {
        let expected =
            "x/src/a/down.rs:1 `down` imports from `up`, which x/src/a.rs lists before it";
        assert_eq!(found(("x/src/a/down.rs", "use super::up::f;")), [expected]);
        assert_eq!(
            found(("x/src/a/down.rs", "use crate::a::up::f;")),
            [expected]
        );
    }

    #[test]
    fn a_glob_of_a_parent_is_found() {
        assert_eq!(
            found(("x/src/b.rs", "use super::*;")),
            ["x/src/b.rs:1 `crate::b` imports everything from x/src/lib.rs"]
        );
    }

    #[test]
    fn programs_are_judged_like_libraries() {
        let tree = Tree::of(&[
            ("y/src/main.rs", "mod a;\nmod b;"),
            ("y/src/a.rs", ""),
            ("y/src/b.rs", "use crate::a::f;"),
        ]);
        assert_eq!(check(&tree).len(), 1);
    }
}
