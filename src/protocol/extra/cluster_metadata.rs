//! The records of Kafka's own `__cluster_metadata` (KRaft), as far as a cluster is brought over from them.
//!
//! A record is framed by `MetadataRecordSerde` of Apache Kafka 4.3.1: frame version, kind (the schema's `apiKey`) and version as
//! unsigned varints, then the fields of the schema, all flexible. Every kind and version that 4.3.1 writes is known by name, so
//! that what is passed over is passed over on purpose; any other is an error that names it.

use uuid::Uuid;

use super::fields::{Reader, RecordError};
use crate::model::TopicId;

const FRAME_VERSION: u32 = 1;

/// One record. Kinds whose content has no part in an import are [`ClusterRecord::Other`].
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterRecord {
    RegisterBroker {
        broker_id: i32,
        broker_epoch: i64,
        log_dirs: Vec<Uuid>,
    },
    UnregisterBroker {
        broker_id: i32,
    },
    /// `log_dirs` is empty when nothing is said of them.
    BrokerRegistrationChange {
        broker_id: i32,
        log_dirs: Vec<Uuid>,
    },
    Topic {
        name: String,
        id: TopicId,
    },
    RemoveTopic {
        id: TopicId,
    },
    Partition {
        topic_id: TopicId,
        partition: i32,
        state: PartitionState,
    },
    PartitionChange {
        topic_id: TopicId,
        partition: i32,
        change: PartitionChange,
    },
    /// `resource_type` is `ConfigResource.Type.id`; a value of `None` takes the setting back.
    Config {
        resource_type: i8,
        resource_name: String,
        name: String,
        value: Option<String>,
    },
    FeatureLevel {
        name: String,
        level: i16,
    },
    /// The parts of the entity by type; a name of `None` is the default of its type. A value of `None` takes the quota back.
    ClientQuota {
        entity: Vec<(String, Option<String>)>,
        key: String,
        value: Option<f64>,
    },
    ProducerIds {
        next_producer_id: i64,
    },
    AccessControlEntry {
        id: Uuid,
        is_there: bool,
    },
    UserScramCredential {
        user: String,
        mechanism: i8,
        is_there: bool,
    },
    DelegationToken {
        id: String,
        is_there: bool,
    },
    /// What follows counts only when its end comes (KIP-868).
    BeginTransaction,
    EndTransaction,
    AbortTransaction,
    Other {
        kind: &'static str,
    },
}

/// `PartitionRecord`, as far as a partition of one node needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionState {
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub elr: Vec<i32>,
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
}

/// `PartitionChangeRecord`; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    pub replicas: Option<Vec<i32>>,
    pub isr: Option<Vec<i32>>,
    pub elr: Option<Vec<i32>>,
    /// -1 is nobody.
    pub leader: Option<i32>,
}

impl PartitionState {
    /// As `PartitionRegistration.merge`: every change raises the partition's epoch, one that names a leader the leader's too.
    pub fn merge(&mut self, change: PartitionChange) {
        let PartitionChange { replicas, isr, elr, leader } = change;
        self.replicas = replicas.unwrap_or_else(|| std::mem::take(&mut self.replicas));
        self.isr = isr.unwrap_or_else(|| std::mem::take(&mut self.isr));
        self.elr = elr.unwrap_or_else(|| std::mem::take(&mut self.elr));
        if let Some(leader) = leader {
            self.leader = leader;
            self.leader_epoch += 1;
        }
        self.partition_epoch += 1;
    }
}

/// Why a record is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterRecordError {
    #[error("a metadata record has frame version {0}")]
    UnknownFrame(u32),
    #[error("a metadata record is of unknown kind {0}")]
    UnknownKind(u32),
    #[error("a {kind} has version {version}, and {known} is the last one known")]
    UnknownVersion { kind: &'static str, version: u32, known: u32 },
    #[error("a {kind} has {bytes} bytes too many")]
    TrailingBytes { kind: &'static str, bytes: usize },
    #[error("a {kind} cannot be read: {source}")]
    Field { kind: &'static str, source: RecordError },
    #[error("the frame of a metadata record cannot be read: {0}")]
    Frame(#[from] RecordError),
}

/// Kind, name and last version of every record that Apache Kafka 4.3.1 has.
const KINDS: &[(u32, &str, u32)] = &[
    (0, "RegisterBrokerRecord", 4),
    (1, "UnregisterBrokerRecord", 0),
    (2, "TopicRecord", 0),
    (3, "PartitionRecord", 2),
    (4, "ConfigRecord", 0),
    (5, "PartitionChangeRecord", 2),
    (7, "FenceBrokerRecord", 0),
    (8, "UnfenceBrokerRecord", 0),
    (9, "RemoveTopicRecord", 0),
    (10, "DelegationTokenRecord", 0),
    (11, "UserScramCredentialRecord", 0),
    (12, "FeatureLevelRecord", 0),
    (14, "ClientQuotaRecord", 0),
    (15, "ProducerIdsRecord", 0),
    (17, "BrokerRegistrationChangeRecord", 3),
    (18, "AccessControlEntryRecord", 0),
    (19, "RemoveAccessControlEntryRecord", 0),
    (20, "NoOpRecord", 0),
    (21, "ZkMigrationStateRecord", 0),
    (22, "RemoveUserScramCredentialRecord", 0),
    (23, "BeginTransactionRecord", 0),
    (24, "EndTransactionRecord", 0),
    (25, "AbortTransactionRecord", 0),
    (26, "RemoveDelegationTokenRecord", 0),
    (27, "RegisterControllerRecord", 0),
    (28, "ClearElrRecord", 0),
];

impl ClusterRecord {
    /// Reads the value of a record of the metadata log, and nothing else.
    pub fn decode(value: &[u8]) -> Result<ClusterRecord, ClusterRecordError> {
        let mut reader = Reader { bytes: value, flexible: true };
        let frame = reader.unsigned_varint("frame version")?;
        if frame != FRAME_VERSION {
            return Err(ClusterRecordError::UnknownFrame(frame));
        }
        let key = reader.unsigned_varint("kind")?;
        let version = reader.unsigned_varint("version")?;
        let Some(&(_, kind, known)) = KINDS.iter().find(|(known, ..)| *known == key) else {
            return Err(ClusterRecordError::UnknownKind(key));
        };
        if version > known {
            return Err(ClusterRecordError::UnknownVersion { kind, version, known });
        }
        let read = read_body(key, version, kind, &mut reader);
        let record = read.map_err(|source| ClusterRecordError::Field { kind, source })?;
        match (&record, reader.bytes.len()) {
            (ClusterRecord::Other { .. }, _) | (_, 0) => Ok(record),
            (_, bytes) => Err(ClusterRecordError::TrailingBytes { kind, bytes }),
        }
    }
}

fn read_body(key: u32, version: u32, kind: &'static str, from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let record = match key {
        0 => return read_registration(version, from),
        1 => {
            let broker_id = from.i32("BrokerId")?;
            from.i64("BrokerEpoch")?;
            ClusterRecord::UnregisterBroker { broker_id }
        }
        2 => ClusterRecord::Topic { name: from.string("Name")?, id: TopicId(from.uuid("TopicId")?) },
        3 => return read_partition(version, from),
        4 => ClusterRecord::Config {
            resource_type: from.i8("ResourceType")?,
            resource_name: from.string("ResourceName")?,
            name: from.string("Name")?,
            value: from.nullable_string("Value")?,
        },
        5 => return read_partition_change(from),
        9 => ClusterRecord::RemoveTopic { id: TopicId(from.uuid("TopicId")?) },
        10 | 11 | 18 | 19 | 22 | 26 => return read_security(key, from),
        12 => ClusterRecord::FeatureLevel { name: from.string("Name")?, level: from.i16("FeatureLevel")? },
        14 => return read_quota(from),
        15 => {
            from.i32("BrokerId")?;
            from.i64("BrokerEpoch")?;
            ClusterRecord::ProducerIds { next_producer_id: from.i64("NextProducerId")? }
        }
        17 => return read_registration_change(from),
        // Their only field, if any, is a tag with a name or a reason for people.
        23 => ClusterRecord::BeginTransaction,
        24 => ClusterRecord::EndTransaction,
        25 => ClusterRecord::AbortTransaction,
        _ => return Ok(ClusterRecord::Other { kind }),
    };
    from.tags(|_, _| {})?;
    Ok(record)
}

fn uuids(from: &mut Reader<'_>) -> Result<Vec<Uuid>, RecordError> {
    from.list("directories", |from| from.uuid("directory"))
}

fn ids(field: &'static str, from: &mut Reader<'_>) -> Result<Vec<i32>, RecordError> {
    from.list(field, |from| from.i32(field))
}

/// Reads tags of which each is a value of its own; the first error counts.
fn tags(
    from: &mut Reader<'_>,
    mut on_tag: impl FnMut(u32, &mut Reader<'_>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut failed = Ok(());
    from.tags(|tag, data| {
        if failed.is_ok() {
            failed = on_tag(tag, &mut Reader { bytes: data, flexible: true });
        }
    })?;
    failed
}

fn read_registration(version: u32, from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let broker_id = from.i32("BrokerId")?;
    if version >= 2 {
        from.bool("IsMigratingZkBroker")?;
    }
    from.uuid("IncarnationId")?;
    let broker_epoch = from.i64("BrokerEpoch")?;
    from.list("EndPoints", |from| {
        from.string("Name")?;
        from.string("Host")?;
        from.i16("Port")?;
        from.i16("SecurityProtocol")?;
        from.tags(|_, _| {})
    })?;
    from.list("Features", |from| {
        from.string("Name")?;
        from.i16("MinSupportedVersion")?;
        from.i16("MaxSupportedVersion")?;
        from.tags(|_, _| {})
    })?;
    from.nullable_string("Rack")?;
    from.bool("Fenced")?;
    if version >= 1 {
        from.bool("InControlledShutdown")?;
    }
    let mut log_dirs = Vec::new();
    tags(from, |tag, data| {
        if tag == 0 {
            log_dirs = uuids(data)?;
        }
        Ok(())
    })?;
    Ok(ClusterRecord::RegisterBroker { broker_id, broker_epoch, log_dirs })
}

fn read_registration_change(from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let broker_id = from.i32("BrokerId")?;
    from.i64("BrokerEpoch")?;
    let mut log_dirs = Vec::new();
    tags(from, |tag, data| {
        if tag == 2 {
            log_dirs = uuids(data)?;
        }
        Ok(())
    })?;
    Ok(ClusterRecord::BrokerRegistrationChange { broker_id, log_dirs })
}

fn read_partition(version: u32, from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let partition = from.i32("PartitionId")?;
    let topic_id = TopicId(from.uuid("TopicId")?);
    let (replicas, isr) = (ids("Replicas", from)?, ids("Isr", from)?);
    ids("RemovingReplicas", from)?;
    ids("AddingReplicas", from)?;
    let leader = from.i32("Leader")?;
    let (leader_epoch, partition_epoch) = (from.i32("LeaderEpoch")?, from.i32("PartitionEpoch")?);
    if version >= 1 {
        uuids(from)?;
    }
    let mut elr = Vec::new();
    tags(from, |tag, data| {
        if tag == 1 {
            elr = nullable_ids("EligibleLeaderReplicas", data)?.unwrap_or_default();
        }
        Ok(())
    })?;
    let state = PartitionState { replicas, isr, elr, leader, leader_epoch, partition_epoch };
    Ok(ClusterRecord::Partition { topic_id, partition, state })
}

fn nullable_ids(field: &'static str, from: &mut Reader<'_>) -> Result<Option<Vec<i32>>, RecordError> {
    from.nullable_list(field, |from| from.i32(field))
}

fn read_partition_change(from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let partition = from.i32("PartitionId")?;
    let topic_id = TopicId(from.uuid("TopicId")?);
    let mut change = PartitionChange::default();
    tags(from, |tag, data| {
        match tag {
            0 => change.isr = nullable_ids("Isr", data)?,
            // -2 says that the leader stays.
            1 => change.leader = Some(data.i32("Leader")?).filter(|leader| *leader != -2),
            2 => change.replicas = nullable_ids("Replicas", data)?,
            6 => change.elr = nullable_ids("EligibleLeaderReplicas", data)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(ClusterRecord::PartitionChange { topic_id, partition, change })
}

fn read_quota(from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let entity = from.list("Entity", |from| {
        let part = (from.string("EntityType")?, from.nullable_string("EntityName")?);
        from.tags(|_, _| {})?;
        Ok(part)
    })?;
    let (key, value, is_removed) = (from.string("Key")?, from.f64("Value")?, from.bool("Remove")?);
    from.tags(|_, _| {})?;
    Ok(ClusterRecord::ClientQuota { entity, key, value: (!is_removed).then_some(value) })
}

/// Who may do what: only that it is there, since none of it is brought over.
fn read_security(key: u32, from: &mut Reader<'_>) -> Result<ClusterRecord, RecordError> {
    let record = match key {
        18 | 19 => {
            let id = from.uuid("Id")?;
            if key == 18 {
                from.i8("ResourceType")?;
                from.string("ResourceName")?;
                from.i8("PatternType")?;
                from.string("Principal")?;
                from.string("Host")?;
                from.i8("Operation")?;
                from.i8("PermissionType")?;
            }
            ClusterRecord::AccessControlEntry { id, is_there: key == 18 }
        }
        11 | 22 => {
            let (user, mechanism) = (from.string("Name")?, from.i8("Mechanism")?);
            if key == 11 {
                for field in ["Salt", "StoredKey", "ServerKey"] {
                    from.bytes(field)?;
                }
                from.i32("Iterations")?;
            }
            ClusterRecord::UserScramCredential { user, mechanism, is_there: key == 11 }
        }
        10 => {
            from.string("Owner")?;
            from.string("Requester")?;
            from.list("Renewers", |from| from.string("Renewer"))?;
            for field in ["IssueTimestamp", "MaxTimestamp", "ExpirationTimestamp"] {
                from.i64(field)?;
            }
            ClusterRecord::DelegationToken { id: from.string("TokenId")?, is_there: true }
        }
        _ => ClusterRecord::DelegationToken { id: from.string("TokenId")?, is_there: false },
    };
    from.tags(|_, _| {})?;
    Ok(record)
}

/// How many voters a `VotersRecord` names: the value of a control record of type KRAFT_VOTERS (KIP-853).
pub fn voter_count(value: &[u8]) -> Result<usize, RecordError> {
    let mut reader = Reader { bytes: value, flexible: true };
    reader.i16("Version")?;
    reader.count("Voters")
}

#[cfg(test)]
mod tests;
