//! Load balancers before edges: a door for each, which leads to another edge when its own is away.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where each edge listens; `None` while it is away.
type Edges = Vec<Option<SocketAddr>>;

pub(crate) struct Entrances {
    doors: Vec<SocketAddr>,
    edges: watch::Sender<Edges>,
}

impl Entrances {
    /// One door for each of so many edges, all of which are away.
    pub(crate) async fn open(count: usize) -> Self {
        let (edges, known) = watch::channel(vec![None; count]);
        let mut doors = Vec::new();
        for nth in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            doors.push(listener.local_addr().unwrap());
            tokio::spawn(accept(listener, nth, known.clone()));
        }
        Self { doors, edges }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        let url = |door: &SocketAddr| format!("ws://{door}");
        self.doors.iter().map(url).collect()
    }

    /// What comes from now on finds the edge there, or another one. What is connected stays as it is.
    pub(crate) fn lead(&self, nth: usize, edge: Option<SocketAddr>) {
        self.edges.send_modify(|edges| edges[nth] = edge);
    }
}

async fn accept(listener: TcpListener, nth: usize, edges: watch::Receiver<Edges>) {
    while let Ok((client, _)) = listener.accept().await {
        let edges = in_turn(&edges.borrow(), nth);
        tokio::spawn(pass(client, edges));
    }
}

/// Those that are there, the door's own one first.
fn in_turn(edges: &Edges, nth: usize) -> Vec<SocketAddr> {
    let (before, from) = edges.split_at(nth);
    from.iter().chain(before).flatten().copied().collect()
}

/// To the first edge that takes it; a draining one does not.
async fn pass(mut client: TcpStream, edges: Vec<SocketAddr>) {
    for edge in edges {
        if let Ok(mut server) = TcpStream::connect(edge).await {
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            // However it ends, both sides see an end.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

/// Doors that all led to one edge would make every test with two of them one with one.
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn arrives(door: SocketAddr, edge: &TcpListener) {
        let _client = TcpStream::connect(door).await.unwrap();
        let arrived = timeout(Duration::from_secs(30), edge.accept()).await;
        arrived.expect("the door leads there").unwrap();
    }

    #[tokio::test]
    async fn each_door_leads_to_its_edge_and_to_the_other_one_while_that_is_away() {
        let entrances = Entrances::open(2).await;
        let left = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let right = TcpListener::bind("127.0.0.1:0").await.unwrap();
        entrances.lead(0, left.local_addr().ok());
        entrances.lead(1, right.local_addr().ok());
        arrives(entrances.doors[0], &left).await;
        arrives(entrances.doors[1], &right).await;
        entrances.lead(1, None);
        arrives(entrances.doors[1], &left).await;
        entrances.lead(1, right.local_addr().ok());
        // Nobody listens there any more, as where an edge drains.
        drop(left);
        arrives(entrances.doors[0], &right).await;
    }
}
