//! What `/metrics` shows, gathered when it is asked for: what is counted, and what can be read from replicas and the image.

mod cluster;
mod groups;
mod process;
mod traffic;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics::Exposition;
use crate::server::core::Core;
use crate::server::shared::Shared;

/// The exposition of one server.
pub fn of(shared: Arc<Shared>, cores: Arc<[Arc<Core>]>) -> Exposition {
    let (idle, times, flushes) = (process::Idle::default(), traffic::Times::default(), Mutex::default());
    Exposition::new(move |writer| {
        traffic::write(writer, &shared, &cores, &times)?;
        cluster::write(writer, &shared, &flushes)?;
        groups::write(writer, &shared.broker)?;
        process::write(writer, &shared, cores.len(), &idle)
    })
}
