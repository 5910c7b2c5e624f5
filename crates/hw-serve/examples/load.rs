//! How many requests a second the server answers, and how long each takes: many clients on the
//! loopback that each send the next request when they have the last answer.
//!
//! ```text
//! cargo run --release -p hw-serve --example load -- 10 1 16 256     seconds, then connections
//! cargo run --release -p hw-serve --example load -- soak 600 50     seconds, requests a second
//! ```
//!
//! Server and clients share this machine's processors.

use hw_serve::{Server, Settings};
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// One character, in as many points as a mouse gives.
fn request() -> Vec<u8> {
    let point = |i: usize| match i {
        0..20 => format!("[{},20,0.5]", 40 + 3 * i),
        _ => format!("[{},{},0.5]", 97 - 2 * (i - 20), 20 + 5 * (i - 20)),
    };
    let points: Vec<String> = (0..40).map(point).collect();
    let body = format!(
        "{{\"model\":\"digits\",\"strokes\":[[{}]]}}",
        points.join(",")
    );
    let head = format!(
        "POST /api/recognise HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let settings = Settings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..Settings::default()
        };
        let server = Server::bind(settings).await?;
        let address = server.address()?;
        tokio::spawn(server.run(std::future::pending()));
        match (arguments.first().map(String::as_str), &numbers[..]) {
            (Some("soak"), &[seconds, rate]) => soak(address, seconds, rate).await,
            (Some(_), [seconds, connections @ ..]) if !connections.is_empty() => {
                for &connections in connections {
                    measure(address, *seconds, connections).await?;
                }
                Ok(())
            }
            _ => Err("usage: load SECONDS CONNECTIONS... | load soak SECONDS RATE".into()),
        }
    })
}

/// Prints what `connections` clients see in `seconds`, after one to warm up.
async fn measure(address: SocketAddr, seconds: u64, connections: u64) -> Result<()> {
    let start = Instant::now() + Duration::from_secs(1);
    let end = start + Duration::from_secs(seconds);
    let clients = (0..connections).map(|_| tokio::spawn(client(address, start, end)));
    let mut times = Vec::new();
    let mut refused = 0;
    for task in clients.collect::<Vec<_>>() {
        let (answered, turned_away) = task.await??;
        times.extend(answered);
        refused += turned_away;
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{connections:>4} connections: {:>7.0} requests/s, p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms, {refused} turned away",
        times.len() as f64 / seconds as f64,
        at(0.5),
        at(0.99),
        at(1.0),
    );
    Ok(())
}

/// The times of the answers between `start` and `end`, and how many requests were turned away.
async fn client(address: SocketAddr, start: Instant, end: Instant) -> Result<(Vec<Duration>, u64)> {
    let request = request();
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut refused) = (Vec::new(), 0);
    while Instant::now() < end {
        let began = Instant::now();
        match ask(&mut stream, &request).await? {
            200 if began >= start => times.push(began.elapsed()),
            200 => {}
            _ => refused += 1,
        }
    }
    Ok((times, refused))
}

/// Sends a request and reads its answer to the end; gives the status.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<u16> {
    stream.write_all(request).await?;
    let mut bytes = Vec::with_capacity(8192);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&bytes[..end])?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.ok_or("an answer without length")?.parse()?;
        if bytes.len() >= end + 4 + length {
            return Ok(head.get(9..12).ok_or("no status")?.parse()?);
        }
    }
}

/// Sends `rate` requests a second for `seconds` and prints the process's memory every minute.
async fn soak(address: SocketAddr, seconds: u64, rate: u64) -> Result<()> {
    let request = request();
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate as f64));
    let begun = Instant::now();
    let (mut answered, mut minute) = (0u64, 0);
    while begun.elapsed().as_secs() < seconds {
        tick.tick().await;
        // A new connection every time: those must not pile up either.
        let mut stream = TcpStream::connect(address).await?;
        if ask(&mut stream, &request).await? == 200 {
            answered += 1;
        }
        if begun.elapsed().as_secs() / 60 >= minute {
            println!(
                "{minute:>3} min: {answered} answers, {} in memory",
                resident()?
            );
            minute += 1;
        }
    }
    println!("end: {answered} answers, {} in memory", resident()?);
    Ok(())
}

/// The process's resident memory, as Linux tells it.
fn resident() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.unwrap_or("an unknown amount").trim().to_owned())
}
