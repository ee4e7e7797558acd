//! The bytes of records: every one survives them, what older versions wrote can be read, and nothing else can.

use proptest::prelude::*;

use super::*;

fn one_of_each() -> Vec<Record> {
    let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect::<Replicas>();
    let partition = Partition {
        leader: BrokerId(2),
        leader_epoch: LeaderEpoch(5),
        partition_epoch: 6,
        replicas: ids(&[1, 2, 3, 4, 5]),
        isr: ids(&[2]),
        adding_replicas: ids(&[5]),
        removing_replicas: ids(&[1]),
        elr: ids(&[3]),
        last_known_elr: ids(&[4]),
        leader_recovery_state: LeaderRecoveryState::Recovering,
        directories: vec![(BrokerId(2), Uuid::from_u128(10)), (BrokerId(3), Uuid::from_u128(11))],
    };
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
            fenced: true,
            directories: vec![Uuid::from_u128(8)],
        },
        Record::BrokerChanged {
            broker_id: BrokerId(1),
            broker_epoch: 3,
            fenced: false,
            in_controlled_shutdown: true,
            directories: None,
        },
        Record::BrokerChanged {
            broker_id: BrokerId(1),
            broker_epoch: 3,
            fenced: true,
            in_controlled_shutdown: false,
            directories: Some(vec![Uuid::from_u128(8)]),
        },
        Record::BrokerCordoned {
            broker_id: BrokerId(1),
            broker_epoch: 3,
            directories: vec![Uuid::from_u128(8), Uuid::from_u128(9)],
        },
        Record::BrokerUnregistered { broker_id: BrokerId(1), broker_epoch: 3 },
        Record::PartitionsAdded { topic_id: TopicId(Uuid::from_u128(9)), partitions: vec![partition.clone()] },
        Record::TopicCreated { name: "t".into(), id: TopicId(Uuid::from_u128(9)), partitions: vec![partition.clone()] },
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
        Record::QuotaChanged {
            entity: Entity {
                user: Some(EntityName::Default),
                client_id: Some(EntityName::Named("c".into())),
                ip: None,
            },
            key: quota::Key::RequestPercentage,
            value: Some(Amount::new(0.5)),
        },
        Record::QuotaChanged { entity: Entity::default(), key: quota::Key::ConnectionCreationRate, value: None },
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

/// A topic `t` of one partition that broker 5 leads, and a start of broker 5.
fn fixed(directories: Vec<Uuid>, fenced: bool) -> Vec<Record> {
    let partition = Partition::created([BrokerId(5)].into_iter().collect());
    let id = TopicId(Uuid::from_u128(1));
    vec![
        Record::TopicCreated { name: "t".into(), id, partitions: vec![partition.clone()] },
        Record::PartitionChanged { topic_id: id, partition: PartitionIndex(7), state: partition },
        Record::BrokerRegistered {
            broker_id: BrokerId(5),
            incarnation: Uuid::from_u128(2),
            broker_epoch: 3,
            endpoints: Vec::new(),
            rack: None,
            fenced,
            directories,
        },
    ]
}

/// Leader, leader epoch, partition epoch, replicas, ISR: the state of a partition in version 0.
const PARTITION_V0: [u8; 28] = [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 5];

#[test]
fn what_version_0_wrote_is_read() {
    let id = 1u128.to_be_bytes();
    let bytes = [
        &[0, 0, 0, 3][..],
        &[4, 0, 0, 0, 0, 1, b't'],
        &id,
        &[0, 0, 0, 1],
        &PARTITION_V0,
        &[6, 0],
        &id,
        &[0, 0, 0, 7],
        &PARTITION_V0,
        &[3, 0, 0, 0, 0, 5],
        &2u128.to_be_bytes(),
        &3u64.to_be_bytes(),
        &[0, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(Record::decode_all(&bytes), Ok(fixed(Vec::new(), false)));
}

/// What version 1 adds to a partition: adding, removing, ELR, last known ELR. Version 2 adds its leader's recovery state,
/// version 3 its directories.
const LISTS: [u8; 16] = [0; 16];

#[test]
fn partitions_of_version_1_are_read() {
    let id = 1u128.to_be_bytes();
    let bytes = [
        &[0, 0, 0, 2][..],
        &[4, 1, 0, 0, 0, 1, b't'],
        &id,
        &[0, 0, 0, 1],
        &PARTITION_V0,
        &LISTS,
        // The record of added partitions came with version 1 of the partition, and was in its own version 0 then.
        &[11, 0],
        &id,
        &[0, 0, 0, 1],
        &PARTITION_V0,
        &LISTS,
    ]
    .concat();
    let partitions = vec![Partition::created([BrokerId(5)].into_iter().collect())];
    let id = TopicId(Uuid::from_u128(1));
    let expected = vec![
        Record::TopicCreated { name: "t".into(), id, partitions: partitions.clone() },
        Record::PartitionsAdded { topic_id: id, partitions },
    ];
    assert_eq!(Record::decode_all(&bytes), Ok(expected));
}

#[test]
fn what_came_before_directories_were_told_is_read() {
    let id = 1u128.to_be_bytes();
    let bytes = [
        &[0, 0, 0, 3][..],
        &[6, 2],
        &id,
        &[0, 0, 0, 7],
        &PARTITION_V0,
        &LISTS,
        &[0],
        &[11, 1],
        &id,
        &[0, 0, 0, 1],
        &PARTITION_V0,
        &LISTS,
        &[0],
        &[9, 0, 0, 0, 0, 5],
        &3u64.to_be_bytes(),
        &[1, 0],
    ]
    .concat();
    let state = Partition::created([BrokerId(5)].into_iter().collect());
    let topic_id = TopicId(Uuid::from_u128(1));
    let (broker_id, broker_epoch) = (BrokerId(5), 3);
    let expected = vec![
        Record::PartitionChanged { topic_id, partition: PartitionIndex(7), state: state.clone() },
        Record::PartitionsAdded { topic_id, partitions: vec![state] },
        Record::BrokerChanged {
            broker_id,
            broker_epoch,
            fenced: true,
            in_controlled_shutdown: false,
            directories: None,
        },
    ];
    assert_eq!(Record::decode_all(&bytes), Ok(expected));
}

#[test]
fn the_format_is_fixed() {
    let id = 1u128.to_be_bytes();
    let bytes = [
        &[0, 0, 0, 3][..],
        &[4, 3, 0, 0, 0, 1, b't'],
        &id,
        &[0, 0, 0, 1],
        &PARTITION_V0,
        &LISTS,
        &[0, 0, 0, 0, 0],
        &[6, 3],
        &id,
        &[0, 0, 0, 7],
        &PARTITION_V0,
        &LISTS,
        &[0, 0, 0, 0, 0],
        &[3, 1, 0, 0, 0, 5],
        &2u128.to_be_bytes(),
        &3u64.to_be_bytes(),
        &[0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 1],
        &4u128.to_be_bytes(),
    ]
    .concat();
    assert_eq!(Record::encode_all(&fixed(vec![Uuid::from_u128(4)], true)), bytes);
}

proptest! {
    #[test]
    fn bytes_from_anywhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::decode_all(&bytes);
    }
}
