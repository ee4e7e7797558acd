//! The first records of a cluster, the registration of a broker that starts, and blocks of producer ids.

use uuid::Uuid;

use super::{Decision, Refusal};
use crate::metadata::{Endpoint, Image, Record};
use crate::model::{BrokerId, ErrorCode, ProducerId};

/// Producer ids in one block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_ID_BLOCK: i64 = 1000;

/// A broker that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub broker_id: BrokerId,
    /// Chosen anew by every start of the process.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    /// The cluster's id if this start creates the cluster; an existing one keeps its own.
    pub cluster_id: String,
    /// Features this broker can do, and the level that is finalised when the cluster has none higher.
    pub features: Vec<(String, i16)>,
}

/// Admits a broker; the answer is its broker epoch. One record raises the leader epochs of all it leads.
pub fn register_broker(image: &Image, registration: Registration) -> Decision<i64> {
    let mut records = Vec::new();
    if image.cluster_id().is_empty() {
        records.push(Record::ClusterCreated { cluster_id: registration.cluster_id });
    }
    for (name, level) in registration.features {
        if image.features().get(&name).is_none_or(|finalized| *finalized < level) {
            records.push(Record::FeatureFinalized { name, level });
        }
    }
    let broker_epoch = image.last_broker_epoch() + 1;
    records.push(Record::BrokerRegistered {
        broker_id: registration.broker_id,
        incarnation: registration.incarnation,
        broker_epoch,
        endpoints: registration.endpoints,
        rack: registration.rack,
        fenced: false,
        directories: Vec::new(),
    });
    Decision { records, answer: broker_epoch }
}

/// Gives a broker the next block; the answer is its first id, and how many there are. Source: `ProducerIdControlManager`.
pub fn allocate_producer_ids(image: &Image, broker_id: BrokerId) -> Result<Decision<(ProducerId, i64)>, Refusal> {
    let first = image.next_producer_id();
    let Some(next) = first.0.checked_add(PRODUCER_ID_BLOCK) else {
        let message = "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit";
        return Err(Refusal::new(ErrorCode::UnknownServerError, message));
    };
    let records = vec![Record::ProducerIdsAllocated { broker_id, next_producer_id: ProducerId(next) }];
    Ok(Decision { records, answer: (first, PRODUCER_ID_BLOCK) })
}
