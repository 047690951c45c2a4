//! A phone's radio: a TCP relay that can be switched off, or lose what comes back.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    On,
    /// What the server says is lost.
    Deaf,
    /// Nothing passes, and the server does not hear of it.
    Gone,
    /// Every connection is cut, and new ones are too.
    Off,
}

pub(crate) struct Radio {
    pub(crate) addr: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Radio {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode::On);
        tokio::spawn(accept(listener, server, mode.subscribe()));
        Self { addr, mode }
    }

    pub(crate) fn on(&self) {
        self.mode.send_replace(Mode::On);
    }

    pub(crate) fn lose_answers(&self) {
        self.mode.send_replace(Mode::Deaf);
    }

    pub(crate) fn vanish(&self) {
        self.mode.send_replace(Mode::Gone);
    }

    pub(crate) fn off(&self) {
        self.mode.send_replace(Mode::Off);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mode: watch::Receiver<Mode>) {
    while let Ok((client, _)) = listener.accept().await {
        if *mode.borrow() == Mode::On
            && let Ok(server) = TcpStream::connect(server).await
        {
            tokio::spawn(relay(client, server, mode.clone()));
        }
    }
}

/// Until either side ends, or the radio is switched off.
async fn relay(mut client: TcpStream, mut server: TcpStream, mode: watch::Receiver<Mode>) {
    let off = async {
        let mut mode = mode.clone();
        // The test is over when nobody can switch it any more.
        drop(mode.wait_for(|mode| *mode == Mode::Off).await);
    };
    let mut off = std::pin::pin!(off);
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        let passed = tokio::select! {
            () = &mut off => return,
            read = client.read(&mut up) => {
                let passes = matches!(*mode.borrow(), Mode::On | Mode::Deaf);
                pass(read, &up, &mut server, passes).await
            }
            read = server.read(&mut down) => {
                let passes = *mode.borrow() == Mode::On;
                pass(read, &down, &mut client, passes).await
            }
        };
        // What vanished is not told that the other side is gone.
        if passed.is_none() && *mode.borrow() == Mode::Gone {
            return off.await;
        }
        if passed.is_none() {
            return;
        }
    }
}

async fn pass(
    read: std::io::Result<usize>,
    bytes: &[u8],
    to: &mut TcpStream,
    passes: bool,
) -> Option<()> {
    let read = read.ok().filter(|read| *read > 0)?;
    if passes {
        to.write_all(&bytes[..read]).await.ok()?;
    }
    Some(())
}
