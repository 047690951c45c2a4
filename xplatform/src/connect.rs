//! `xp connect`: talk to one entity from a terminal or a pipe.

mod session;
mod input;
mod print;
mod paint;
mod line;
mod advice;

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use xp_client::{Client, Options, Tokens};
use xp_runtime::{Config, Grant, Secret};
use xp_transport::Clock;

use crate::command_line;
use crate::configuration::{self, Overrides};
use input::Input;
use paint::Paint;
use print::Printer;
use session::Session;

/// Runs until the person leaves or the input is answered; an error is a final close.
pub(crate) async fn run(asked: command_line::Connect) -> Result<()> {
    let config = configuration::load(
        &asked.sources,
        &Overrides::default(),
        configuration::environment(),
    )?
    .config;
    let url = asked.url.clone().unwrap_or_else(|| url(&config));
    let options = Options::new(url.as_str(), asked.entity.clone(), tokens(&asked, &config)?);
    let client = Client::connect(options)?;
    let is_terminal = std::io::stdin().is_terminal();
    let input = if is_terminal {
        Input::terminal()?
    } else {
        Input::pipe()
    };
    let printer = Printer {
        paint: Paint::of_terminal(),
        latency: is_terminal,
    };
    if is_terminal {
        input.print(format!(
            "connecting to {} at {url}; /help shows what can be typed",
            asked.entity
        ));
    }
    let patience = (!is_terminal).then_some(asked.patience);
    Session::new(client, input, printer).run(patience).await
}

/// Where the same configuration makes `xp dev` listen.
fn url(config: &Config) -> String {
    let scheme = if config.edge.tls.is_some() {
        "wss"
    } else {
        "ws"
    };
    format!("{scheme}://{}", config.edge.listen)
}

/// A given token, or as many as needed from the development secret.
fn tokens(asked: &command_line::Connect, config: &Config) -> Result<Tokens> {
    if let Some(token) = &asked.token {
        return Ok(token.trim().into());
    }
    let path = xp_runtime::config::secret_file(&config.data);
    let secret = Secret::load(&path).context("no token was given")?;
    let Some(secret) = secret else {
        bail!(
            "no token was given, and there is no development secret {} to sign one with: pass --token (or XP_TOKEN), \
             or --data with the directory that `xp dev` uses",
            path.display()
        );
    };
    let mut grant = Grant::of(&asked.subject);
    grant.claims.extend(asked.claims.iter().cloned());
    let clock = Clock::system();
    Ok(Tokens::from_fn(move || {
        std::future::ready(Ok(secret.sign(&grant, clock.now())))
    }))
}
