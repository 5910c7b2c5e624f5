//! The server's life: listening, connections with patience that ends, shutting down without
//! dropping anyone.

use crate::engine::Engine;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::routes::{App, Limits, router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// A checkpoint to read with, watched for changes.
    pub checkpoint: Option<PathBuf>,
    /// Requests that may wait.
    pub queue: usize,
    /// Threads that read.
    pub threads: usize,
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// What a single request may cost.
    pub limits: Limits,
    /// How long a request's head may take to arrive, and a connection may idle.
    pub patience: Duration,
    /// How often the checkpoint is looked at.
    pub watch: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            checkpoint: None,
            queue: 256,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            connections: 1024,
            limits: Limits::default(),
            patience: Duration::from_secs(10),
            watch: Duration::from_secs(1),
        }
    }
}

/// A server that listens and has its models in memory.
pub struct Server {
    listener: TcpListener,
    app: App,
    settings: Settings,
}

impl Server {
    /// Loads the models and starts to listen.
    ///
    /// # Errors
    /// [`ServeError`] naming the address or the model that cannot be used.
    pub async fn bind(settings: Settings) -> Result<Self, ServeError> {
        let models = Arc::new(Models::load(settings.checkpoint.as_deref())?);
        let address = settings.address;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServeError::Bind { address, source })?;
        let engine = Engine::start(Arc::clone(&models), settings.queue, settings.threads);
        let engine = engine.map_err(|source| ServeError::System {
            action: "start a thread",
            source,
        })?;
        let app = App {
            engine,
            models,
            metrics: Arc::default(),
            limits: settings.limits,
        };
        Ok(Self {
            listener,
            app,
            settings,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ServeError::System`] when the operating system does not say.
    pub fn address(&self) -> Result<SocketAddr, ServeError> {
        self.listener
            .local_addr()
            .map_err(|source| ServeError::System {
                action: "tell the address",
                source,
            })
    }

    /// Serves until `stop` is ready; then lets every request under way finish, for ten seconds at
    /// most.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let watcher = tokio::spawn(watch(self.app.clone(), self.settings.watch));
        let service = TowerToHyperService::new(router(self.app.clone()));
        let room = Arc::new(Semaphore::new(self.settings.connections));
        let graceful = GracefulShutdown::new();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.patience);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // The semaphore is never closed.
                let place = Arc::clone(&room).acquire_owned().await.ok();
                (place, self.listener.accept().await)
            };
            let (place, stream) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            let Ok((stream, _)) = stream else {
                // No file descriptors left, say: others will be closed soon.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let stream = Box::pin(patient(stream, self.settings.patience));
            let connection = builder.serve_connection(TokioIo::new(stream), service.clone());
            let connection = graceful.watch(connection);
            let metrics = Arc::clone(&self.app.metrics);
            tokio::spawn(async move {
                let _open = Open::new(&metrics);
                // A client that breaks off is its own business.
                let _ = connection.await;
                drop(place);
            });
        }
        drop(self.listener);
        watcher.abort();
        let patience = Duration::from_secs(10);
        if tokio::time::timeout(patience, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some connections were still busy and have been closed");
        }
    }
}

/// A stream that gives up when nothing moves.
fn patient(stream: TcpStream, patience: Duration) -> TimeoutStream<TcpStream> {
    // Answers are small: waiting for more to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(3 * patience));
    stream.set_write_timeout(Some(patience));
    stream
}

/// Counts a connection while it is open.
struct Open<'a>(&'a Metrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads the checkpoint again whenever its file changes.
async fn watch(app: App, every: Duration) {
    let mut known = app.models.version();
    if known.is_none() {
        return;
    }
    loop {
        tokio::time::sleep(every).await;
        let found = app.models.version();
        if found.is_none() || found == known {
            continue;
        }
        known = found;
        let models = Arc::clone(&app.models);
        match tokio::task::spawn_blocking(move || models.reload()).await {
            Ok(Ok(())) => {
                app.metrics.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("the checkpoint has changed and was read again");
            }
            Ok(Err(error)) => tracing::warn!("the changed checkpoint is not used: {error}"),
            Err(error) => tracing::warn!("reading the changed checkpoint failed: {error}"),
        }
    }
}

/// Ready when the process is asked to end (Ctrl-C; on Unix also a plain kill).
pub async fn asked_to_stop() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
