//! A TCP proxy that cuts connections at the byte it was told.

use std::iter::Sum;
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
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Both sides see an end of the stream.
    Ends,
    /// Both sides see a reset.
    Resets,
    /// Only the client sees an end; the server is left with a socket on which nothing comes any more.
    Dangles,
}

/// How often what was cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) all: u64,
    /// Before the last byte of the upgrade's answer had passed.
    pub(crate) in_handshakes: u64,
    /// Behind a byte of the client's.
    pub(crate) while_sending: u64,
    /// Behind a byte of the server's.
    pub(crate) while_receiving: u64,
    pub(crate) resets: u64,
    pub(crate) dangling: u64,
}

impl Sum for Cuts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, cuts| Self {
            all: sum.all + cuts.all,
            in_handshakes: sum.in_handshakes + cuts.in_handshakes,
            while_sending: sum.while_sending + cuts.while_sending,
            while_receiving: sum.while_receiving + cuts.while_receiving,
            resets: sum.resets + cuts.resets,
            dangling: sum.dangling + cuts.dangling,
        })
    }
}

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    cuts: watch::Receiver<Cuts>,
}

impl Proxy {
    /// Cuts every connection until `cuts_max` were cut, then lets everything pass.
    pub(crate) async fn start(upstream: SocketAddr, rng: ChaCha8Rng, cuts_max: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (count, cuts) = watch::channel(Cuts::default());
        tokio::spawn(accept(listener, upstream, rng, cuts_max, count));
        Self { addr, cuts }
    }

    pub(crate) fn cuts(&self) -> Cuts {
        *self.cuts.borrow()
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    mut rng: ChaCha8Rng,
    cuts_max: u64,
    count: watch::Sender<Cuts>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let is_cut = count.borrow().all < cuts_max;
        let cut = is_cut.then(|| draw(&mut rng));
        let count = count.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(upstream).await else {
                return;
            };
            if let Some(seen) = pass(client, server, cut).await {
                count.send_modify(|cuts| seen.add_to(cuts));
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
    let how = [How::Ends, How::Resets, How::Dangles][rng.random_range(0..3)];
    Cut { after, how }
}

/// What had passed when the connection was cut.
#[derive(Default)]
struct Seen {
    is_upgraded: bool,
    is_sending: bool,
    how: Option<How>,
}

impl Seen {
    fn add_to(&self, cuts: &mut Cuts) {
        cuts.all += 1;
        cuts.in_handshakes += u64::from(!self.is_upgraded);
        cuts.while_sending += u64::from(self.is_sending);
        cuts.while_receiving += u64::from(!self.is_sending);
        cuts.resets += u64::from(self.how == Some(How::Resets));
        cuts.dangling += u64::from(self.how == Some(How::Dangles));
    }
}

/// `None` when it ended by itself.
async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Option<Cut>) -> Option<Seen> {
    let mut left = cut.map_or(usize::MAX, |cut| cut.after);
    let mut seen = Seen::default();
    let (mut up, mut down) = ([0_u8; 4096], [0_u8; 4096]);
    while left > 0 {
        let (read, to, bytes, is_sending) = tokio::select! {
            read = client.read(&mut up) => (read, &mut server, &up, true),
            read = server.read(&mut down) => (read, &mut client, &down, false),
        };
        let Ok(read @ 1..) = read else { return None };
        let passing = &bytes[..read.min(left)];
        to.write_all(passing).await.ok()?;
        left -= passing.len();
        seen.is_sending = is_sending;
        // The answer to the upgrade comes in one piece; what ends inside it was cut there.
        seen.is_upgraded |= !is_sending && passing.windows(4).any(|end| end == b"\r\n\r\n");
    }
    seen.how = cut.map(|cut| end(cut.how, client, server));
    Some(seen)
}

fn end(how: How, client: TcpStream, mut server: TcpStream) -> How {
    match how {
        How::Ends => {}
        How::Resets => {
            reset(&client);
            reset(&server);
        }
        How::Dangles => {
            // Until the server has enough of it, which it has when the client comes again.
            tokio::spawn(async move { tokio::io::copy(&mut server, &mut tokio::io::sink()).await });
        }
    }
    how
}

fn reset(stream: &TcpStream) {
    let set = stream.set_zero_linger();
    set.expect("an open socket takes the option");
}
