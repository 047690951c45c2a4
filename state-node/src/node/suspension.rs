//! Times in which nobody is declared gone, because the `cluster` log's own time cannot be trusted (R37), told to
//! operators: takeovers from who is silent wait for them.

use xp_cluster::timing::SUSPENSION_MS;

/// How much longer than once verdicts are suspended before that is told again, in virtual milliseconds.
const LONG_MS: u64 = 3 * SUSPENSION_MS;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Suspension {
    /// What is left of it, and how much has passed since it was told last.
    left_ms: u64,
    passed_ms: u64,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nobody is declared gone for so long.
    Begins(u64),
    /// It was begun anew again and again.
    Lasts,
    /// It is over.
    Ends,
}

impl Suspension {
    /// How much is left of it now.
    pub(super) fn see(&mut self, left_ms: u64) -> Option<News> {
        let before = std::mem::replace(&mut self.left_ms, left_ms);
        self.passed_ms += before.saturating_sub(left_ms);
        let news = match (before, left_ms) {
            (0, 0) => return None,
            (0, begun) => News::Begins(begun),
            (_, 0) => News::Ends,
            _ if self.passed_ms >= LONG_MS => News::Lasts,
            _ => return None,
        };
        self.passed_ms = 0;
        Some(news)
    }
}

impl News {
    pub(super) fn tell(self) {
        match self {
            Self::Begins(for_ms) => {
                tracing::warn!(
                    for_ms,
                    "the cluster log took nothing for a while, or its clock ran back: nobody is declared gone for so long, and takeovers from silent nodes wait"
                );
            }
            Self::Lasts => {
                tracing::error!(
                    "the cluster log stands still again and again: nobody is declared gone, and nodes that have died are not replaced; look at the brokers' disks and the latency of appends"
                );
            }
            Self::Ends => tracing::info!("who is silent is declared gone again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_ends_and_seldom_while_it_lasts() {
        let mut suspension = Suspension::default();
        assert_eq!(suspension.see(0), None);
        assert_eq!(suspension.see(3_000), Some(News::Begins(3_000)));
        assert_eq!(suspension.see(2_800), None);
        assert_eq!(suspension.see(0), Some(News::Ends));
        let again: Vec<_> = (0..200)
            .filter_map(|step| suspension.see(3_000 - step % 2 * 200))
            .collect();
        assert_eq!(again, [News::Begins(3_000), News::Lasts, News::Lasts]);
    }
}
