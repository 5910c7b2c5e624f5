//! Reading, away from the connections: a bounded queue and a few threads that empty it in batches.
//!
//! A request that finds the queue full is turned away at once, so that those in it are answered
//! soon. A thread takes what waits, up to [`MOST_AT_ONCE`], plans each request, lets each model look
//! at the images of all of them in one go, and answers each.

use crate::image;
use crate::models::{Models, Served};
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hw_ink::InkError;
use hw_ink::api::{self, Answer, Request};
use hw_ink::read::Plan;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Requests read together at most.
pub const MOST_AT_ONCE: usize = 16;

/// Why a request was not read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Too many are waiting already.
    #[error("the server has more to read than it can; try again in a second")]
    Busy,
    /// It is no JSON of the right form.
    #[error("the request is no valid JSON for this address: {0}")]
    Malformed(String),
    /// It names a model that is not here.
    #[error("there is no model \"{0}\"; GET /api/models lists those there are")]
    UnknownModel(String),
    /// Its strokes or image cannot be read.
    #[error(transparent)]
    Unreadable(#[from] InkError),
}

struct Job {
    body: Bytes,
    reply: oneshot::Sender<Result<Answer, Refusal>>,
}

/// The way into the queue.
#[derive(Clone)]
pub struct Engine {
    queue: mpsc::Sender<Job>,
    /// What waits, kept so that the queue is open even while no thread reads.
    _waiting: Arc<Mutex<mpsc::Receiver<Job>>>,
}

impl Engine {
    /// Starts `threads` threads behind a queue of `length` requests. They end when every clone of
    /// the engine is gone.
    ///
    /// # Errors
    /// The operating system's, when it has no thread to give.
    pub fn start(models: Arc<Models>, length: usize, threads: usize) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::channel(length);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let (waiting, models) = (Arc::clone(&waiting), Arc::clone(&models));
            std::thread::Builder::new()
                .name(format!("reader-{number}"))
                .spawn(move || {
                    while let Some(jobs) = take(&waiting) {
                        answer(jobs, &models);
                    }
                })?;
        }
        Ok(Self {
            queue,
            _waiting: waiting,
        })
    }

    /// Reads a request's body (JSON, see [`Request`]).
    ///
    /// # Errors
    /// [`Refusal`]; at once when the queue is full.
    pub async fn read(&self, body: Bytes) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        let job = Job { body, reply };
        self.queue.try_send(job).map_err(|_| Refusal::Busy)?;
        // A reader that died took the request with it; nothing a client could do about it.
        answer.await.unwrap_or(Err(Refusal::Busy))
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// What waits, at least one; `None` when nothing will ever come.
fn take(waiting: &Mutex<mpsc::Receiver<Job>>) -> Option<Vec<Job>> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let mut jobs = vec![waiting.blocking_recv()?];
    while jobs.len() < MOST_AT_ONCE {
        match waiting.try_recv() {
            Ok(job) => jobs.push(job),
            Err(_) => break,
        }
    }
    Some(jobs)
}

/// A request ready to be looked at.
struct Planned {
    served: Arc<Served>,
    plan: Plan,
    explain: bool,
    started: Instant,
    reply: oneshot::Sender<Result<Answer, Refusal>>,
}

fn answer(jobs: Vec<Job>, models: &Models) {
    let mut planned = Vec::new();
    for job in jobs {
        // Whoever asked may have gone.
        if job.reply.is_closed() {
            continue;
        }
        let started = Instant::now();
        match planned_from(&job.body, models) {
            Ok((served, plan, explain)) => planned.push(Planned {
                served,
                plan,
                explain,
                started,
                reply: job.reply,
            }),
            Err(refusal) => {
                let _ = job.reply.send(Err(refusal));
            }
        }
    }
    while let Some(first) = planned.first().map(|p| Arc::clone(&p.served)) {
        let same = |p: &Planned| Arc::ptr_eq(&p.served, &first);
        let (batch, rest) = planned.into_iter().partition(same);
        look(batch, &first);
        planned = rest;
    }
}

fn planned_from(body: &[u8], models: &Models) -> Result<(Arc<Served>, Plan, bool), Refusal> {
    let request: Request =
        serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let name = request.model.as_deref();
    let served = models.find(name);
    let served = served.ok_or_else(|| Refusal::UnknownModel(name.unwrap_or_default().into()))?;
    let plan = match (&request.strokes, &request.image) {
        (Some(strokes), None) => Plan::of_strokes(&*served.classifier, &api::ink(strokes)?)?,
        (None, Some(encoded)) => {
            let file = STANDARD.decode(encoded);
            let file = file.map_err(|error| InkError::Image(format!("no base64: {error}")))?;
            image::plan(&image::decode(&file)?, &served)?
        }
        _ => {
            let problem = "one of \"strokes\" and \"image\" is needed, and only one";
            return Err(Refusal::Malformed(problem.into()));
        }
    };
    Ok((served, plan, request.explain))
}

/// Lets one model look at the images of all of `batch`, and answers.
fn look(batch: Vec<Planned>, served: &Served) {
    let images = batch
        .iter()
        .flat_map(|planned| planned.plan.images().cloned());
    let images: Vec<Vec<u8>> = images.collect();
    let mut rows = match served.classifier.probabilities(&images) {
        Ok(rows) => rows.into_iter(),
        Err(error) => {
            for planned in batch {
                let _ = planned.reply.send(Err(error.clone().into()));
            }
            return;
        }
    };
    for planned in batch {
        let own = planned.plan.images().count();
        let own = rows.by_ref().take(own).collect();
        let reading = planned.plan.read(&*served.classifier, own, planned.explain);
        let answer = reading.map(|reading| Answer {
            took_ms: planned.started.elapsed().as_secs_f64() * 1e3,
            ..Answer::new(reading, &served.card.name)
        });
        let _ = planned.reply.send(answer.map_err(Refusal::from));
    }
}
