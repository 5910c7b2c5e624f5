//! Downloads from a server on this machine that does everything a server can do wrong.

use super::download::{Address, Attempts, Trouble, download, partial};
use super::unzip::unpack;
use super::*;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server answers a request.
#[derive(Clone, Debug)]
enum Answer {
    /// As asked, ranges included.
    Whole,
    /// As asked, but the connection ends after so many bytes.
    Cut(usize),
    /// As asked, but after so many bytes nothing more comes and the connection stays.
    Stall(usize),
    /// All of it, whatever range was asked for.
    NoRange,
    /// Of the right length, but other bytes.
    Corrupt,
    /// Somewhere else.
    Redirect,
    /// Not at all.
    Status(&'static str),
}

/// A server with one file under any name, and the requests it got.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers the first requests as listed, and then as the last of them.
    fn start(content: &[u8], answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (content, seen) = (content.to_vec(), requests.clone());
        let mut answers: VecDeque<Answer> = answers.to_vec().into();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                held.extend(serve(stream, &content, &mut answers, &seen));
            }
        });
        Self { url, requests }
    }

    /// The file at its address.
    fn file(&self) -> Web {
        Web::new(&format!("{}/digits.gz", self.url), options().patience)
    }

    /// The file in a data set, if this server is the hub.
    #[cfg(feature = "hub")]
    fn hub_file(&self) -> hub::HubFile {
        hub::HubFile::new(&self.url, "some/digits", "digits.gz", options().patience)
    }

    fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers one request; gives the connection back if it is to stay open.
fn serve(
    mut stream: TcpStream,
    content: &[u8],
    answers: &mut VecDeque<Answer>,
    seen: &Mutex<Vec<String>>,
) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = reader.by_ref().lines();
    let first = lines.next()?.ok()?;
    let headers: Vec<(String, String)> = lines
        .map_while(Result::ok)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| {
            l.split_once(": ")
                .map(|(n, v)| (n.to_lowercase(), v.into()))
        })
        .collect();
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let range = header("range").and_then(|value| {
        let (start, _) = value.strip_prefix("bytes=")?.split_once('-')?;
        start.parse::<usize>().ok()
    });
    let (method, path) = first.split_once(' ')?;
    let path = path.split(' ').next().unwrap_or_default();
    let what = match method {
        "GET" => format!("from {}", range.unwrap_or(0)),
        other => other.into(),
    };
    seen.lock().unwrap().push(format!("{path} {what}"));
    // What the hub is asked beside the bytes it answers well, unless it refuses everything.
    let refusing = matches!(answers[0], Answer::Status(_));
    if method == "POST" {
        let length = header("content-length").map_or(0, |n| n.parse().unwrap());
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
        let size = content.len();
        let entry = format!(r#"[{{"type":"file","oid":"0","size":{size},"path":"digits.gz"}}]"#);
        let length = entry.len();
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json";
        write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{entry}").ok()?;
        return None;
    }
    if method == "HEAD" && !refusing {
        let size = content.len();
        let head = "HTTP/1.1 200 OK\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Length: {size}\r\n\r\n").ok()?;
        return None;
    }
    let answer = match answers.len() {
        1 => answers[0].clone(),
        _ => answers.pop_front()?,
    };
    let start = match answer {
        Answer::NoRange => 0,
        _ => range.unwrap_or(0),
    };
    let mut say = |text: String| stream.write_all(text.as_bytes());
    match answer {
        Answer::Status(status) => {
            say(format!(
                "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ))
            .ok()?;
            return None;
        }
        Answer::Redirect => {
            say("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into()).ok()?;
            return None;
        }
        _ if start > content.len() => {
            let total = content.len();
            say(format!("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).ok()?;
            return None;
        }
        _ => {}
    }
    let body = &content[start..];
    let (length, last, total) = (body.len(), content.len() - 1, content.len());
    let status = match start {
        0 => "200 OK\r\n".to_string(),
        _ => format!("206 Partial Content\r\nContent-Range: bytes {start}-{last}/{total}\r\n"),
    };
    say(format!(
        "HTTP/1.1 {status}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ))
    .ok()?;
    match answer {
        Answer::Cut(count) => stream.write_all(&body[..count.min(length)]).ok()?,
        Answer::Stall(count) => {
            stream.write_all(&body[..count.min(length)]).ok()?;
            return Some(stream);
        }
        Answer::Corrupt => stream.write_all(&vec![7; length]).ok()?,
        _ => stream.write_all(body).ok()?,
    }
    None
}

fn content() -> Vec<u8> {
    (0..200_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn sum_of(bytes: &[u8]) -> Checksum {
    Checksum::Sha256(hw_core::files::sha256_hex(bytes).leak())
}

fn options() -> FetchOptions {
    FetchOptions {
        tries: 3,
        backoff: Duration::from_millis(1),
        // Long for a server on this machine, also when the machine is busy.
        patience: Duration::from_secs(2),
        mirror: None,
    }
}

/// Downloads from a server that answers so; gives what became of it and the requests.
fn try_with(answers: &[Answer]) -> (Result<Vec<u8>, Attempts>, Vec<String>) {
    try_from(answers, Server::file)
}

/// The same from any address of the server.
fn try_from<A: Address>(
    answers: &[Answer],
    address: fn(&Server) -> A,
) -> (Result<Vec<u8>, Attempts>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.gz");
    let server = Server::start(&content(), answers);
    let sum = sum_of(&content());
    let result = download(&address(&server), &path, sum, &options(), &mut |_| {});
    assert_eq!(path.exists(), result.is_ok(), "whole or not at all");
    let result = result.map(|()| std::fs::read(&path).unwrap());
    (result, server.asked())
}

#[test]
fn a_good_server_is_asked_once() {
    let (got, asked) = try_with(&[Answer::Whole]);
    assert!(got.is_ok_and(|bytes| bytes == content()));
    assert_eq!(asked, ["/digits.gz from 0"]);
}

#[test]
fn a_download_that_breaks_off_is_gone_on_with() {
    let (got, asked) = try_with(&[Answer::Cut(70_000), Answer::Cut(50_000), Answer::Whole]);
    assert!(got.is_ok_and(|bytes| bytes == content()));
    assert_eq!(
        asked,
        [
            "/digits.gz from 0",
            "/digits.gz from 70000",
            "/digits.gz from 120000"
        ]
    );
}

#[test]
fn tries_that_bring_something_do_not_count() {
    let mut answers = vec![Answer::Cut(20_000); 8];
    answers.push(Answer::Whole);
    assert!(try_with(&answers).0.is_ok());
}

#[test]
fn a_server_that_stalls_is_left_and_asked_again() {
    let (got, asked) = try_with(&[Answer::Stall(90_000), Answer::Whole]);
    assert!(got.is_ok_and(|bytes| bytes == content()));
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_server_that_knows_no_ranges_starts_anew() {
    let (got, _) = try_with(&[Answer::Cut(70_000), Answer::NoRange]);
    assert!(got.is_ok_and(|bytes| bytes == content()));
}

#[test]
fn a_redirection_is_followed() {
    let (got, asked) = try_with(&[Answer::Redirect, Answer::Whole]);
    assert!(got.is_ok());
    assert_eq!(asked[1], "/elsewhere from 0");
}

/// What became of a download by TLS from a server that speaks none: by then TLS was set up.
fn by_tls(address: &dyn Address) -> Trouble {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.gz");
    let got = download(address, &path, sum_of(b""), &options(), &mut |_| {});
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    match got {
        Err(Attempts::There(trouble)) => trouble,
        Err(Attempts::Here(error)) => panic!("{error}"),
        Ok(()) => panic!("there is no such file"),
    }
}

#[test]
fn a_server_that_speaks_no_tls_gives_nothing_by_tls() {
    let server = Server::start(&content(), &[Answer::Whole]);
    let url = server.url.replace("http:", "https:");
    let file = Web::new(&format!("{url}/digits.gz"), options().patience);
    assert!(matches!(by_tls(&file), Trouble::NoAnswer(_)));
}

#[test]
fn corrupt_bytes_are_refused_and_nothing_is_kept() {
    let (got, asked) = try_with(&[Answer::Corrupt]);
    assert!(matches!(got, Err(Attempts::There(Trouble::OtherFile))));
    assert_eq!(asked.len(), 1);
    // Half of another file before this download: the whole file gets its chance.
    assert!(
        try_with(&[Answer::Cut(10), Answer::Corrupt, Answer::Whole])
            .0
            .is_ok()
    );
}

#[test]
fn a_refusal_is_final_and_an_overload_is_not() {
    let (got, asked) = try_with(&[Answer::Status("404 Not Found")]);
    assert!(matches!(got, Err(Attempts::There(Trouble::Status(status))) if status == 404));
    assert_eq!(asked.len(), 1);
    let (got, asked) = try_with(&[Answer::Status("503 Service Unavailable"), Answer::Whole]);
    assert!(got.is_ok());
    assert_eq!(asked.len(), 2);
    let (got, asked) = try_with(&[Answer::Status("503 Service Unavailable")]);
    assert!(got.is_err());
    assert_eq!(asked.len(), 3);
}

#[test]
fn what_an_earlier_run_left_is_resumed_and_what_is_too_long_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.gz");
    let server = Server::start(&content(), &[Answer::Whole]);
    let sum = sum_of(&content());
    std::fs::write(partial(&path), &content()[..150_000]).unwrap();
    assert!(download(&server.file(), &path, sum, &options(), &mut |_| {}).is_ok());
    assert_eq!(server.asked(), ["/digits.gz from 150000"]);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(partial(&path), [content(), content()].concat()).unwrap();
    assert!(download(&server.file(), &path, sum, &options(), &mut |_| {}).is_ok());
    assert_eq!(std::fs::read(&path).unwrap(), content());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn progress_counts_up_to_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.gz");
    let server = Server::start(&content(), &[Answer::Cut(100_000), Answer::Whole]);
    let mut last = 0;
    let mut tell = |now: &FetchProgress<'_>| {
        assert_eq!((now.file, now.total), ("digits.gz", Some(200_000)));
        assert!(now.done >= last);
        last = now.done;
    };
    let result = download(
        &server.file(),
        &path,
        sum_of(&content()),
        &options(),
        &mut tell,
    );
    assert!(result.is_ok());
    assert_eq!(last, 200_000);
}

#[test]
fn a_set_that_no_address_gives_says_what_to_place_where_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago: nobody answers there.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = FetchOptions {
        mirror: Some(format!("http://{closed}/")),
        ..options()
    };
    let error = fetch(&DatasetId::Mnist, folder.path(), &nobody, &mut |_| {}).unwrap_err();
    let line = error.to_string();
    assert!(
        line.contains("seems to be offline") && !line.contains('\n'),
        "{line}"
    );
    let place = folder.path().join("train-images-idx3-ubyte.gz");
    assert!(
        line.contains(&format!("place it as {}", place.display())),
        "{line}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let server = Server::start(b"", &[Answer::Status("403 Forbidden")]);
    let refused = FetchOptions {
        mirror: Some(server.url.clone()),
        ..options()
    };
    let error = fetch(
        &DatasetId::EmnistLetters,
        folder.path(),
        &refused,
        &mut |_| {},
    )
    .unwrap_err();
    let line = error.to_string();
    assert!(line.contains("403") && !line.contains("offline"), "{line}");
    assert!(
        server.asked()[1].starts_with("/gzip.zip"),
        "{:?}",
        server.asked()
    );
}

#[test]
fn another_file_in_the_place_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("train-images-idx3-ubyte.gz");
    std::fs::write(&place, b"mine").unwrap();
    let error = fetch(&DatasetId::Mnist, folder.path(), &options(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DataError::Different { .. }), "{error}");
    assert_eq!(std::fs::read(&place).unwrap(), b"mine");
}

#[test]
fn published_files_that_are_here_are_recognised_and_not_fetched() {
    let Some(root) = std::env::var_os("HW_DATA_DIR") else {
        return;
    };
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = FetchOptions {
        mirror: Some(format!("http://{closed}/")),
        ..options()
    };
    let folder = Path::new(&root).join("mnist");
    let here = fetch(&DatasetId::Mnist, &folder, &nobody, &mut |_| {}).unwrap();
    assert_eq!(here.len(), 4);
    assert!(here.iter().all(|file| file.from.is_none()));
}

#[test]
fn the_hub_comes_before_the_archive_and_a_mirror_before_both() {
    let entry = DatasetId::EmnistLetters.entry().unwrap();
    let urls = |mirror: Option<&str>| -> Vec<String> {
        let options = FetchOptions {
            mirror: mirror.map(String::from),
            ..options()
        };
        let sources = sources(entry, "a.gz", &options);
        sources.iter().map(Source::name).collect()
    };
    let published = urls(None);
    assert!(published[0].ends_with("/datasets/Heliosoph/EMNIST/resolve/main/a.gz"));
    assert_eq!(
        published.last().unwrap(),
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    );
    assert_eq!(
        urls(Some("http://m/x/")),
        ["http://m/x/a.gz", "http://m/x/gzip.zip"]
    );
}

/// The same server, asked through hf-hub as if it were the hub.
#[cfg(feature = "hub")]
mod on_the_hub {
    use super::*;

    const FILE: &str = "/datasets/some/digits/resolve/main/digits.gz";

    /// What became of it, and of the requests those for bytes.
    fn try_with(answers: &[Answer]) -> (Result<Vec<u8>, Attempts>, Vec<String>) {
        let (got, mut asked) = try_from(answers, Server::hub_file);
        asked.retain(|request| request.contains(" from "));
        (got, asked)
    }

    fn places(places: &[usize]) -> Vec<String> {
        let request = |place| format!("{FILE} from {place}");
        places.iter().map(request).collect()
    }

    #[test]
    fn a_good_hub_gives_the_file() {
        let (got, asked) = try_with(&[Answer::Whole]);
        assert!(got.is_ok_and(|bytes| bytes == content()));
        assert_eq!(asked, places(&[0]));
    }

    #[test]
    fn a_download_that_breaks_off_is_gone_on_with() {
        let (got, asked) = try_with(&[Answer::Cut(70_000), Answer::Cut(50_000), Answer::Whole]);
        assert!(got.is_ok_and(|bytes| bytes == content()));
        assert_eq!(asked, places(&[0, 70_000, 120_000]));
    }

    #[test]
    fn a_hub_that_stalls_is_left_and_asked_again() {
        let (got, asked) = try_with(&[Answer::Stall(90_000), Answer::Whole]);
        assert!(got.is_ok_and(|bytes| bytes == content()));
        assert_eq!(asked, places(&[0, 90_000]));
        // Before the first byte, again and again.
        let (got, _) = try_with(&[Answer::Stall(0)]);
        let trouble = got.unwrap_err();
        assert!(matches!(trouble, Attempts::There(Trouble::Broken(_))));
    }

    #[test]
    fn a_hub_that_knows_no_ranges_starts_anew() {
        let (got, _) = try_with(&[Answer::Cut(70_000), Answer::NoRange]);
        assert!(got.is_ok_and(|bytes| bytes == content()));
    }

    #[test]
    fn a_redirection_is_followed() {
        let (got, asked) = try_with(&[Answer::Redirect, Answer::Whole]);
        assert!(got.is_ok());
        assert_eq!(asked[1], "/elsewhere from 0");
    }

    #[test]
    fn corrupt_bytes_are_refused_and_nothing_is_kept() {
        let (got, asked) = try_with(&[Answer::Corrupt]);
        assert!(matches!(got, Err(Attempts::There(Trouble::OtherFile))));
        assert_eq!(asked.len(), 1);
        let (got, _) = try_with(&[Answer::Cut(10), Answer::Corrupt, Answer::Whole]);
        assert!(got.is_ok());
    }

    #[test]
    fn a_refusal_is_final_and_an_overload_is_not() {
        for (refusal, code) in [
            ("401 Unauthorized", 401),
            ("403 Forbidden", 403),
            ("404 Not Found", 404),
        ] {
            let (got, asked) = try_from(&[Answer::Status(refusal)], Server::hub_file);
            assert!(
                matches!(got, Err(Attempts::There(Trouble::Status(status))) if status == code),
                "{refusal}"
            );
            assert_eq!(asked.len(), 1, "{refusal}");
        }
        let busy = Answer::Status("503 Service Unavailable");
        let (got, _) = try_with(&[busy.clone(), Answer::Whole]);
        assert!(got.is_ok());
        // Its own retries are off: three tries are three requests.
        let (got, asked) = try_from(&[busy], Server::hub_file);
        assert!(got.is_err());
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn what_an_earlier_run_left_is_resumed_and_what_is_too_long_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digits.gz");
        let server = Server::start(&content(), &[Answer::Whole]);
        let sum = sum_of(&content());
        let get = |left: &[u8]| {
            std::fs::write(partial(&path), left).unwrap();
            let got = download(&server.hub_file(), &path, sum, &options(), &mut |_| {});
            assert!(got.is_ok());
            assert_eq!(std::fs::read(&path).unwrap(), content());
            std::fs::remove_file(&path).unwrap();
        };
        get(&content()[..150_000]);
        assert_eq!(server.asked().last(), places(&[150_000]).last());
        get(&content());
        get(&[content(), content()].concat());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn progress_counts_up_to_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digits.gz");
        let server = Server::start(&content(), &[Answer::Cut(100_000), Answer::Whole]);
        let mut last = 0;
        let mut tell = |now: &FetchProgress<'_>| {
            assert_eq!((now.file, now.total), ("digits.gz", Some(200_000)));
            assert!(now.done >= last);
            last = now.done;
        };
        let sum = sum_of(&content());
        assert!(download(&server.hub_file(), &path, sum, &options(), &mut tell).is_ok());
        assert_eq!(last, 200_000);
    }

    #[test]
    fn a_hub_that_speaks_no_tls_gives_nothing_by_tls() {
        let server = Server::start(&content(), &[Answer::Whole]);
        let url = server.url.replace("http:", "https:");
        let file = hub::HubFile::new(&url, "some/digits", "digits.gz", options().patience);
        let trouble = by_tls(&file);
        assert!(matches!(trouble, Trouble::NoAnswer(_)), "{trouble:?}");
    }

    #[test]
    fn no_hub_at_all_is_no_answer_also_by_tls() {
        for scheme in ["http", "https"] {
            let closed = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let endpoint = format!("{scheme}://{closed}");
            let nobody = hub::HubFile::new(&endpoint, "a/b", "c.gz", options().patience);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("c.gz");
            let sum = sum_of(b"");
            let got = download(&nobody, &path, sum, &options(), &mut |_| {});
            assert!(matches!(got, Err(Attempts::There(Trouble::NoAnswer(_)))));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}

/// A ZIP archive of one deflated and one stored member, as `zip` writes it.
fn archive(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content, deflated) in members {
        let mut packed = Vec::new();
        let level = flate2::Compression::default();
        flate2::read::DeflateEncoder::new(*content, level)
            .read_to_end(&mut packed)
            .unwrap();
        let body = if *deflated { &packed[..] } else { content };
        let mut facts = vec![20, 0, 0, 0, if *deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
        facts.extend(0u32.to_le_bytes());
        facts.extend((body.len() as u32).to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend(0u16.to_le_bytes());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&facts);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&facts);
        file.extend(name.bytes());
        file.extend(body);
    }
    let (offset, size) = (file.len() as u32, directory.len() as u32);
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([members.len() as u8, 0, members.len() as u8, 0]);
    file.extend(size.to_le_bytes());
    file.extend(offset.to_le_bytes());
    file.extend([0, 0]);
    file
}

#[test]
fn one_member_is_unpacked_and_the_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (zip, out) = (folder.path().join("gzip.zip"), folder.path().join("b.gz"));
    let members: [(&str, &[u8], bool); 2] = [
        ("gzip/a.gz", b"one", false),
        ("gzip/b.gz", &content(), true),
    ];
    let bytes = archive(&members);
    std::fs::write(&zip, &bytes).unwrap();
    unpack(&zip, "gzip/b.gz", &out, sum_of(&content())).unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), content());
    let stored = folder.path().join("a.gz");
    unpack(&zip, "gzip/a.gz", &stored, sum_of(b"one")).unwrap();
    assert_eq!(std::fs::read(&stored).unwrap(), b"one");
    for (member, sum) in [("gzip/c.gz", sum_of(b"one")), ("gzip/a.gz", sum_of(b"two"))] {
        let error = unpack(&zip, member, &folder.path().join("x"), sum).unwrap_err();
        assert!(matches!(error, DataError::Damaged { .. }), "{error}");
    }
    for length in (0..bytes.len()).step_by(1009) {
        std::fs::write(&zip, &bytes[..length]).unwrap();
        assert!(
            unpack(
                &zip,
                "gzip/b.gz",
                &folder.path().join("x"),
                sum_of(&content())
            )
            .is_err()
        );
    }
    assert!(!folder.path().join("x").exists());
}
