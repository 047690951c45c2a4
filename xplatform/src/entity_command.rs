//! `xp entity`: how one entity is, and another try to read one that is in quarantine. The state node that holds it answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use xp_protocol::Address;

use crate::command_line::{Entity, Of};
use crate::configuration::{self, Overrides};
use crate::process::print;

/// For how long the state node is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints what the state node says.
pub(crate) async fn run(asked: Entity) -> Result<()> {
    let (method, of, is_retry) = match asked {
        Entity::Show(of) => ("GET", of, false),
        Entity::Retry(of) => ("POST", of, true),
    };
    let at = node(&of)?;
    let asking = timeout(PATIENCE, ask(at, method, &of.address)).await;
    let (status, body) = asking
        .with_context(|| format!("the state node at {at} did not answer in time"))?
        .with_context(|| format!("the state node at {at} cannot be asked"))?;
    if status != 200 {
        bail!("{}", body.trim_end());
    }
    print(&body)?;
    match cure(&body).filter(|_| is_retry) {
        Some(cure) => bail!(
            "{} is still in quarantine, and nothing that comes for it is lost meanwhile. What would mend it: {cure}",
            of.address
        ),
        None => Ok(()),
    }
}

/// What would mend an entity in quarantine; `None` when it is in none.
fn cure(body: &str) -> Option<String> {
    let shown: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(shown["quarantine"]["cure"].as_str()?.to_owned())
}

/// Where the state node answers: as asked, or where the configuration lets it listen.
fn node(of: &Of) -> Result<SocketAddr> {
    if let Some(at) = of.at {
        return Ok(at);
    }
    let overrides = Overrides::default();
    let loaded = configuration::load(&of.sources, &overrides, configuration::environment())?;
    let listen = loaded.config.state_node.listen.filter(|at| at.port() != 0);
    listen.context(
        "nobody knows where the state node answers: say it with --at, as `xp cluster members` prints it, or give it an \
         address with state-node.listen",
    )
}

async fn ask(at: SocketAddr, method: &str, address: &Address) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(at).await?;
    let path = encoded(address.as_str());
    let request =
        format!("{method} /entity/{path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("it does not speak HTTP")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.context("it does not speak HTTP")?, body.to_owned()))
}

/// Percent-encoding for all that is not plain.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let written = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    written.collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn what_is_not_plain_is_encoded() {
        assert_eq!(encoded("board/a b%ü"), "board/a%20b%25%C3%BC");
    }
}
