//! What `/metrics` shows, gathered when it is asked for: what is counted, and what can be read from replicas and the image.

mod cluster;
mod groups;
mod process;
mod traffic;

use std::sync::Arc;

use crate::metrics::Exposition;
use crate::server::core::Core;
use crate::server::shared::Shared;

/// The exposition of one server.
pub fn of(shared: Arc<Shared>, cores: Arc<[Arc<Core>]>) -> Exposition {
    let idle = process::Idle::default();
    Exposition::new(move |writer| {
        traffic::write(writer, &shared, &cores)?;
        cluster::write(writer, &shared)?;
        groups::write(writer, &shared.broker)?;
        process::write(writer, &shared, cores.len(), &idle)
    })
}
