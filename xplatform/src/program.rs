//! The way from `main` to what the command line asks for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::command_line::{CommandLine, Log, Task};
use crate::log_verify::Undecided;
use crate::process::{Replaced, Unread, stderr};
use crate::{
    Domain, cluster, config_command, connect, dev, edge_command, entity_command, log_show,
    log_verify, state_node_command, token, topics,
};

impl Domain {
    /// Does what the command line says; without arguments it runs the platform. `--help` shows the rest.
    ///
    /// Returns 0 when all went well, 1 with a message on stderr when not, 2 when the command line makes no sense (or
    /// `log verify` cannot tell), and 3 when another process of the same name took this one's place: that one must not be
    /// started again.
    #[must_use = "return it from main, so that scripts see whether it went well"]
    pub fn run(self) -> ExitCode {
        self.run_with(std::env::args_os())
    }

    fn run_with(&self, words: impl IntoIterator<Item = OsString>) -> ExitCode {
        let words: Vec<OsString> = words.into_iter().collect();
        let program = words.first().map_or_else(
            || "xp".to_owned(),
            |word| word.to_string_lossy().into_owned(),
        );
        let line = match CommandLine::try_parse_from(words) {
            Ok(line) => line,
            Err(error) => error.exit(),
        };
        let ended = self.carry_out(line, program);
        if let Err(error) = &ended
            && !error.is::<Unread>()
        {
            stderr::say(&format!("error: {error:#}"));
        }
        stderr::finish();
        ended.map_or_else(|error| exit_code(&error), |()| ExitCode::SUCCESS)
    }

    fn carry_out(&self, line: CommandLine, program: String) -> anyhow::Result<()> {
        match line.task.unwrap_or(Task::Dev(line.dev)) {
            Task::Dev(asked) => block_on(dev::run(asked, self, program)),
            Task::Edge(asked) => block_on(edge_command::run(asked, self)),
            Task::StateNode(asked) => block_on(state_node_command::run(asked, self)),
            Task::Token(asked) => token::run(asked),
            Task::Connect(asked) => block_on(connect::run(asked)),
            Task::Log(Log::Show(asked)) => block_on(log_show::run(asked)),
            Task::Log(Log::Verify(asked)) => block_on(log_verify::run(asked, self)),
            Task::Topics(asked) => block_on(topics::run(asked, self.registry())),
            Task::Cluster(asked) => block_on(cluster::run(asked)),
            Task::Where(asked) => block_on(cluster::whereabouts::run(asked, self.registry())),
            Task::Disconnect(asked) => block_on(cluster::disconnect::run(asked)),
            Task::Entity(asked) => block_on(entity_command::run(asked)),
            Task::Config(asked) => config_command::run(&asked, self.registry()),
        }
    }
}

/// Starting a replaced process again would only replace the other one in turn; who cannot tell says neither yes nor no;
/// and whose reader has seen enough has done what was wanted.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Unread>() {
        ExitCode::SUCCESS
    } else if error.is::<Replaced>() {
        ExitCode::from(3)
    } else if error.is::<Undecided>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// What still runs when the future is done, such as a thread that waits for typing, is not waited for.
fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}
