//! A file of a data set on the Hugging Face hub, had through hf-hub.
//!
//! hf-hub knows the hub's addresses, tokens and storage (also xet's); resuming, waiting, giving up and
//! believing are done here as for any other address, so its own retries and its cache are off.

use super::download::{Address, Answer, Trouble};
use futures_util::StreamExt;
use hf_hub::repository::download::HFByteStream;
use hf_hub::repository::{HFRepository, RepoTreeEntry, RepoTypeDataset};
use hf_hub::{HFClient, HFError};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::time::timeout;
use ureq::http::StatusCode;

/// A file of a data set on the hub.
#[derive(Clone)]
pub(super) struct HubFile {
    /// The hub's address.
    endpoint: String,
    /// The data set, as `owner/name`.
    repository: String,
    /// The file's path in it.
    file: String,
    /// How long nothing may come.
    patience: Duration,
}

impl HubFile {
    pub(super) fn new(endpoint: &str, repository: &str, file: &str, patience: Duration) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            repository: repository.into(),
            file: file.into(),
            patience,
        }
    }
}

impl Address for HubFile {
    fn name(&self) -> String {
        let (endpoint, repository, file) = (&self.endpoint, &self.repository, &self.file);
        format!("{endpoint}/datasets/{repository}/resolve/main/{file}")
    }

    fn ask(&self, here: u64) -> Result<Answer, Trouble> {
        // Reading the machine's certificates may take longer than a server should.
        let client = self.client().map_err(|error| trouble(&error))?;
        let (answer, answers) = sync_channel(1);
        let job = self.clone();
        // In a thread of its own: this function is no part of anybody's asynchronous program.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(job.bring(client, here, &answer)),
                Err(error) => {
                    let _ = answer.send(Err(Trouble::Broken(error.to_string())));
                }
            }
        });
        // Longer than the thread itself waits.
        match answers.recv_timeout(self.patience * 2) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(silent(self.patience)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Trouble::Broken("the reader stopped".into()))
            }
        }
    }
}

impl HubFile {
    /// Answers, and then sends what comes until it ends, breaks or nobody listens any more.
    async fn bring(
        &self,
        client: HFClient,
        here: u64,
        answer: &SyncSender<Result<Answer, Trouble>>,
    ) {
        let instead = match timeout(self.patience, self.open(&client, here)).await {
            Ok(Ok(Opened::Bytes(start, total, stream))) => {
                return self.pass_on(start, total, stream, answer).await;
            }
            Ok(Ok(Opened::Other(other))) => Ok(other),
            Ok(Err(error)) => Err(trouble(&error)),
            Err(_) => Err(silent(self.patience)),
        };
        // Whoever asked may have left; then there is nobody to tell.
        let _ = answer.send(instead);
    }

    /// Says that bytes come, and sends them.
    async fn pass_on(
        &self,
        start: u64,
        total: Option<u64>,
        mut stream: HFByteStream,
        answer: &SyncSender<Result<Answer, Trouble>>,
    ) {
        let (sender, pieces) = sync_channel(4);
        let bytes = Answer::Bytes {
            start,
            total,
            pieces,
        };
        if answer.send(Ok(bytes)).is_err() {
            return;
        }
        loop {
            // The other end gives up after `patience`; this ends the thread soon after.
            let piece = match timeout(self.patience * 2, stream.next()).await {
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) => Ok(bytes.to_vec()),
                Ok(Some(Err(error))) => Err(innermost(&error)),
                Ok(None) => Ok(Vec::new()),
                Err(_) => return,
            };
            let last = !piece.as_ref().is_ok_and(|bytes| !bytes.is_empty());
            if sender.send(piece).is_err() || last {
                return;
            }
        }
    }

    /// A client that leaves waiting and keeping to us.
    fn client(&self) -> Result<HFClient, HFError> {
        let client = HFClient::builder().endpoint(&self.endpoint);
        client.cache_enabled(false).retry_max_attempts(0).build()
    }

    async fn open(&self, client: &HFClient, here: u64) -> Result<Opened, HFError> {
        let (owner, name) = hf_hub::split_id(&self.repository);
        let repository = client.dataset(owner, name);
        // A range needs an end; where the hub does not tell the length, the file is begun anew.
        let length = match here {
            0 => None,
            _ => self.length(&repository).await,
        };
        let range = match length {
            Some(length) if here == length => return Ok(Opened::Other(Answer::NothingMore)),
            Some(length) if here > length => {
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok(Opened::Other(Answer::Fewer(Trouble::Status(status))));
            }
            length => length.map(|length| here..length),
        };
        let file = repository.download_file_stream().filename(&self.file);
        let (coming, stream) = file.maybe_range(range.clone()).send().await?;
        // Whoever does not know ranges sends everything.
        let start = range.filter(|range| coming == Some(range.end - range.start));
        let start = start.map_or(0, |range| range.start);
        Ok(Opened::Bytes(start, coming.map(|n| start + n), stream))
    }

    /// How long the file is, if the hub says.
    async fn length(&self, repository: &HFRepository<RepoTypeDataset>) -> Option<u64> {
        let paths = vec![self.file.clone()];
        let entries = repository.get_paths_info().paths(paths).send().await.ok()?;
        entries.into_iter().find_map(|entry| match entry {
            RepoTreeEntry::File { path, size, .. } if path == self.file => Some(size),
            _ => None,
        })
    }
}

/// What came of asking.
enum Opened {
    /// From where on, how many in the end, and they themselves.
    Bytes(u64, Option<u64>, HFByteStream),
    /// No bytes.
    Other(Answer),
}

fn silent(patience: Duration) -> Trouble {
    Trouble::NoAnswer(format!("nothing came for {patience:?}"))
}

fn trouble(error: &HFError) -> Trouble {
    match error {
        HFError::Http { context }
        | HFError::AuthRequired { context }
        | HFError::Forbidden { context }
        | HFError::Conflict { context }
        | HFError::RateLimited { context, .. } => Trouble::Status(context.status),
        HFError::EntryNotFound { .. } | HFError::RepoNotFound { .. } => {
            Trouble::Status(StatusCode::NOT_FOUND)
        }
        HFError::Request { source, .. } if source.is_connect() || source.is_timeout() => {
            Trouble::NoAnswer(innermost(error))
        }
        _ => Trouble::Broken(innermost(error)),
    }
}

/// The cause that has no cause itself, in one line: what is around it repeats the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string().replace('\n', " ")
}
