//! A TCP proxy that cuts connections at the byte it was told.

use std::net::SocketAddr;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where and how one connection ends.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// So many bytes pass, in both directions together.
    after: usize,
    /// With a reset instead of an orderly end.
    resets: bool,
}

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    cuts: watch::Receiver<u64>,
}

impl Proxy {
    /// Cuts every connection until `cuts_max` were cut, then lets everything pass.
    pub(crate) async fn start(upstream: SocketAddr, rng: ChaCha8Rng, cuts_max: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (count, cuts) = watch::channel(0);
        tokio::spawn(accept(listener, upstream, rng, cuts_max, count));
        Self { addr, cuts }
    }

    pub(crate) fn cuts(&self) -> u64 {
        *self.cuts.borrow()
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    mut rng: ChaCha8Rng,
    cuts_max: u64,
    count: watch::Sender<u64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let is_cut = *count.borrow() < cuts_max;
        let cut = is_cut.then(|| draw(&mut rng));
        let count = count.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(upstream).await else {
                return;
            };
            if pass(client, server, cut).await {
                count.send_modify(|count| *count += 1);
            }
        });
    }
}

/// A quarter of the cuts falls into the handshake, the others somewhere behind it.
fn draw(rng: &mut ChaCha8Rng) -> Cut {
    let after = if rng.random_ratio(1, 4) {
        rng.random_range(0..900)
    } else {
        rng.random_range(700..4_000)
    };
    Cut {
        after,
        resets: rng.random(),
    }
}

/// Whether it was cut rather than ended by itself.
async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Option<Cut>) -> bool {
    let mut left = cut.map_or(usize::MAX, |cut| cut.after);
    let (mut up, mut down) = ([0_u8; 4096], [0_u8; 4096]);
    while left > 0 {
        let (read, to, bytes) = tokio::select! {
            read = client.read(&mut up) => (read, &mut server, &up),
            read = server.read(&mut down) => (read, &mut client, &down),
        };
        let Ok(read @ 1..) = read else { return false };
        let passing = read.min(left);
        if to.write_all(&bytes[..passing]).await.is_err() {
            return false;
        }
        left -= passing;
    }
    if cut.is_some_and(|cut| cut.resets) {
        reset(&client);
        reset(&server);
    }
    true
}

fn reset(stream: &TcpStream) {
    stream
        .set_zero_linger()
        .expect("an open socket takes the option");
}
