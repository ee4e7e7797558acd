//! The cluster image: a pure replay of metadata records, and what every decision reads.
//!
//! A [`Record`] is one fact (a topic was created, a broker registered itself); an [`Image`] is what all facts up to an offset
//! amount to; a [`Delta`] names what a batch of records changed, so that the shell need not compare two images.
//!
//! Invariant: replay is pure and total. The same records give the same image on every node, and a record that was once
//! committed can always be replayed: whether a change is allowed is decided before, in `controller`.

mod bytes;
mod delta;
mod image;
mod record;
mod shared_map;

pub use bytes::{DecodeError, Reader, Writer};
pub use delta::Delta;
pub use image::{Broker, Image, Quotas, Topic};
pub use record::{ConfigResource, Directories, Endpoint, LeaderRecoveryState, Partition, Record, Replicas};
pub use shared_map::SharedMap;
