//! How much a client may use: who a quota is for, and how long who has used too much is to be held back.
//!
//! [`Limits`] is a machine: what was used and when goes in, a time to wait comes out. Rates are averaged over samples as in Kafka
//! (`Rate`, `SampledStat`), mutations of the metadata are a bucket of tokens (`TokenBucket`, KIP-599), and which quota holds for
//! whom follows `ClientQuotaManager.DefaultQuotaCallback` (KIP-55, KIP-546).

mod entity;
mod limits;
mod rate;

pub use entity::{Amount, Entity, EntityName, Key};
pub use limits::{Kind, Limits, Options};
pub use rate::whole;

#[cfg(test)]
mod tests;
