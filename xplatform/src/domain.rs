//! What a binary hosts, and the way from `main` to a running platform.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use xp_domain_sdk::host::Registry;
use xp_domain_sdk::{Entity, State};

use crate::command_line::{CommandLine, Log, Task};
use crate::{config_command, connect, dev, log_show, token};

/// The kinds of entity that this binary hosts.
#[must_use = "a domain hosts nothing until it is run"]
#[derive(Clone, Default)]
pub struct Domain {
    domain: xp_domain_sdk::Domain,
    /// In the order of `host`: the first one is what examples are printed for.
    categories: Vec<&'static str>,
}

impl Domain {
    /// Hosts nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hosts a kind of entity.
    ///
    /// # Panics
    /// When its category is hosted already.
    pub fn host<E: Entity + State>(mut self) -> Self {
        let before: Vec<_> = self.domain.registry().categories().collect();
        self.domain = self.domain.host::<E>();
        let new = self
            .domain
            .registry()
            .categories()
            .find(|category| !before.contains(category));
        self.categories.extend(new);
        self
    }

    /// Does what the command line says; without arguments it runs the platform. `--help` shows the rest.
    ///
    /// Returns 0 when all went well, 1 with a message on stderr when not, 2 when the command line makes no sense.
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
        match self.carry_out(line, program) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn carry_out(&self, line: CommandLine, program: String) -> anyhow::Result<()> {
        match line.task.unwrap_or(Task::Dev(line.dev)) {
            Task::Dev(asked) => block_on(dev::run(asked, self, program)),
            Task::Token(asked) => token::run(asked),
            Task::Connect(asked) => block_on(connect::run(asked)),
            Task::Log(Log::Show(asked)) => block_on(log_show::run(asked)),
            Task::Config(asked) => config_command::run(&asked, self.registry()),
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.domain.registry()
    }

    pub(crate) fn categories(&self) -> &[&'static str] {
        &self.categories
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
