//! Why the server cannot start.

use std::net::SocketAddr;

/// What kept the server from starting or running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; another --bind address or port may be free")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A model that comes with the binary is damaged.
    #[error(transparent)]
    Model(#[from] hw_ink::InkError),
    /// The checkpoint cannot be used.
    #[cfg(feature = "checkpoint")]
    #[error(transparent)]
    Checkpoint(#[from] hw_train::TrainError),
    /// A checkpoint was named, but this build reads none.
    #[cfg(not(feature = "checkpoint"))]
    #[error("this build reads no checkpoints: it lacks the feature \"checkpoint\"")]
    NoCheckpoints,
    /// The operating system refused something else.
    #[error("cannot {action}: {source}")]
    System {
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}
