//! The README's examples: they are the code that is compiled and tested.

const README: &str = include_str!("../../../README.md");
const EXAMPLE: &str = include_str!("../examples/first_entity.rs");

/// The example between two of its lines, without the first of them, moved to the left.
fn example(from: &str, to: &str) -> String {
    let (_, rest) = EXAMPLE
        .split_once(from)
        .expect("the example has the first line");
    let (part, _) = rest.split_once(to).expect("the example has the last line");
    let lines = part.trim_matches('\n').lines();
    let left = part.trim_start_matches('\n').len() - part.trim_start().len();
    lines
        .map(|line| line.get(left..).unwrap_or_default().trim_end().to_owned() + "\n")
        .collect()
}

#[test]
fn the_readme_shows_the_first_entity_as_it_is_compiled() {
    let entity = example("", "#[cfg(test)]");
    let (_, entity) = entity.split_once("\n\n").expect("its own doc comes first");
    assert!(README.contains(entity.trim()), "{entity}");
}

#[test]
fn the_readme_shows_the_first_test_as_it_is_run() {
    let story = example("fn a_counter_counts() {", "    }\n}\n");
    assert!(README.contains(story.trim()), "{story}");
}
