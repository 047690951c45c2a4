//! One session on one cell: numbered commands, and what comes back.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::figures::now;
use crate::node::Door;
use crate::wire::Wire;

/// How long a server that has no time may send a client away before it is taken for broken.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
const JOIN_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Client {
    wire: Wire,
    /// The last number given out.
    last: u64,
    /// The last number that the server had taken when it said welcome.
    taken: u64,
}

/// The verb, and the number behind it.
pub(crate) fn head(frame: &[u8]) -> Result<(&[u8], u64)> {
    let mut words = frame.splitn(3, |byte| *byte == b' ');
    let verb = words.next().context("a frame has a verb")?;
    let number = words.next().context("a frame has a number")?;
    Ok((verb, std::str::from_utf8(number)?.parse()?))
}

/// The second number of a welcome.
fn taken(welcome: &[u8]) -> Option<u64> {
    let mut words = welcome
        .strip_prefix(b"welcome ")?
        .split(|byte| *byte == b' ');
    std::str::from_utf8(words.nth(1)?).ok()?.parse().ok()
}

impl Client {
    /// Connects and waits for the welcome; one that is sent away comes back, as clients do. `session` makes the connection
    /// id.
    pub(crate) async fn join(door: &Door, address: &str, session: u32) -> Result<Self> {
        let began = now();
        loop {
            match Self::dial(door, address, session).await {
                Err(_) if began.elapsed() < JOIN_PATIENCE => tokio::time::sleep(JOIN_PAUSE).await,
                dialled => return dialled,
            }
        }
    }

    async fn dial(door: &Door, address: &str, session: u32) -> Result<Self> {
        let path = format!("/v1/{address}?connection=00000000-0000-4000-8000-{session:012}");
        let mut wire = Wire::open(door.addr, &path, &door.token).await?;
        let welcome = wire.next().await?;
        let taken = taken(&welcome).with_context(|| format!("{welcome:?} is no welcome"))?;
        Ok(Self {
            wire,
            last: taken,
            taken,
        })
    }

    /// The last command of its session that the server had taken when it came.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// The socket alone.
    pub(crate) fn into_wire(self) -> Wire {
        self.wire
    }

    /// Queues a command.
    pub(crate) fn send(&mut self, payload: &str) -> u64 {
        self.last += 1;
        self.wire
            .queue(format!("send {} {payload}", self.last).as_bytes());
        self.last
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.wire.flush().await
    }

    /// Reads until command `n` has its reply.
    pub(crate) async fn replied(&mut self, n: u64) -> Result<()> {
        loop {
            let frame = self.wire.next().await?;
            match head(&frame)? {
                (b"reply", number) if number == n => return Ok(()),
                (b"reply" | b"event", _) => {}
                _ => anyhow::bail!("command {n} was answered {frame:?}"),
            }
        }
    }

    /// How long the cell's text is.
    async fn length(&mut self) -> Result<usize> {
        self.wire.queue(br#"ask ?length {"type":"Length"}"#);
        self.flush().await?;
        loop {
            let frame = self.wire.next().await?;
            if let Some(answer) = frame.strip_prefix(b"reply ?length ") {
                let length = answer.rsplit(|byte| *byte == b' ').next();
                return Ok(std::str::from_utf8(length.context("it has a payload")?)?.parse()?);
            }
        }
    }

    /// One command, from sending it to its answer.
    pub(crate) async fn command(&mut self, payload: &str) -> Result<()> {
        let n = self.send(payload);
        self.flush().await?;
        self.replied(n).await
    }
}

/// The command that puts a text of `bytes` bytes into a cell and shows it to all who watch.
pub(crate) fn put(bytes: usize) -> String {
    let text = crate::figures::text(bytes);
    format!(r#"{{"type":"Put","data":{{"text":"{text}"}}}}"#)
}

/// The same, shown to nobody.
pub(crate) fn keep(bytes: usize) -> String {
    put(bytes).replace("Put", "Keep")
}

/// Makes an entity of 4 MiB.
pub(crate) async fn grow(door: &Door) -> Result<()> {
    let mut client = Client::join(door, "cell/large", 1_000_001).await?;
    let grow = format!(r#"{{"type":"Grow","data":{{"bytes":{}}}}}"#, 4 << 20);
    client.command(&grow).await
}

/// Fills cells `0..cells` with texts of `bytes` bytes, and returns when the last of them is there.
pub(crate) async fn sow(door: &Door, cells: u32, bytes: usize) -> Result<()> {
    const AT_ONCE: u32 = 500;
    let text = crate::figures::text(bytes);
    let mut sower = Client::join(door, "sower/1", 1_000_000).await?;
    for from in (0..cells).step_by(AT_ONCE as usize) {
        let upto = cells.min(from + AT_ONCE);
        let sow =
            format!(r#"{{"type":"Sow","data":{{"from":{from},"upto":{upto},"text":"{text}"}}}}"#);
        sower.command(&sow).await?;
    }
    // A partition's words arrive in the order in which they were told, so its last cell is filled last.
    for cell in cells.saturating_sub(64)..cells {
        let mut client = Client::join(door, &format!("cell/{cell}"), cell).await?;
        while client.length().await? != bytes {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_welcome_says_what_was_taken() {
        assert_eq!(taken(b"welcome 17 42 fresh []"), Some(42));
        assert_eq!(taken(b"welcome 17 3 resumed"), Some(3));
        assert_eq!(taken(b"event 17 3 []"), None);
    }
}
