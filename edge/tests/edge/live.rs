//! What a client sees once it is in.

use crate::world::World;

#[tokio::test]
async fn two_clients_of_one_entity_see_what_either_does() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let mut ben = world.join("ben", 2).await;
    ana.send("send 1 {\"stroke\":7}").await;
    assert_eq!(ana.frame().await, "event 1 {\"stroke\":7}");
    assert_eq!(ana.frame().await, "reply 1 1 ");
    assert_eq!(ben.frame().await, "event 1 {\"stroke\":7}");
}
