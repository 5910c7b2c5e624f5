//! Requests nobody sends by accident: each gets a clear refusal, and the next client its answer.

use crate::client::{Response, Running, head};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::ZlibEncoder};
use hw_serve::{Limits, Settings};
use serde_json::json;
use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

/// A well-behaved client is served.
fn still_serves(server: &Running) {
    let request = json!({ "model": "digits", "strokes": [[[0, 0], [0, 50], [0, 100]]] });
    assert_eq!(server.post(request.to_string().as_bytes()).status, 200);
}

#[test]
fn whatever_is_no_request_is_refused_with_a_reason() {
    let server = Running::start();
    let deep = "[".repeat(100_000);
    for (status, body) in [
        (400, ""),
        (400, "{"),
        (400, "[]"),
        (400, "{}"),
        (400, "{\"strokes\": 7}"),
        (400, "{\"strokes\": [[[1]]]}"),
        (400, "{\"strokes\": [[[1, 2, 3, 4]]]}"),
        (400, "{\"strokes\": [[[NaN, 2]]]}"),
        (400, "{\"strokes\": [], \"image\": \"\"}"),
        (400, "{\"strokes\": [], \"more\": 1}"),
        (400, &deep),
        (404, "{\"strokes\": [], \"model\": \"greek\"}"),
        (422, "{\"strokes\": [[[1e39, 2]]]}"),
        (422, "{\"strokes\": [[[1, 2, -1]]]}"),
        (422, "{\"image\": \"no base64!\"}"),
        (422, "{\"image\": \"AAAA\"}"),
    ] {
        let answer = server.post(body.as_bytes());
        let shown = &body[..body.len().min(40)];
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        assert!(
            answer.json()["error"].as_str().unwrap().len() > 10,
            "{shown}"
        );
    }
    assert_eq!(server.post(&[0xff, 0xfe, 0x00]).status, 400);
    still_serves(&server);
}

#[test]
fn a_million_points_and_an_endless_body_are_refused_by_size() {
    let server = Running::start();
    let points = vec!["[1,2]"; 1_000_000].join(",");
    let body = format!("{{\"strokes\": [[{points}]]}}");
    assert_eq!(server.post(body.as_bytes()).status, 413);
    // A body that says it is endless, and is not believed.
    let mut stream = server.connect();
    let head = "POST /api/recognise HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    while stream.write_all(chunk.as_bytes()).is_ok() {}
    // Points that fit the body's limit but not the strokes'.
    let points = vec!["[1,2]"; 60_000].join(",");
    let answer = server.post(format!("{{\"strokes\": [[{points}]]}}").as_bytes());
    assert_eq!(answer.status, 422, "{answer:?}");
    still_serves(&server);
}

#[test]
fn very_many_strokes_are_refused_or_read_but_never_fatal() {
    let server = Running::start();
    let stroke = |x: usize| json!([[x, 0], [x, 40]]);
    let many: Vec<_> = (0..900).map(|i| stroke(40 * i)).collect();
    assert_eq!(
        server
            .post(json!({ "strokes": many }).to_string().as_bytes())
            .status,
        422
    );
    let heap: Vec<_> = (0..900)
        .map(|i| json!([[i % 30, 0], [i % 29, 40]]))
        .collect();
    assert_eq!(
        server
            .post(json!({ "strokes": heap }).to_string().as_bytes())
            .status,
        200
    );
    still_serves(&server);
}

/// A grey PNG that says it has this size and holds so many zeros.
fn bomb(side: u32, zeros: usize) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        file.extend((data.len() as u32).to_be_bytes());
        let mut whole = kind.to_vec();
        whole.extend(data);
        let mut crc = flate2::Crc::new();
        crc.update(&whole);
        file.extend(whole);
        file.extend(crc.sum().to_be_bytes());
    };
    let mut header = side.to_be_bytes().to_vec();
    header.extend(side.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    chunk(b"IHDR", &header);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let block = vec![0; 1 << 16];
    for _ in 0..zeros >> 16 {
        packed.write_all(&block).unwrap();
    }
    chunk(b"IDAT", &packed.finish().unwrap());
    chunk(b"IEND", b"");
    file
}

#[test]
fn giant_images_and_decompression_bombs_are_refused() {
    let server = Running::start();
    for (side, zeros) in [
        (60_000, 1 << 20),
        (2_000_000_000, 0),
        (4000, 1 << 24),
        (1000, 1 << 27),
    ] {
        let body = json!({ "image": STANDARD.encode(bomb(side, zeros)) });
        let answer = server.post(body.to_string().as_bytes());
        // The last says 1000 pixels and packs 128 MB: what it says is read and the rest left.
        let blank = answer.status == 200 && answer.json()["blank"] == true;
        assert!(answer.status == 422 || blank, "{side} {zeros}: {answer:?}");
    }
    still_serves(&server);
}

#[test]
fn what_is_not_json_by_its_type_or_goes_to_the_wrong_place_is_turned_away() {
    let server = Running::start();
    let form = "POST /api/recognise HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
                content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}";
    let mut stream = server.connect();
    stream.write_all(form.as_bytes()).unwrap();
    assert_eq!(Response::read(stream).status, 415);
    assert_eq!(server.get("/api/recognise").status, 405);
    assert_eq!(server.get("/../../etc/passwd").status, 404);
    let mut stream = server.connect();
    stream
        .write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        .unwrap();
    assert_eq!(Response::read(stream).status, 400);
    still_serves(&server);
}

fn impatient() -> Running {
    let moment = Duration::from_millis(200);
    Running::with(Settings {
        patience: moment,
        limits: Limits {
            arrival: moment,
            ..Limits::default()
        },
        ..Settings::default()
    })
}

#[test]
fn slow_clients_lose_their_connection_and_nobody_waits_for_them() {
    let server = impatient();
    let mut silent: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut silent {
        stream
            .write_all(b"POST /api/recognise HTTP/1.1\r\nhost:")
            .unwrap();
    }
    let mut halfway = server.connect();
    halfway.write_all(head(1000).as_bytes()).unwrap();
    halfway.write_all(b"{\"strokes\":").unwrap();
    still_serves(&server);
    assert_eq!(Response::read(halfway).status, 408);
    for stream in silent {
        let status = Response::read(stream).status;
        assert!(status == 0 || status == 408, "{status}");
    }
    still_serves(&server);
}

#[test]
fn a_client_that_has_closed_its_half_still_gets_its_answer_or_is_let_go() {
    let server = impatient();
    let body = json!({ "strokes": [[[0, 0], [0, 50]]] }).to_string();
    let mut stream = server.connect();
    stream.write_all(head(body.len()).as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let status = Response::read(stream).status;
    assert!(status == 200 || status == 0, "{status}");
    // One that closed in the middle of its body.
    let mut stream = server.connect();
    stream.write_all(head(1000).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let status = Response::read(stream).status;
    assert!(status == 400 || status == 0, "{status}");
    // One that is gone altogether.
    drop(server.connect());
    still_serves(&server);
}
