//! `xp token`: a development token on standard output.

use anyhow::Result;
use xp_runtime::config::secret_file;
use xp_runtime::{Grant, Secret};
use xp_transport::Clock;

use crate::command_line::Token;
use crate::configuration::{self, Overrides};
use crate::process::print;

pub(crate) fn run(asked: Token) -> Result<()> {
    let config = configuration::load(
        &asked.sources,
        &Overrides::default(),
        configuration::environment(),
    )?
    .config;
    let secret = Secret::load_or_make(&secret_file(&config.data))?;
    let grant = Grant {
        subject: asked.sub,
        claims: asked.claims.into_iter().collect(),
        ttl: asked.ttl,
    };
    let token = secret.sign(&grant, Clock::system().now());
    print(&format!("{token}\n"))
}
