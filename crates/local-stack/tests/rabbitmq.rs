//! A real RabbitMQ node: start, vhosts and users, kill, restart, and no trace outside its directory.

use std::net::SocketAddr;

use banyan_local_stack::ports;
use banyan_local_stack::rabbitmq::RabbitMq;

#[tokio::test]
async fn a_node_starts_is_killed_comes_back_and_stops_with_its_port_mapper() {
    let dir = tempfile::tempdir().unwrap();
    let node = RabbitMq::start(dir.path(), 0, 0).await.expect("rabbitmq starts");
    node.create_vhost("orders").await.unwrap();
    node.create_vhost("orders")
        .await
        .expect("repeating changes nothing");
    node.management().create_user("someone", "secret").await.unwrap();
    node.management()
        .grant("orders", "someone", ["^some", ".*", ".*"])
        .await
        .unwrap();
    let ports = (node.port(), node.management_port());
    let (before, epmd) = (
        node.process().unwrap(),
        node.epmd().expect("a port mapper of its own"),
    );

    // AMQP, management and distribution listen on loopback only, and so does the port mapper.
    let listeners: Vec<SocketAddr> = [&before, &epmd]
        .iter()
        .flat_map(|process| ports::listeners_of(process.pid))
        .collect();
    assert!(listeners.len() >= 4, "{listeners:?}");
    assert!(
        listeners.iter().all(|listener| listener.ip().is_loopback()),
        "{listeners:?}"
    );

    node.kill9().await.unwrap();
    assert!(node.process().is_none());
    assert!(
        epmd.is_alive(),
        "the port mapper is another process and was left alone"
    );
    node.restart().await.unwrap();
    assert_eq!((node.port(), node.management_port()), ports);
    assert_ne!(node.process().unwrap(), before);
    let vhost = node
        .management()
        .get("/api/vhosts/orders")
        .await
        .expect("the vhost survived the kill");
    assert_eq!(vhost["name"], "orders");
    let permissions = node
        .management()
        .get("/api/permissions/orders/someone")
        .await
        .unwrap();
    assert_eq!(permissions["configure"], "^some");

    node.delete_vhost("orders").await.unwrap();
    node.delete_vhost("orders")
        .await
        .expect("deleting twice is no error");
    node.management()
        .get("/api/vhosts/orders")
        .await
        .expect_err("deleted");

    let process = node.process().unwrap();
    node.stop().await.unwrap();
    node.stop().await.expect("stopping twice is no error");
    assert!(!process.is_alive() && !epmd.is_alive());
}
