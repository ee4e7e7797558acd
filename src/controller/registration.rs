//! Brokers that come and go: the first records of a cluster, registration, unregistration; and blocks of producer ids.
//!
//! Follows `ClusterControlManager.registerBroker`, `ReplicationControlManager.handleBrokerShutdown` and
//! `handleBrokerUnregistered`. A registered broker is fenced until its heartbeats say that it has caught up; one that is alone
//! and asks for it is let in at once, since there is nobody whom it could contradict.

use uuid::Uuid;

use super::configs::MIN_ISR;
use super::leadership::{self, Leaving};
use super::{Decision, Options, Refusal};
use crate::io::bugs::{self, Bug};
use crate::metadata::{Broker, ConfigResource, Endpoint, Image, Partition, Record};
use crate::model::{BrokerId, ErrorCode, ProducerId};

/// Producer ids in one block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_ID_BLOCK: i64 = 1000;

/// What a broker can do of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: String,
    pub min: i16,
    pub max: i16,
}

/// A broker that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub broker_id: BrokerId,
    /// Chosen anew by every start of the process.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    /// The cluster that the broker belongs to; empty while it does not know.
    pub cluster_id: String,
    pub features: Vec<SupportedFeature>,
    /// The ids of its log directories.
    pub directories: Vec<Uuid>,
    /// The epoch that its last clean stop left behind, -1 when that stop was no clean one (KIP-966).
    pub previous_broker_epoch: i64,
    /// Let in at once if no other broker is registered: it is the controller itself that asks, so it has read everything.
    pub is_controller: bool,
}

/// With eligible leader replicas the controller must know the min ISR that leaders go by (KIP-966).
const ELR_FEATURE: &str = "eligible.leader.replicas.version";

/// The first records of a cluster that has no id yet; and features that this controller brings, at levels above those finalised.
/// With eligible leader replicas comes a cluster-wide `min.insync.replicas`, so that leaders whose files differ all go by one
/// (`ActivationRecordsGenerator`).
pub fn first_records(image: &Image, options: &Options, cluster_id: &str, features: &[(&str, i16)]) -> Vec<Record> {
    let mut records = Vec::new();
    if image.cluster_id().is_empty() {
        records.push(Record::ClusterCreated { cluster_id: cluster_id.to_owned() });
    }
    for (name, level) in features {
        if image.features().get(*name).is_none_or(|finalized| finalized < level) {
            records.push(Record::FeatureFinalized { name: (*name).to_owned(), level: *level });
        }
    }
    let brings_elr =
        records.iter().any(|record| matches!(record, Record::FeatureFinalized { name, .. } if name == ELR_FEATURE));
    if brings_elr && !image.configs(&ConfigResource::BrokerDefault).contains_key(MIN_ISR) {
        let value = Some(options.min_isr.to_string());
        records.push(Record::ConfigChanged { resource: ConfigResource::BrokerDefault, name: MIN_ISR.into(), value });
    }
    records
}

/// Admits a broker; the answer is its broker epoch. `has_session`: the broker that has this id now was heard of within its
/// session timeout. Errors: INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION, INVALID_REGISTRATION, UNSUPPORTED_VERSION.
pub fn register_broker(
    image: &Image,
    options: &Options,
    registration: Registration,
    has_session: bool,
) -> Result<Decision<i64>, Refusal> {
    let existing = image.broker(registration.broker_id);
    check_registration(image, &registration, existing.filter(|_| has_session))?;
    let same = existing.filter(|broker| broker.incarnation == registration.incarnation);
    let others = image.brokers().any(|broker| broker.id != registration.broker_id);
    let is_alone = registration.is_controller && !others;
    let mut records = match existing {
        // Replay of a start raises the epochs of what the broker leads, which is all that has to be told apart.
        Some(broker) if same.is_none() && is_alone => {
            leadership::without_replicas(image, options, broker.id, |partition| {
                misses_directory(partition, broker.id, &registration).then_some(Leaving::Unclean)
            })
        }
        Some(broker) if same.is_none() => left_behind(image, options, broker, &registration),
        _ => Vec::new(),
    };
    let broker_epoch = same.map_or(image.last_broker_epoch() + 1, |broker| broker.epoch);
    let id = registration.broker_id;
    let directories = registration.directories.clone();
    records.push(Record::BrokerRegistered {
        broker_id: id,
        incarnation: registration.incarnation,
        broker_epoch,
        endpoints: registration.endpoints,
        rack: registration.rack,
        fenced: same.map_or(!is_alone, |broker| broker.fenced),
        directories: registration.directories,
    });
    if is_alone {
        records.extend(leadership::with_broker(image, options, id, &directories));
    }
    Ok(Decision { records, answer: broker_epoch })
}

fn check_registration(image: &Image, registration: &Registration, alive: Option<&Broker>) -> Result<(), Refusal> {
    let (own, theirs) = (image.cluster_id(), registration.cluster_id.as_str());
    if !theirs.is_empty() && **own != *theirs {
        let message = format!("Expected cluster ID {own}, but got cluster ID {theirs}");
        return Err(Refusal::new(ErrorCode::InconsistentClusterId, message));
    }
    if alive.is_some_and(|broker| broker.incarnation != registration.incarnation && !broker.in_controlled_shutdown) {
        let message = "Another broker is registered with that broker id. If the broker was recently restarted this should \
                       self-resolve once the heartbeat manager expires the broker's session.";
        return Err(Refusal::new(ErrorCode::DuplicateBrokerRegistration, message));
    }
    check_directories(image, registration)?;
    for feature in &registration.features {
        let Some(level) = image.features().get(&feature.name) else { continue };
        if *level < feature.min || feature.max < *level {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} of {}. The broker wants \
                 a version between {} and {}, inclusive.",
                feature.name, feature.min, feature.max
            );
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}

/// A directory belongs to one broker: two that name the same are one disk seen twice.
fn check_directories(image: &Image, registration: &Registration) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    let directories = &registration.directories;
    if directories.iter().any(|directory| directory.as_u128() < RESERVED_DIRECTORIES) {
        return refuse("Reserved directory ID in request".into());
    }
    let mut sorted = directories.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return refuse("Duplicate directory ID in request".into());
    }
    for broker in image.brokers().filter(|broker| broker.id != registration.broker_id) {
        if let Some(shared) = broker.directories.iter().find(|directory| directories.contains(directory)) {
            let shared = crate::model::TopicId(*shared);
            return refuse(format!("Broker {} is already registered with directory {shared}", broker.id));
        }
    }
    Ok(())
}

/// `DirectoryId`: the first hundred ids mean something else.
const RESERVED_DIRECTORIES: u128 = 100;

/// What the new incarnation of a broker finds to have been left behind by the old one. A replica that was told to lie in a
/// directory that is not there now may come back with it; one of which that is not known is given up for lost.
fn left_behind(image: &Image, options: &Options, old: &Broker, new: &Registration) -> Vec<Record> {
    let has_lost_any = old.directories.iter().any(|directory| !new.directories.contains(directory));
    let was_clean = old.epoch == new.previous_broker_epoch;
    leadership::without_replicas(image, options, old.id, |partition| {
        if bugs::is_back(Bug::Kip966) {
            return Some(Leaving::Clean);
        }
        let is_told = partition.directory_of(old.id).is_some();
        Some(match (has_lost_any && !is_told, was_clean && !misses_directory(partition, old.id, new)) {
            (true, _) => Leaving::WithItsLogs,
            (false, true) => Leaving::Clean,
            (false, false) => Leaving::Unclean,
        })
    })
}

/// Whether the directory that the broker has told for a partition is not among those it comes with.
fn misses_directory(partition: &Partition, id: BrokerId, new: &Registration) -> bool {
    partition.directory_of(id).is_some_and(|directory| !new.directories.contains(&directory))
}

/// Forgets a broker. Error: BROKER_ID_NOT_REGISTERED.
pub fn unregister_broker(image: &Image, options: &Options, id: BrokerId) -> Result<Decision<()>, Refusal> {
    let Some(broker) = image.broker(id) else {
        let message = format!("Broker ID {id} is not currently registered");
        return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    // Whoever comes under this id later need not have this broker's logs.
    let mut records = leadership::without_broker(image, options, id, Leaving::WithItsLogs);
    records.push(Record::BrokerUnregistered { broker_id: id, broker_epoch: broker.epoch });
    Ok(Decision { records, answer: () })
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
