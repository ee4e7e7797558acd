//! Records as Apache Kafka 4.3.1 has written them, and broken ones.

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

const REGISTRATION: &str = "0100040000000100ebd08e7d5d33453092368d6e59c7075d000000000000000d020a504c41494e544558540a3132372e302e302e314c2c\
     00000008116d657461646174612e76657273696f6e0007001e000e73686172652e76657273696f6e00000001000e6b726166742e76657273696f6e0000\
     0001000e67726f75702e76657273696f6e00000001001073747265616d732e76657273696f6e0000000100147472616e73616374696f6e2e7665727369\
     6f6e000000020021656c696769626c652e6c65616465722e7265706c696361732e76657273696f6e000000010000010001001102e2d5b7a1c8424913a8\
     8abafd3cca90fd";
const PARTITION: &str = "0103020000002e2e9d044a7d3f46de815bda9df6d430c1020000000102000000010101000000010000000000000000021caf640457661e65e531\
     d14d7636704800";
/// What a clean stop of the only broker leaves: nobody leads, nobody is in sync, and it is an eligible leader.
const LEFT_ALONE: &str =
    "0105020000002a2e9d044a7d3f46de815bda9df6d430c1040001010104ffffffff0605020000000107050200000001";

fn id(text: &str) -> Uuid {
    text.parse().expect("an id")
}

/// One of each kind, but for quotas, from the logs of real nodes.
fn written() -> Vec<(&'static str, ClusterRecord)> {
    let topic_id = TopicId(id("2e9d044a-7d3f-46de-815b-da9df6d430c1"));
    let directory = id("e2d5b7a1-c842-4913-a88a-bafd3cca90fd");
    let state = PartitionState { replicas: vec![1], isr: vec![1], leader: 1, ..PartitionState::default() };
    let (isr, elr) = (Some(Vec::new()), Some(vec![1]));
    let left = PartitionChange { isr, elr, leader: Some(-1), ..PartitionChange::default() };
    let changed = |partition, change| ClusterRecord::PartitionChange { topic_id, partition, change };
    let back =
        PartitionChange { isr: Some(vec![1]), elr: Some(Vec::new()), leader: Some(1), ..PartitionChange::default() };
    vec![
        (REGISTRATION, ClusterRecord::RegisterBroker { broker_id: 1, broker_epoch: 13, log_dirs: vec![directory] }),
        (
            "010200027469bdc39d46274dfa94ca798d7528984c00",
            ClusterRecord::Topic { name: "t".into(), id: TopicId(id("69bdc39d-4627-4dfa-94ca-798d7528984c")) },
        ),
        (PARTITION, ClusterRecord::Partition { topic_id, partition: 46, state }),
        (
            "010400040231056e6f7065023200",
            ClusterRecord::Config {
                resource_type: 4,
                resource_name: "1".into(),
                name: "nope".into(),
                value: Some("2".into()),
            },
        ),
        (LEFT_ALONE, changed(42, left)),
        ("010502000000092e9d044a7d3f46de815bda9df6d430c10400050200000001010400000001060101070101", changed(9, back)),
        (
            "010900e70fdca284814c2cbc163abdfb0df40200",
            ClusterRecord::RemoveTopic { id: TopicId(id("e70fdca2-8481-4c2c-bc16-3abdfb0df402")) },
        ),
        (
            "010c00147472616e73616374696f6e2e76657273696f6e000200",
            ClusterRecord::FeatureLevel { name: "transaction.version".into(), level: 2 },
        ),
        ("010f0000000001000000000000001100000000000003e800", ClusterRecord::ProducerIds { next_producer_id: 1000 }),
        (
            "01110300000001000000000000135c01030101",
            ClusterRecord::BrokerRegistrationChange { broker_id: 1, log_dirs: Vec::new() },
        ),
        ("01140000", ClusterRecord::Other { kind: "NoOpRecord" }),
        ("01170001001212426f6f747374726170207265636f726473", ClusterRecord::BeginTransaction),
        ("01180000", ClusterRecord::EndTransaction),
    ]
}

#[test]
fn what_kafka_has_written_is_read() {
    for (bytes, expected) in written() {
        assert_eq!(ClusterRecord::decode(&unhex(bytes)), Ok(expected), "{bytes}");
    }
}

#[test]
fn quotas_and_what_is_secret_are_read_field_by_field() {
    // A user's default client: entity [(user, alice), (client-id, null)], key, 1.5, not removed.
    let quota = "010e00 03 05 75736572 06 616c696365 00 0a 636c69656e742d6964 00 00 02 6b 3ff8000000000000";
    let entity = vec![("user".to_owned(), Some("alice".to_owned())), ("client-id".to_owned(), None)];
    let set = ClusterRecord::ClientQuota { entity: entity.clone(), key: "k".into(), value: Some(1.5) };
    assert_eq!(ClusterRecord::decode(&unhex(&format!("{quota} 00 00"))), Ok(set));
    let gone = ClusterRecord::ClientQuota { entity, key: "k".into(), value: None };
    assert_eq!(ClusterRecord::decode(&unhex(&format!("{quota} 01 00"))), Ok(gone));
    let one = "00000000000000000000000000000001";
    let acl = format!("011200 {one} 02 02 74 03 02 61 02 2a 03 03 00");
    let there = |is_there| ClusterRecord::AccessControlEntry { id: Uuid::from_u128(1), is_there };
    assert_eq!(ClusterRecord::decode(&unhex(&acl)), Ok(there(true)));
    assert_eq!(ClusterRecord::decode(&unhex(&format!("011300 {one} 00"))), Ok(there(false)));
    let scram = |is_there| ClusterRecord::UserScramCredential { user: "a".into(), mechanism: 1, is_there };
    assert_eq!(ClusterRecord::decode(&unhex("010b00 02 61 01 02 01 02 02 02 03 00001000 00")), Ok(scram(true)));
    assert_eq!(ClusterRecord::decode(&unhex("011600 02 61 01 00")), Ok(scram(false)));
    let token = |is_there| ClusterRecord::DelegationToken { id: "t".into(), is_there };
    let times = "0000000000000001".repeat(3);
    assert_eq!(
        ClusterRecord::decode(&unhex(&format!("010a00 02 61 02 61 02 02 62 {times} 02 74 00"))),
        Ok(token(true))
    );
    assert_eq!(ClusterRecord::decode(&unhex("011a00 02 74 00")), Ok(token(false)));
    assert_eq!(voter_count(&unhex("0000 03")), Ok(2));
}

#[test]
fn every_cut_is_an_error_and_so_is_a_byte_too_many() {
    for (text, record) in written() {
        if matches!(record, ClusterRecord::Other { .. }) {
            continue;
        }
        let bytes = unhex(text);
        for cut in 0..bytes.len() {
            assert!(ClusterRecord::decode(&bytes[..cut]).is_err(), "{text} cut to {cut}");
        }
        let longer = [bytes, vec![0]].concat();
        assert!(matches!(ClusterRecord::decode(&longer), Err(ClusterRecordError::TrailingBytes { bytes: 1, .. })));
    }
}

#[test]
fn kinds_and_versions_of_a_later_kafka_are_named() {
    let decode = |text: &str| ClusterRecord::decode(&unhex(text)).expect_err("it is not known").to_string();
    assert_eq!(decode("016300"), "a metadata record is of unknown kind 99");
    assert_eq!(decode("010303"), "a PartitionRecord has version 3, and 2 is the last one known");
    assert_eq!(decode("020300"), "a metadata record has frame version 2");
}

#[test]
fn changes_raise_epochs_as_in_kafka() {
    let mut state = PartitionState { replicas: vec![1], isr: vec![1], leader: 1, ..PartitionState::default() };
    let left = PartitionChange { isr: Some(Vec::new()), elr: Some(vec![1]), leader: Some(-1), replicas: None };
    state.merge(left);
    assert_eq!((state.leader, state.leader_epoch, state.partition_epoch), (-1, 1, 1));
    state.merge(PartitionChange { isr: Some(vec![1]), ..PartitionChange::default() });
    assert_eq!((state.leader, state.leader_epoch, state.partition_epoch), (-1, 1, 2));
    assert_eq!((state.replicas, state.isr, state.elr), (vec![1], vec![1], vec![1]));
}
