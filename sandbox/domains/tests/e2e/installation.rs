//! An installation of the platform, as tests need it: however many processes it has and whatever its log is.

use std::time::Duration;

use tokio::process::Command;
use xp_client::Tokens;
use xp_transport::Clock;
use xplatform::runtime::{Grant, Secret};

/// A process of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim(pub(crate) &'static str);

/// How often tests strike: what takes long to come back is struck less often.
pub(crate) struct Pace {
    pub(crate) kills: usize,
    pub(crate) pauses: usize,
    pub(crate) drains: usize,
    pub(crate) cuts: u64,
}

/// A running platform that hosts the example domains. Dropped, it is gone.
pub(crate) trait Installation: Sized {
    const PACE: Pace;

    /// Starts all of it, empty, and returns when clients can come.
    async fn start() -> Self;

    /// Where clients connect, one for each edge. What has no edge of its own any more leads to another one.
    fn urls(&self) -> Vec<String>;

    /// `xp` with these words, on this installation's configuration.
    fn xp(&self, words: &[&str]) -> Command;

    /// Whoever signs tokens that the edges accept.
    fn signer(&self) -> Signer;

    /// All processes, in the order in which they start.
    fn victims(&self) -> Vec<Victim>;

    /// Those that hold sockets, in the order of [`Self::urls`].
    fn edges(&self) -> Vec<Victim>;

    /// SIGKILL: it can do nothing about it.
    async fn kill(&mut self, victim: Victim);

    /// Starts one again that has ended, and returns when it is ready.
    async fn restart(&mut self, victim: Victim);

    /// Starts one again and kills it when it is ready or after `within`, whichever comes first.
    async fn restart_and_kill(&mut self, victim: Victim, within: Duration);

    /// SIGSTOP: it stands still and does not know it.
    async fn pause(&mut self, victim: Victim);

    /// SIGCONT: it goes on.
    async fn resume(&mut self, victim: Victim);

    /// SIGTERM, and the exit code it ends with.
    async fn terminate(&mut self, victim: Victim) -> Option<i32>;

    /// Terminates all of it in order, each with code 0. Its log can still be read.
    async fn end(&mut self);
}

/// Signs tokens for anybody.
#[derive(Clone)]
pub(crate) struct Signer(pub(crate) Secret);

impl Signer {
    pub(crate) fn tokens(&self, subject: &str) -> Tokens {
        Tokens::from(self.0.sign(&Grant::of(subject), Clock::system().now()))
    }
}

/// One test per behaviour, for one installation: all of them, or after `@tests` those that are named.
macro_rules! installation_tests {
    (@tests $installation:ty; $($module:ident::$behaviour:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                crate::$module::$behaviour::<$installation>().await;
            }
        )*
    };
    ($installation:ty) => {
        crate::installation::installation_tests! { @tests $installation;
            together::two_pipes_see_each_other
            together::a_crowd_over_all_edges_sees_one_board
            together::a_deleted_board_is_gone_for_everybody_also_after_a_kill
            large::a_board_larger_than_a_record_is_shown_whole
            large::an_answer_larger_than_a_record_arrives_whole
            large::who_missed_more_than_a_record_sees_every_stroke_once
            large::a_crowd_before_a_large_board_is_let_in_and_nobody_is_closed
            python::python_without_our_code_the_documentations_client_and_xp_connect_see_each_other
            python::the_documentations_client_loses_and_doubles_nothing_over_kills
            kill::whatever_was_answered_survives_kills_exactly_once
            pause::a_process_that_stands_still_for_longer_than_its_lease_loses_and_doubles_nothing
            drain::a_terminated_process_sends_everybody_away_and_keeps_all_that_was_answered
            cuts::cuts_at_random_bytes_lose_and_double_nothing
        }
    };
}
pub(crate) use installation_tests;
