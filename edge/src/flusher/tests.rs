use super::*;
use crate::send_queue::Writer;
use crate::send_queue::tests::fakes::{Peer, text, with_list};

const PERIOD: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn the_first_news_leaves_at_once_and_what_follows_in_one_write_at_the_end_of_the_period() {
    let list = Arc::default();
    let (send_queue, peer) = (with_list(&list), Peer::with_room(100));
    tokio::spawn(run(Arc::clone(&list), PERIOD));
    send_queue.park(Box::new(Writer::new(peer.clone())));
    // Into a period that has begun.
    tokio::time::sleep(PERIOD * 3 / 2).await;
    send_queue.push(text("a"));
    list.wake();
    tokio::time::sleep(PERIOD / 10).await;
    assert_eq!(peer.writes(), ["a"]);
    for news in ["b", "c"] {
        send_queue.push(text(news));
        list.wake();
        tokio::time::sleep(PERIOD / 10).await;
    }
    assert_eq!(peer.writes(), ["a"]);
    tokio::time::sleep(PERIOD / 2).await;
    assert_eq!(peer.writes(), ["a", "bc"]);
}
