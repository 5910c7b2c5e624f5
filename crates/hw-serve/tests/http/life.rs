//! The server's life: too much to do, another checkpoint, the end.

use crate::client::{Response, Running, head};
use hw_serve::{Limits, Settings};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn body() -> String {
    json!({ "strokes": [[[0, 0], [0, 50], [0, 100]]] }).to_string()
}

#[test]
fn past_a_full_queue_clients_are_told_to_come_back() {
    // Nobody reads, so the first request fills the queue.
    let server = Running::with(Settings {
        queue: 1,
        threads: 0,
        limits: Limits {
            answer: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Settings::default()
    });
    let mut first = server.connect();
    first.write_all(head(body().len()).as_bytes()).unwrap();
    first.write_all(body().as_bytes()).unwrap();
    while !server.get("/metrics").text().contains("hw_queue_length 1") {}
    let second = server.post(body().as_bytes());
    assert_eq!(second.status, 503);
    assert!(second.head.contains("retry-after: 1"), "{}", second.head);
    assert!(second.json()["error"].as_str().unwrap().contains("again"));
    // The one that waited is not left without an answer either.
    assert_eq!(Response::read(first).status, 503);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let mut server = Running::start();
    let body = body();
    let mut stream = server.connect();
    let (early, late) = body.split_at(10);
    // The server says so once it reads the body: then the request is under way.
    let head = head(body.len()).replace("connection: close", "expect: 100-continue");
    stream.write_all(head.as_bytes()).unwrap();
    let mut carry_on = [0; 25];
    stream.read_exact(&mut carry_on).unwrap();
    assert!(carry_on.starts_with(b"HTTP/1.1 100"));
    stream.write_all(early.as_bytes()).unwrap();
    server.ask_to_stop();
    while TcpStream::connect(server.address).is_ok() {}
    stream.write_all(late.as_bytes()).unwrap();
    assert_eq!(Response::read(stream).status, 200);
    server.join();
}

#[test]
fn an_address_in_use_is_said_with_what_to_do() {
    let server = Running::start();
    let settings = Settings {
        address: server.address,
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime
        .block_on(hw_serve::Server::bind(settings))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("--bind") && error.contains(&server.address.to_string()),
        "{error}"
    );
}
