//! Work that many processes, on one machine or many, share by a folder: each takes what is next, none does
//! what another does, and any may be killed at any time.
//!
//! No file locks: many network file systems have none, or pretend to. What the protocol needs is that making
//! a folder that exists fails, that a rename is one step, and that a folder is not replaced by one.
//!
//! - A **lease** is a numbered folder, made by whoever is first; its number is the *token*. The owner counts
//!   up a heartbeat in it. Another may take over, by the next number, once the owner has released the lease,
//!   is known to have died (its process is gone from this very machine), or its counter has not
//!   moved for [`PATIENCE`] by the *taker's own* monotonic clock. Clocks of two machines are never compared.
//! - An owner that was only asleep still believes in its lease. So nothing depends on asking first: each token
//!   has a **folder of its own** for what it writes, and a finished result appears by one rename of that folder,
//!   which fails if another was first. That fences a late owner whatever it does.
//!
//! [`Store`] puts both together. `simulation.rs` runs this code under thousands of schedules with pauses,
//! kills and slow disks.

mod lease;
mod look;
mod owner;
#[cfg(test)]
mod simulation;
mod store;
mod system;

pub use lease::{BEAT, Lease, PATIENCE, Watch};
pub use look::is_being_made;
pub use owner::Owner;
pub use store::{Addition, Attempt, Holder, Store, Turn};
