//! Clients in Python, without any of our code and with the documentation's one.

use std::path::{Path, PathBuf};

use rand::Rng;
use tokio::process::Command;

use crate::checker::logged;
use crate::installation::Installation;
use crate::process::{Talk, end_of};
use crate::seed;

/// `cargo xtask test` prepares one and names it in XP_PYTHON.
pub(crate) fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("XP_PYTHON") {
        return python.into();
    }
    let target = Path::new(env!("CARGO_BIN_EXE_xp"))
        .ancestors()
        .nth(2)
        .expect("target/PROFILE/xp");
    let prepared = target.join("python/bin/python");
    assert!(
        prepared.is_file(),
        "no Python with `websockets`: run `cargo xtask test`, which prepares one, or set XP_PYTHON"
    );
    prepared
}

async fn token(subject: &str, at: &impl Installation) -> String {
    let printed = end_of(&mut at.xp(&["token", "--sub", subject])).await;
    printed.out.trim().to_owned()
}

/// Nothing but the library and the text of the protocol: what it prints is what it received.
const RAW: &str = r#"
import asyncio, sys, uuid
from websockets.asyncio.client import connect

async def main(url, token):
    url = f"{url}?connection={uuid.uuid4()}&attempt=1"
    async with connect(url, subprotocols=["xp.v1", "xp.bearer." + token]) as socket:
        assert socket.subprotocol == "xp.v1", socket.subprotocol
        print(await socket.recv(), flush=True)
        await socket.send('send 1 {"type":"Draw","data":{"colour":"green","points":[[5,6]]}}')
        async for frame in socket:
            print(frame, flush=True)
            if "blue" in frame:
                break

asyncio.run(main(*sys.argv[1:]))
"#;

fn documented(url: &str, token: &str) -> Command {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/client.py");
    let mut command = Command::new(python());
    command.arg(client).args([url, token]);
    command
}

fn draw(colour: &str) -> String {
    format!(r#"{{"type":"Draw","data":{{"colour":"{colour}","points":[[1,2]]}}}}"#)
}

pub(crate) async fn python_without_our_code_the_documentations_client_and_xp_connect_see_each_other<
    I: Installation,
>() {
    let mut installation = I::start().await;
    let urls = installation.urls();
    let (near, far) = (&urls[0], &urls[urls.len() - 1]);
    let words = ["connect", "board/1", "--as", "ana", "--url", far];
    let mut ana = Talk::with(&mut installation.xp(&words));
    ana.sees(&["welcome", "fresh"]).await;
    let url = format!("{near}/v1/board/1");
    let mut doc = Talk::with(&mut documented(&url, &token("doc", &installation).await));
    doc.sees(&["welcome", "fresh", "ana"]).await;
    let pia = token("pia", &installation).await;
    let mut raw = Talk::with(Command::new(python()).args(["-c", RAW, &url, &pia]));
    raw.sees(&["welcome", "fresh", "ana", "doc"]).await;
    raw.sees(&["reply 1 ", "Drawn"]).await;
    ana.sees(&["event", "StrokeDrawn", "green", "pia"]).await;
    doc.sees(&["event", "StrokeDrawn", "green", "pia"]).await;
    doc.types(&draw("yellow")).await;
    raw.sees(&["event", "StrokeDrawn", "yellow", "doc"]).await;
    ana.sees(&["event", "StrokeDrawn", "yellow", "doc"]).await;
    ana.types(&draw("blue")).await;
    raw.sees(&["event", "StrokeDrawn", "blue", "ana"]).await;
    doc.sees(&["event", "StrokeDrawn", "blue", "ana"]).await;
    for talk in [raw, doc, ana] {
        assert_eq!(talk.ends().await, Some(0));
    }
    installation.end().await;
}

const TYPED: usize = 300;
const KILLS: usize = 4;

pub(crate) async fn the_documentations_client_loses_and_doubles_nothing_over_kills<
    I: Installation,
>() {
    let mut rng = seed::rng("python");
    let mut installation = I::start().await;
    let url = format!("{}/v1/board/1", installation.urls()[0]);
    let mut pia = Talk::with(&mut documented(&url, &token("pia", &installation).await));
    pia.sees(&["welcome", "fresh"]).await;
    for i in 1..=TYPED {
        pia.types(&draw(&format!("pia-{i}"))).await;
    }
    let (share, victims) = (TYPED / (KILLS + 1), installation.victims());
    for kill in 0..KILLS {
        let n = kill * share + rng.random_range(1..=share);
        pia.sees(&[&format!("reply {n} "), "Drawn"]).await;
        let victim = victims[kill % victims.len()];
        installation.kill(victim).await;
        installation.restart(victim).await;
    }
    pia.sees(&[&format!("reply {TYPED} "), "Drawn"]).await;
    was_shown_once(&pia);
    assert_eq!(pia.ends().await, Some(0));
    installation.end().await;
    let logged = logged("1", &installation).await;
    let typed = (1..=TYPED).map(|i| format!("pia-{i}"));
    assert!(
        logged.into_values().eq(typed),
        "the log holds something else"
    );
}

/// Every stroke that was typed, in order.
fn was_shown_once(pia: &Talk) {
    let mut drawn = pia.seen.clone();
    drawn.retain(|line| line.contains("StrokeDrawn"));
    assert_eq!(
        drawn.len(),
        TYPED,
        "a stroke was shown twice, or not at all"
    );
    for (i, line) in drawn.iter().enumerate() {
        assert!(
            line.contains(&format!("pia-{}\"", i + 1)),
            "stroke {} is {line}",
            i + 1
        );
    }
}
