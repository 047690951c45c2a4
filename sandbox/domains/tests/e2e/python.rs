//! Clients in Python, without any of our code and with the documentation's one.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::process::{Server, Talk, run, xp};

/// `cargo xtask test` prepares one and names it in XP_PYTHON.
fn python() -> PathBuf {
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

async fn token(subject: &str, data: &Path) -> String {
    run(&["token", "--sub", subject], data)
        .await
        .out
        .trim()
        .to_owned()
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

#[tokio::test]
async fn python_without_our_code_and_xp_connect_see_each_other() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let mut ana = Talk::with(&mut xp(
        &["connect", "board/1", "--as", "ana", "--url", &server.url()],
        data.path(),
    ));
    ana.sees(&["welcome", "fresh"]).await;
    let entity = format!("{}/v1/board/1", server.url());
    let mut raw = Talk::with(Command::new(python()).args([
        "-c",
        RAW,
        &entity,
        &token("pia", data.path()).await,
    ]));
    raw.sees(&["welcome", "fresh", "ana"]).await;
    raw.sees(&["reply 1 ", "Drawn"]).await;
    ana.sees(&["event", "StrokeDrawn", "green", "pia"]).await;
    ana.types(r#"{"type":"Draw","data":{"colour":"blue","points":[[1,2]]}}"#)
        .await;
    raw.sees(&["event", "StrokeDrawn", "blue", "ana"]).await;
    assert_eq!(raw.ends().await, Some(0));
    assert_eq!(ana.ends().await, Some(0));
}

#[tokio::test]
async fn the_documentations_client_survives_a_crash_of_the_server() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let listen = server.addr.to_string();
    let entity = format!("{}/v1/board/1", server.url());
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/client.py");
    let mut pia = Talk::with(
        Command::new(python())
            .arg(client)
            .args([&entity, &token("pia", data.path()).await]),
    );
    pia.sees(&["welcome", "fresh"]).await;
    pia.types(r#"{"type":"Draw","data":{"colour":"green","points":[[5,6]]}}"#)
        .await;
    pia.sees(&["reply 1 ", "Drawn"]).await;
    server.kill().await;
    let server = Server::start_on(&listen, data.path()).await;
    pia.types(r#"{"type":"Draw","data":{"colour":"blue","points":[[1,2]]}}"#)
        .await;
    pia.sees(&["reply 2 ", r#""number":2"#]).await;
    assert_eq!(pia.ends().await, Some(0));
    assert_eq!(server.terminate().await, Some(0));
}
