//! The coordinator as text dialogues, and its properties.

mod dialogue;
mod liveness;
mod parse;
mod properties;
mod show;

/// Every file of `testdata` is a dialogue; `UPDATE_EXPECT=1` writes down what the machine says today.
#[test]
fn dialogues_go_as_written() {
    crate::tests::check_dialogues("src/coordinator/group/testdata", 20, dialogue::run);
}
