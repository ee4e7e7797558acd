//! Metadata records and their bytes: what the quorum agrees on, one fact each.
//!
//! Format: tag `u8`, version `u8`, then the fields of that version. A tag or version that is not known is an error, never
//! skipped: a node that cannot replay a fact must not act on an image without it. The checksum is the log's.

use smallvec::SmallVec;
use uuid::Uuid;

use super::bytes::{DecodeError, Reader, Writer};
use crate::model::{BrokerId, LeaderEpoch, PartitionIndex, ProducerId, TopicId};

/// Brokers of one partition, in order of preference; up to four are held without an allocation.
pub type Replicas = SmallVec<[BrokerId; 4]>;

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
    /// In-sync replicas; in a state that was ever served it is a non-empty subset of `replicas`.
    pub isr: Replicas,
}

impl Partition {
    /// Kafka's `LeaderConstants.NO_LEADER`.
    pub const NO_LEADER: BrokerId = BrokerId(-1);

    /// A new partition whose replicas are all in sync, led by the first.
    pub fn created(replicas: Replicas) -> Partition {
        Partition {
            leader: replicas.first().copied().unwrap_or(Partition::NO_LEADER),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            isr: replicas.clone(),
            replicas,
        }
    }

    fn write(&self, to: &mut Writer) {
        to.broker_id(self.leader);
        to.leader_epoch(self.leader_epoch);
        to.i32(self.partition_epoch);
        write_replicas(to, &self.replicas);
        write_replicas(to, &self.isr);
    }

    fn read(from: &mut Reader<'_>) -> Result<Partition, DecodeError> {
        Ok(Partition {
            leader: from.broker_id()?,
            leader_epoch: from.leader_epoch()?,
            partition_epoch: from.i32()?,
            replicas: from.list(Reader::broker_id)?.into(),
            isr: from.list(Reader::broker_id)?.into(),
        })
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
    /// A broker started. Replay raises the leader epoch of every partition it leads, so that what an earlier incarnation
    /// wrote and what this one writes are told apart without a record for each partition.
    BrokerRegistered {
        broker_id: BrokerId,
        /// Chosen anew by every start of the process.
        incarnation: Uuid,
        /// Above every earlier broker epoch (KIP-841).
        broker_epoch: i64,
        endpoints: Vec<Endpoint>,
        rack: Option<String>,
    },
    /// A topic with all its partitions, from 0 on.
    TopicCreated { name: String, id: TopicId, partitions: Vec<Partition> },
    /// The topic and everything that belongs to it, its settings included, is gone.
    TopicDeleted { id: TopicId },
    /// The new state of one partition.
    PartitionChanged { topic_id: TopicId, partition: PartitionIndex, state: Partition },
    /// A setting got a value, or lost it (`None`).
    ConfigChanged { resource: ConfigResource, name: String, value: Option<String> },
    /// All producer ids below this one belong to some broker (KIP-730).
    ProducerIdsAllocated { broker_id: BrokerId, next_producer_id: ProducerId },
}

/// The only version of every record so far.
const VERSION: u8 = 0;

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
            Record::BrokerRegistered { broker_id, incarnation, broker_epoch, endpoints, rack } => {
                head(to, 3);
                to.broker_id(*broker_id);
                to.uuid(*incarnation);
                to.i64(*broker_epoch);
                to.count(endpoints.len());
                for endpoint in endpoints {
                    write_endpoint(to, endpoint);
                }
                to.option_str(rack.as_deref());
            }
            Record::TopicCreated { name, id, partitions } => {
                head(to, 4);
                to.str(name);
                to.topic_id(*id);
                to.count(partitions.len());
                for partition in partitions {
                    partition.write(to);
                }
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
        }
    }

    /// Reads one record; what follows it stays in the reader.
    pub fn decode(from: &mut Reader<'_>) -> Result<Record, DecodeError> {
        let tag = from.u8()?;
        let version = from.u8()?;
        if version != VERSION {
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
            },
            4 => Record::TopicCreated {
                name: from.str()?.into(),
                id: from.topic_id()?,
                partitions: from.list(Partition::read)?,
            },
            5 => Record::TopicDeleted { id: from.topic_id()? },
            6 => Record::PartitionChanged {
                topic_id: from.topic_id()?,
                partition: PartitionIndex(from.i32()?),
                state: Partition::read(from)?,
            },
            7 => Record::ConfigChanged {
                resource: read_resource(from)?,
                name: from.str()?.into(),
                value: from.option_str()?.map(Into::into),
            },
            8 => Record::ProducerIdsAllocated { broker_id: from.broker_id()?, next_producer_id: from.producer_id()? },
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

fn head(to: &mut Writer, tag: u8) {
    to.u8(tag);
    to.u8(VERSION);
}

fn write_replicas(to: &mut Writer, replicas: &[BrokerId]) {
    to.count(replicas.len());
    for replica in replicas {
        to.broker_id(*replica);
    }
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

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_of_each() -> Vec<Record> {
        let partition = Partition::created([BrokerId(1), BrokerId(2)].into_iter().collect());
        vec![
            Record::ClusterCreated { cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".into() },
            Record::FeatureFinalized { name: "metadata.version".into(), level: 30 },
            Record::BrokerRegistered {
                broker_id: BrokerId(1),
                incarnation: Uuid::from_u128(7),
                broker_epoch: 3,
                endpoints: vec![Endpoint {
                    listener: "PLAINTEXT".into(),
                    host: "::1".into(),
                    port: 9092,
                    security_protocol: 0,
                }],
                rack: Some("r".into()),
            },
            Record::TopicCreated {
                name: "t".into(),
                id: TopicId(Uuid::from_u128(9)),
                partitions: vec![partition.clone()],
            },
            Record::TopicDeleted { id: TopicId(Uuid::from_u128(9)) },
            Record::PartitionChanged {
                topic_id: TopicId(Uuid::from_u128(9)),
                partition: PartitionIndex(0),
                state: partition,
            },
            Record::ConfigChanged {
                resource: ConfigResource::Topic("t".into()),
                name: "retention.ms".into(),
                value: Some("1".into()),
            },
            Record::ConfigChanged { resource: ConfigResource::BrokerDefault, name: "x".into(), value: None },
            Record::ProducerIdsAllocated { broker_id: BrokerId(1), next_producer_id: ProducerId(1000) },
        ]
    }

    #[test]
    fn every_record_survives_its_bytes() {
        let records = one_of_each();
        assert_eq!(Record::decode_all(&Record::encode_all(&records)), Ok(records));
    }

    #[test]
    fn a_cut_record_is_refused_at_every_length() {
        let bytes = Record::encode_all(&one_of_each());
        for len in 0..bytes.len() {
            assert!(Record::decode_all(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_refused() {
        let mut bytes = Record::encode_all(&one_of_each()[..1]);
        bytes[5] = 1;
        assert_eq!(Record::decode_all(&bytes), Err(DecodeError::Unknown { what: "record version", value: 1 }));
    }

    #[test]
    fn the_format_of_a_topic_is_fixed() {
        let record = Record::TopicCreated {
            name: "t".into(),
            id: TopicId(Uuid::from_u128(1)),
            partitions: vec![Partition::created([BrokerId(5)].into_iter().collect())],
        };
        let mut to = Writer::new();
        record.encode(&mut to);
        let expected: Vec<u8> = [
            &[4, 0][..],
            &[0, 0, 0, 1, b't'],
            &1u128.to_be_bytes(),
            &[0, 0, 0, 1],
            &[0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0, 5],
            &[0, 0, 0, 1, 0, 0, 0, 5],
        ]
        .concat();
        assert_eq!(to.into_bytes(), expected);
    }

    proptest! {
        #[test]
        fn bytes_from_anywhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::decode_all(&bytes);
        }
    }
}
