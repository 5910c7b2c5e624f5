//! `hw serve`, and `hw predict` with a model that comes along.

use crate::support::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

/// A seven beside a one.
const STROKES: &str =
    r#"{"strokes": [[[90,10],[150,10],[115,50],[110,100]], [[50,10],[50,55],[50,100]]]}"#;

#[test]
fn strokes_in_a_file_are_read_without_any_training() {
    let home = folder();
    let file = home.path().join("strokes.json");
    std::fs::write(&file, STROKES).unwrap();
    let answer = json(&run("predict --builtin digits --json {}", &[&file]));
    assert_eq!(answer["readings"][0]["text"], "17");
    let told = succeeded(&run("predict --builtin digits {}", &[&file]));
    assert!(told.contains("17") && told.contains("least sure"), "{told}");
    std::fs::write(&file, "{}").unwrap();
    failed(
        &run("predict --builtin digits {}", &[&file]),
        &["strokes.json", "missing"],
    );
    wrong_usage(&run("predict --builtin greek {}", &[&file]), &["hiragana"]);
    wrong_usage(&run("predict {}", &[&file]), &["--checkpoint"]);
}

#[test]
fn a_trained_network_reads_strokes_and_whole_words_as_the_server_would() {
    let home = folder();
    let file = home.path().join("strokes.json");
    std::fs::write(&file, STROKES).unwrap();
    let run_folder = trained().join("run");
    let answer = json(&run(
        "predict --json --checkpoint {} {}",
        &[&run_folder, &file],
    ));
    assert_eq!(answer["model"], "checkpoint");
    let read = |answer: &serde_json::Value| answer["readings"][0]["text"].as_str().unwrap().len();
    assert_eq!(read(&answer), 2, "{answer}");
    let page = home.path().join("page.png");
    let bar = |x: u32| (20..24).contains(&x) || (70..74).contains(&x);
    let ink = |x, y| {
        image::Luma([if bar(x) && (20..80).contains(&y) {
            20
        } else {
            230
        }])
    };
    image::GrayImage::from_fn(100, 100, ink)
        .save(&page)
        .unwrap();
    let answer = json(&run(
        "predict --json --words --checkpoint {} {}",
        &[&run_folder, &page],
    ));
    assert_eq!(read(&answer), 2, "{answer}");
}

#[cfg(unix)]
#[test]
fn the_server_says_where_it_is_answers_and_ends_when_asked_to() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let mut server = command("serve --bind 127.0.0.1:0 --json", &[]);
    let mut server = server.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = answer["address"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://")
        .to_owned();

    let mut stream = TcpStream::connect(&address).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut found = String::new();
    stream.read_to_string(&mut found).unwrap();
    assert!(
        found.starts_with("HTTP/1.1 200") && found.ends_with("ok\n"),
        "{found}"
    );

    let bind = format!("serve --bind {address}");
    failed(&run(&bind, &[]), &["cannot listen on", "--bind"]);
    kill(Pid::from_raw(server.id() as i32), Signal::SIGTERM).unwrap();
    assert!(server.wait().unwrap().success());
}
