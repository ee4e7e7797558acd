//! Metadata records and their bytes: what the quorum agrees on, one fact each.
//!
//! Format: tag `u8`, version `u8`, then the fields of that version. A tag or version that is not known is an error, never
//! skipped: a node that cannot replay a fact must not act on an image without it. The checksum is the log's.

use smallvec::SmallVec;
use uuid::Uuid;

use super::bytes::{DecodeError, Reader, Writer};
use crate::model::{BrokerId, LeaderEpoch, PartitionIndex, ProducerId, TopicId};
use crate::quota::{self, Amount, Entity, EntityName};

/// Brokers of one partition, in order of preference; up to four are held without an allocation.
pub type Replicas = SmallVec<[BrokerId; 4]>;

/// In which directory each of some brokers has a replica.
pub type Directories = Vec<(BrokerId, Uuid)>;

/// Where a broker can be reached on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name, such as `PLAINTEXT`.
    pub listener: String,
    pub host: String,
    pub port: u16,
    /// Kafka's `SecurityProtocol.id`: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Whether a leader has made good that it was elected without holding everything (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum LeaderRecoveryState {
    #[default]
    Recovered = 0,
    /// It was elected uncleanly, and has not said yet that it has dealt with that. The ISR is the leader alone.
    Recovering = 1,
}

impl LeaderRecoveryState {
    /// The number on the wire and in records; `None` for one that Kafka does not have.
    pub fn of(number: i8) -> Option<LeaderRecoveryState> {
        match number {
            0 => Some(LeaderRecoveryState::Recovered),
            1 => Some(LeaderRecoveryState::Recovering),
            _ => None,
        }
    }
}

/// The agreed state of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The broker that leads, [`Partition::NO_LEADER`] when none can.
    pub leader: BrokerId,
    /// Rises with every change of leadership and every start of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change of this state (KIP-497).
    pub partition_epoch: i32,
    pub replicas: Replicas,
    /// In-sync replicas, a subset of `replicas`. Empty only while nobody leads: then `elr` or `last_known_elr` says who may.
    pub isr: Replicas,
    /// Replicas that a reassignment brings in and that are not in sync yet; part of `replicas` (KIP-455).
    pub adding_replicas: Replicas,
    /// Replicas that a reassignment takes away when it is done; part of `replicas`.
    pub removing_replicas: Replicas,
    /// Eligible leader replicas: out of the ISR, yet sure to hold everything below the high watermark, which did not move
    /// since they left. Disjoint from `isr` (KIP-966).
    pub elr: Replicas,
    /// When neither ISR nor ELR has anybody: who was last known to be one of them, the last leader first of all.
    pub last_known_elr: Replicas,
    pub leader_recovery_state: LeaderRecoveryState,
    /// In which of its directories a broker with several has its replica, once it has said so (KIP-858). A broker with one
    /// directory has everything there. By rising broker; version 3.
    pub directories: Directories,
}

impl Partition {
    /// Kafka's `LeaderConstants.NO_LEADER`.
    pub const NO_LEADER: BrokerId = BrokerId(-1);

    /// A new partition whose replicas are all in sync, led by the first.
    pub fn created(replicas: Replicas) -> Partition {
        let isr = replicas.clone();
        Partition::created_in_sync(replicas, isr)
    }

    /// A new partition of which only these replicas are in sync, led by the first of them.
    pub fn created_in_sync(replicas: Replicas, isr: Replicas) -> Partition {
        Partition {
            leader: isr.first().copied().unwrap_or(Partition::NO_LEADER),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            replicas,
            isr,
            adding_replicas: Replicas::new(),
            removing_replicas: Replicas::new(),
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            leader_recovery_state: LeaderRecoveryState::Recovered,
            directories: Directories::new(),
        }
    }

    /// Where a broker has said that its replica lies.
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        self.directories.iter().find(|(id, _)| *id == broker).map(|(_, directory)| *directory)
    }

    /// Notes where a broker has its replica.
    pub fn set_directory(&mut self, broker: BrokerId, directory: Uuid) {
        self.directories.retain(|(id, _)| *id != broker);
        let place = self.directories.partition_point(|(id, _)| *id < broker);
        self.directories.insert(place, (broker, directory));
    }

    /// Whether replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    pub fn has_leader(&self) -> bool {
        self.leader != Partition::NO_LEADER
    }

    fn write(&self, to: &mut Writer) {
        to.broker_id(self.leader);
        to.leader_epoch(self.leader_epoch);
        to.i32(self.partition_epoch);
        let lists = [
            &self.replicas,
            &self.isr,
            &self.adding_replicas,
            &self.removing_replicas,
            &self.elr,
            &self.last_known_elr,
        ];
        for replicas in lists {
            write_replicas(to, replicas);
        }
        to.u8(self.leader_recovery_state as u8);
        to.count(self.directories.len());
        for (broker, directory) in &self.directories {
            to.broker_id(*broker);
            to.uuid(*directory);
        }
    }

    fn read(from: &mut Reader<'_>, version: u8) -> Result<Partition, DecodeError> {
        let mut partition = Partition {
            leader: from.broker_id()?,
            leader_epoch: from.leader_epoch()?,
            partition_epoch: from.i32()?,
            ..Partition::created_in_sync(read_replicas(from)?, read_replicas(from)?)
        };
        if version >= 1 {
            partition.adding_replicas = read_replicas(from)?;
            partition.removing_replicas = read_replicas(from)?;
            partition.elr = read_replicas(from)?;
            partition.last_known_elr = read_replicas(from)?;
        }
        if version >= 2 {
            partition.leader_recovery_state = read_recovery_state(from)?;
        }
        if version >= 3 {
            partition.directories = from.list(|from| Ok((from.broker_id()?, from.uuid()?)))?;
        }
        Ok(partition)
    }
}

/// What a setting belongs to. The empty broker name of Kafka's requests is [`ConfigResource::BrokerDefault`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    Topic(String),
    Broker(BrokerId),
    /// Settings of every broker that has none of its own.
    BrokerDefault,
    Group(String),
    ClientMetrics(String),
}

/// One fact of the cluster. The order of variants is no part of the format; the tags in `encode` are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The first record of every cluster: its id, 22 characters of base64 as Kafka's.
    ClusterCreated { cluster_id: String },
    /// A feature works from here on at this level; level 0 takes it back (KIP-584).
    FeatureFinalized { name: String, level: i16 },
    /// A broker started. Replay raises the leader epoch of every partition it still leads, so that what an earlier
    /// incarnation wrote and what this one writes are told apart without a record for each partition. With the epoch that the
    /// broker already has it is the same start, told again.
    BrokerRegistered {
        broker_id: BrokerId,
        /// Chosen anew by every start of the process.
        incarnation: Uuid,
        /// Above every earlier broker epoch (KIP-841).
        broker_epoch: i64,
        endpoints: Vec<Endpoint>,
        rack: Option<String>,
        /// Whether it waits to catch up before it may lead or be in sync (KIP-841). Version 1; false before.
        fenced: bool,
        /// The ids of its log directories: without one of the old ones it has lost what it held. Version 1; empty before.
        directories: Vec<Uuid>,
    },
    /// A registered broker was fenced or let in, wants to stop, or has lost directories. Without effect unless the epoch is its
    /// current one.
    BrokerChanged {
        broker_id: BrokerId,
        broker_epoch: i64,
        fenced: bool,
        in_controlled_shutdown: bool,
        /// The directories that still work; `None` says nothing of them. Version 1; `None` before.
        directories: Option<Vec<Uuid>>,
    },
    /// The directories of a registered broker that are to get nothing new (KIP-1066), sorted. Without effect unless the epoch is
    /// its current one; a registration forgets them.
    BrokerCordoned { broker_id: BrokerId, broker_epoch: i64, directories: Vec<Uuid> },
    /// The broker is forgotten; without effect on it unless the epoch is its current one. No later registration is given an
    /// epoch up to this one, so that a snapshot without the broker still knows it.
    BrokerUnregistered { broker_id: BrokerId, broker_epoch: i64 },
    /// A topic with all its partitions, from 0 on.
    TopicCreated { name: String, id: TopicId, partitions: Vec<Partition> },
    /// The topic and everything that belongs to it, its settings included, is gone.
    TopicDeleted { id: TopicId },
    /// More partitions of a topic, numbered on from those it has.
    PartitionsAdded { topic_id: TopicId, partitions: Vec<Partition> },
    /// The new state of one partition.
    PartitionChanged { topic_id: TopicId, partition: PartitionIndex, state: Partition },
    /// A setting got a value, or lost it (`None`).
    ConfigChanged { resource: ConfigResource, name: String, value: Option<String> },
    /// All producer ids below this one belong to some broker (KIP-730).
    ProducerIdsAllocated { broker_id: BrokerId, next_producer_id: ProducerId },
    /// A quota got a value, or lost it (`None`).
    QuotaChanged { entity: Entity, key: quota::Key, value: Option<Amount> },
}

/// The version that is written of a record: it rises where a broker's or a partition's state grows. What was written in earlier
/// versions can still be read.
fn version_of(tag: u8) -> u8 {
    match tag {
        4 | 6 => 3,
        11 => 2,
        3 | 9 => 1,
        _ => 0,
    }
}

impl Record {
    /// Appends the record's bytes.
    pub fn encode(&self, to: &mut Writer) {
        match self {
            Record::ClusterCreated { cluster_id } => {
                head(to, 1);
                to.str(cluster_id);
            }
            Record::FeatureFinalized { name, level } => {
                head(to, 2);
                to.str(name);
                to.i16(*level);
            }
            Record::BrokerRegistered { broker_id, incarnation, broker_epoch, endpoints, rack, fenced, directories } => {
                head(to, 3);
                to.broker_id(*broker_id);
                to.uuid(*incarnation);
                to.i64(*broker_epoch);
                to.count(endpoints.len());
                for endpoint in endpoints {
                    write_endpoint(to, endpoint);
                }
                to.option_str(rack.as_deref());
                to.bool(*fenced);
                write_uuids(to, directories);
            }
            Record::TopicCreated { name, id, partitions } => {
                head(to, 4);
                to.str(name);
                to.topic_id(*id);
                write_partitions(to, partitions);
            }
            Record::TopicDeleted { id } => {
                head(to, 5);
                to.topic_id(*id);
            }
            Record::PartitionChanged { topic_id, partition, state } => {
                head(to, 6);
                to.topic_id(*topic_id);
                to.i32(partition.0);
                state.write(to);
            }
            Record::ConfigChanged { resource, name, value } => {
                head(to, 7);
                write_resource(to, resource);
                to.str(name);
                to.option_str(value.as_deref());
            }
            Record::ProducerIdsAllocated { broker_id, next_producer_id } => {
                head(to, 8);
                to.broker_id(*broker_id);
                to.producer_id(*next_producer_id);
            }
            Record::BrokerChanged { broker_id, broker_epoch, fenced, in_controlled_shutdown, directories } => {
                head_of_broker(to, 9, *broker_id, *broker_epoch);
                to.bool(*fenced);
                to.bool(*in_controlled_shutdown);
                to.bool(directories.is_some());
                directories.iter().for_each(|directories| write_uuids(to, directories));
            }
            Record::BrokerCordoned { broker_id, broker_epoch, directories } => {
                head_of_broker(to, 13, *broker_id, *broker_epoch);
                write_uuids(to, directories);
            }
            Record::BrokerUnregistered { broker_id, broker_epoch } => {
                head_of_broker(to, 10, *broker_id, *broker_epoch);
            }
            Record::PartitionsAdded { topic_id, partitions } => {
                head(to, 11);
                to.topic_id(*topic_id);
                write_partitions(to, partitions);
            }
            Record::QuotaChanged { entity, key, value } => {
                head(to, 12);
                [&entity.user, &entity.client_id, &entity.ip].into_iter().for_each(|name| write_entity_name(to, name));
                to.str(key.name());
                to.bool(value.is_some());
                to.u64(value.map_or(0, Amount::bits));
            }
        }
    }

    /// Reads one record; what follows it stays in the reader.
    pub fn decode(from: &mut Reader<'_>) -> Result<Record, DecodeError> {
        let tag = from.u8()?;
        let version = from.u8()?;
        if version > version_of(tag) {
            return Err(DecodeError::Unknown { what: "record version", value: version.into() });
        }
        Ok(match tag {
            1 => Record::ClusterCreated { cluster_id: from.str()?.into() },
            2 => Record::FeatureFinalized { name: from.str()?.into(), level: from.i16()? },
            3 => Record::BrokerRegistered {
                broker_id: from.broker_id()?,
                incarnation: from.uuid()?,
                broker_epoch: from.i64()?,
                endpoints: from.list(read_endpoint)?,
                rack: from.option_str()?.map(Into::into),
                fenced: version >= 1 && from.bool()?,
                directories: if version >= 1 { from.list(Reader::uuid)? } else { Vec::new() },
            },
            4 => Record::TopicCreated {
                name: from.str()?.into(),
                id: from.topic_id()?,
                partitions: from.list(|from| Partition::read(from, version))?,
            },
            5 => Record::TopicDeleted { id: from.topic_id()? },
            6 => Record::PartitionChanged {
                topic_id: from.topic_id()?,
                partition: PartitionIndex(from.i32()?),
                state: Partition::read(from, version)?,
            },
            7 => Record::ConfigChanged {
                resource: read_resource(from)?,
                name: from.str()?.into(),
                value: from.option_str()?.map(Into::into),
            },
            8 => Record::ProducerIdsAllocated { broker_id: from.broker_id()?, next_producer_id: from.producer_id()? },
            9 => Record::BrokerChanged {
                broker_id: from.broker_id()?,
                broker_epoch: from.i64()?,
                fenced: from.bool()?,
                in_controlled_shutdown: from.bool()?,
                directories: match version >= 1 && from.bool()? {
                    true => Some(from.list(Reader::uuid)?),
                    false => None,
                },
            },
            10 => Record::BrokerUnregistered { broker_id: from.broker_id()?, broker_epoch: from.i64()? },
            11 => Record::PartitionsAdded {
                topic_id: from.topic_id()?,
                // This record came when a partition's state was in its version 1.
                partitions: from.list(|from| Partition::read(from, version + 1))?,
            },
            12 => Record::QuotaChanged {
                entity: Entity {
                    user: read_entity_name(from)?,
                    client_id: read_entity_name(from)?,
                    ip: read_entity_name(from)?,
                },
                key: quota::Key::of(from.str()?).ok_or(DecodeError::Unknown { what: "quota key", value: 0 })?,
                value: {
                    let is_set = from.bool()?;
                    let bits = from.u64()?;
                    is_set.then(|| Amount::of_bits(bits))
                },
            },
            13 => Record::BrokerCordoned {
                broker_id: from.broker_id()?,
                broker_epoch: from.i64()?,
                directories: from.list(Reader::uuid)?,
            },
            _ => return Err(DecodeError::Unknown { what: "record tag", value: tag.into() }),
        })
    }

    /// The bytes of a list of records: its count, then each.
    pub fn encode_all(records: &[Record]) -> Vec<u8> {
        let mut to = Writer::new();
        to.count(records.len());
        for record in records {
            record.encode(&mut to);
        }
        to.into_bytes()
    }

    /// What [`Record::encode_all`] wrote, and nothing else.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Record>, DecodeError> {
        let mut from = Reader::new(bytes);
        let records = from.list(Record::decode)?;
        from.finish()?;
        Ok(records)
    }
}

/// The head of a record that has an effect on one registration of a broker only.
fn head_of_broker(to: &mut Writer, tag: u8, broker_id: BrokerId, broker_epoch: i64) {
    head(to, tag);
    to.broker_id(broker_id);
    to.i64(broker_epoch);
}

fn head(to: &mut Writer, tag: u8) {
    to.u8(tag);
    to.u8(version_of(tag));
}

fn write_uuids(to: &mut Writer, ids: &[Uuid]) {
    to.count(ids.len());
    ids.iter().for_each(|id| to.uuid(*id));
}

fn write_partitions(to: &mut Writer, partitions: &[Partition]) {
    to.count(partitions.len());
    for partition in partitions {
        partition.write(to);
    }
}

fn write_replicas(to: &mut Writer, replicas: &[BrokerId]) {
    to.count(replicas.len());
    for replica in replicas {
        to.broker_id(*replica);
    }
}

fn read_replicas(from: &mut Reader<'_>) -> Result<Replicas, DecodeError> {
    Ok(from.list(Reader::broker_id)?.into())
}

fn read_recovery_state(from: &mut Reader<'_>) -> Result<LeaderRecoveryState, DecodeError> {
    let number = from.u8()?;
    let state = i8::try_from(number).ok().and_then(LeaderRecoveryState::of);
    state.ok_or(DecodeError::Unknown { what: "leader recovery state", value: number.into() })
}

fn write_endpoint(to: &mut Writer, endpoint: &Endpoint) {
    to.str(&endpoint.listener);
    to.str(&endpoint.host);
    to.u16(endpoint.port);
    to.i16(endpoint.security_protocol);
}

fn read_endpoint(from: &mut Reader<'_>) -> Result<Endpoint, DecodeError> {
    Ok(Endpoint {
        listener: from.str()?.into(),
        host: from.str()?.into(),
        port: from.u16()?,
        security_protocol: from.i16()?,
    })
}

fn write_resource(to: &mut Writer, resource: &ConfigResource) {
    match resource {
        ConfigResource::Topic(name) => {
            to.u8(1);
            to.str(name);
        }
        ConfigResource::Broker(id) => {
            to.u8(2);
            to.broker_id(*id);
        }
        ConfigResource::BrokerDefault => to.u8(3),
        ConfigResource::Group(id) => {
            to.u8(4);
            to.str(id);
        }
        ConfigResource::ClientMetrics(name) => {
            to.u8(5);
            to.str(name);
        }
    }
}

fn read_resource(from: &mut Reader<'_>) -> Result<ConfigResource, DecodeError> {
    Ok(match from.u8()? {
        1 => ConfigResource::Topic(from.str()?.into()),
        2 => ConfigResource::Broker(from.broker_id()?),
        3 => ConfigResource::BrokerDefault,
        4 => ConfigResource::Group(from.str()?.into()),
        5 => ConfigResource::ClientMetrics(from.str()?.into()),
        tag => return Err(DecodeError::Unknown { what: "config resource", value: tag.into() }),
    })
}

fn write_entity_name(to: &mut Writer, name: &Option<EntityName>) {
    match name {
        None => to.u8(0),
        Some(EntityName::Default) => to.u8(1),
        Some(EntityName::Named(name)) => {
            to.u8(2);
            to.str(name);
        }
    }
}

fn read_entity_name(from: &mut Reader<'_>) -> Result<Option<EntityName>, DecodeError> {
    Ok(match from.u8()? {
        0 => None,
        1 => Some(EntityName::Default),
        2 => Some(EntityName::Named(from.str()?.into())),
        tag => return Err(DecodeError::Unknown { what: "quota entity", value: tag.into() }),
    })
}

#[cfg(test)]
pub(super) mod tests;
