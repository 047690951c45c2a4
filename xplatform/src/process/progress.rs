//! Replay that takes over a second is shown.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{interval, sleep};
use xp_runtime::StateNode;

/// Nothing is shown of what is over by then.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);

/// Waits until the `node` is `done`.
pub(crate) async fn show<T>(node: &StateNode, done: impl Future<Output = T>) -> T {
    let mut done = std::pin::pin!(done);
    tokio::select! {
        outcome = &mut done => return outcome,
        () = sleep(PATIENCE) => {}
    }
    let bar = bar();
    let outcome = tokio::select! {
        outcome = &mut done => outcome,
        () = redraw(&bar, node) => unreachable!("redrawing does not end"),
    };
    bar.finish_and_clear();
    outcome
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "replaying the log  {bar:30} {human_pos}/{human_len} records, {eta} left",
    );
    // Drawn on stderr, and only when that is a terminal.
    ProgressBar::new(0).with_style(style.expect("the template is constant, and a test draws it"))
}

async fn redraw(bar: &ProgressBar, node: &StateNode) {
    let mut ticks = interval(REDRAW);
    loop {
        ticks.tick().await;
        let (replayed, total) = node.progress();
        bar.set_length(total);
        bar.set_position(replayed);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_can_be_drawn() {
        super::bar().set_position(1);
    }
}
