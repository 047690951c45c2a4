//! The likeliest mistakes of a newcomer, and what the compiler says to them.

#[test]
fn each_mistake_gets_one_error_that_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
