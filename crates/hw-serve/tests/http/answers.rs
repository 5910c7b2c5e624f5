//! What the addresses answer.

use crate::client::{Response, Running};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hw_ink::{Stroke, render};
use serde_json::{Value, json};

fn seven() -> Value {
    json!([[[10, 10], [40, 10], [70, 10], [55, 45], [40, 90]]])
}

fn read(server: &Running, request: Value) -> Response {
    server.post(request.to_string().as_bytes())
}

#[test]
fn strokes_are_read_with_candidates_boxes_and_what_the_network_saw() {
    let server = Running::start();
    let answer = read(
        &server,
        json!({ "model": "digits", "strokes": seven(), "explain": true }),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["text"], "7");
    assert_eq!(answer["blank"], false);
    let character = &answer["characters"][0];
    assert_eq!(character["box"], json!([10.0, 10.0, 70.0, 90.0]));
    assert_eq!(character["strokes"], json!([0]));
    let top = character["top"].as_array().unwrap();
    let shares: Vec<f64> = top
        .iter()
        .map(|guess| guess["probability"].as_f64().unwrap())
        .collect();
    assert_eq!(shares.len(), 5);
    assert!(shares.is_sorted_by(|a, b| a >= b) && shares.iter().sum::<f64>() <= 1.0 + 1e-6);
    for field in ["image", "saliency"] {
        assert_eq!(
            STANDARD
                .decode(character[field].as_str().unwrap())
                .unwrap()
                .len(),
            784
        );
    }
}

#[test]
fn blank_paper_is_said_to_be_blank() {
    let server = Running::start();
    for strokes in [json!([]), json!([[]])] {
        let answer = read(&server, json!({ "strokes": strokes })).json();
        assert_eq!(
            (&answer["blank"], &answer["text"]),
            (&json!(true), &json!(""))
        );
    }
    let white = png(60, 40, |_, _| 255);
    let answer = read(&server, json!({ "image": STANDARD.encode(white) })).json();
    assert_eq!(answer["blank"], true);
}

/// A grey PNG.
fn png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let picture = image::GrayImage::from_fn(width, height, |x, y| image::Luma([pixel(x, y)]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

#[test]
fn a_picture_of_two_digits_is_read_dark_on_light_and_light_on_dark() {
    let server = Running::start();
    let stroke = |points: &[[f32; 2]]| Stroke::even(points.to_vec());
    let one = stroke(&[[50.0, 0.0], [50.0, 100.0]]);
    let seven = stroke(&[[90.0, 0.0], [150.0, 0.0], [110.0, 100.0]]);
    let drawn = render(&[one, seven], 12.0, 300);
    for dark_paper in [false, true] {
        let shade = |ink: u8| {
            if dark_paper {
                20 + ink / 2
            } else {
                240 - ink / 2
            }
        };
        let picture = png(300, 300, |x, y| shade(drawn[(y * 300 + x) as usize]));
        let request = json!({ "model": "digits", "image": STANDARD.encode(picture) });
        let answer = read(&server, request);
        assert_eq!(answer.json()["text"], "17", "{}", answer.text());
    }
}

#[test]
fn each_model_says_what_it_learned_from_and_how_well_it_does() {
    let server = Running::start();
    let cards = server.get("/api/models").json();
    let names: Vec<&str> = cards
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["all", "letters", "digits", "hiragana"]);
    for card in cards.as_array().unwrap() {
        assert!(!card["measured"].as_array().unwrap().is_empty());
        assert!(card["trained_on"].as_str().unwrap().contains("generated"));
    }
}

#[test]
fn the_page_is_whole_names_no_outside_address_and_is_protected() {
    let server = Running::start();
    for asset in &hw_serve::page::ASSETS {
        let path = if asset.name == "index.html" {
            "/".into()
        } else {
            format!("/{}", asset.name)
        };
        let response = server.get(&path);
        assert_eq!(
            (response.status, &response.body[..]),
            (200, asset.bytes),
            "{path}"
        );
        assert!(response.head.contains(asset.kind), "{}", response.head);
        assert!(
            response
                .head
                .contains("content-security-policy: default-src 'none'")
        );
        assert!(!response.head.contains("unsafe-inline"));
        assert!(response.head.contains("x-content-type-options: nosniff"));
        let text = response.text().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path}"
        );
        assert!(
            !text.contains(" style=") && !text.contains("onclick="),
            "{path}"
        );
    }
}

#[test]
fn an_unchanged_file_is_not_sent_again() {
    let server = Running::start();
    let first = server.get("/style.css");
    let tag = first
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap()
        .to_owned();
    let path = format!("/style.css HTTP/1.1\r\nif-none-match: {tag}\r\nx-rest:");
    let again = server.get(&path);
    assert_eq!((again.status, again.body.len()), (304, 0), "{again:?}");
}

#[test]
fn every_address_of_the_document_exists_and_its_schemas_are_what_is_answered() {
    let server = Running::start();
    let document = server.get("/api/openapi.json").json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" => server.get(path),
                _ => read(&server, json!({ "strokes": seven() })),
            };
            assert_eq!(answer.status, 200, "{method} {path}");
        }
    }
    let schemas = &document["components"]["schemas"];
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let same = |name: &str, value: &Value| {
        assert_eq!(keys(&schemas[name]["properties"]), keys(value), "{name}");
    };
    let answer = read(&server, json!({ "strokes": seven(), "explain": true })).json();
    same("Answer", &answer);
    same("Letter", &answer["characters"][0]);
    same("Guess", &answer["characters"][0]["top"][0]);
    let cards = server.get("/api/models").json();
    same("Card", &cards[0]);
    same("Measurement", &cards[0]["measured"][0]);
    same("Problem", &read(&server, json!({})).json());
}

#[test]
fn what_was_answered_is_counted() {
    let server = Running::start();
    read(&server, json!({ "strokes": seven() }));
    server.get("/nowhere");
    let text = server.get("/metrics").text();
    for line in [
        "hw_http_answers_total{route=\"/api/recognise\",status=\"200\"} 1",
        "hw_http_answers_total{route=\"other\",status=\"404\"} 1",
        "hw_read_seconds_count 1",
        "hw_characters_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}
