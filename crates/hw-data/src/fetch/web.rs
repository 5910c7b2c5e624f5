//! A file at a web address.

use super::download::{Address, Answer, Trouble};
use std::io::Read;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode};

/// Bytes read at a time.
const PIECE: usize = 1 << 16;

/// A file at a web address.
pub(super) struct Web {
    url: String,
    agent: ureq::Agent,
}

impl Web {
    /// A server that does not answer within `patience` is given up.
    pub(super) fn new(url: &str, patience: Duration) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .http_status_as_error(false)
            .user_agent(concat!("handwriting-workbench/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            url: url.into(),
            agent: agent.into(),
        }
    }
}

impl Address for Web {
    fn name(&self) -> String {
        self.url.clone()
    }

    fn ask(&self, here: u64) -> Result<Answer, Trouble> {
        let mut request = self.agent.get(&self.url);
        if here > 0 {
            request = request.header("Range", format!("bytes={here}-"));
        }
        let response = request
            .call()
            .map_err(|error| Trouble::NoAnswer(error.to_string()))?;
        let status = response.status();
        let start = match status {
            StatusCode::PARTIAL_CONTENT if starts_at(response.headers(), here) => here,
            StatusCode::OK => 0,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let whole = length_of_range(response.headers()) == Some(here);
                return Ok(match whole {
                    true => Answer::NothingMore,
                    false => Answer::Fewer(Trouble::Status(status)),
                });
            }
            _ => return Err(Trouble::Status(status)),
        };
        let rest = number(response.headers(), "content-length");
        Ok(Answer::Bytes {
            start,
            total: rest.map(|rest| start + rest),
            pieces: read_aside(response.into_body().into_reader()),
        })
    }
}

/// Reads in a thread of its own, because a read that stalls cannot be given up from outside.
fn read_aside(mut body: impl Read + Send + 'static) -> Receiver<Result<Vec<u8>, String>> {
    let (sender, pieces) = sync_channel(4);
    std::thread::spawn(move || {
        loop {
            let mut bytes = vec![0; PIECE];
            let piece = body.read(&mut bytes).map(|count| {
                bytes.truncate(count);
                bytes
            });
            let last = !piece.as_ref().is_ok_and(|bytes| !bytes.is_empty());
            let piece = piece.map_err(|error| error.to_string());
            if sender.send(piece).is_err() || last {
                return;
            }
        }
    });
    pieces
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Whether a partial answer begins where it was asked to.
fn starts_at(headers: &HeaderMap, start: u64) -> bool {
    let range = headers
        .get("content-range")
        .and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// The whole length, as a refused range says: `bytes */LENGTH`.
fn length_of_range(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes */")?.parse().ok()
}
