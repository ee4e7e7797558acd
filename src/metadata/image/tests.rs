//! Replay: a snapshot and what follows it amount to the whole log, and a delta names what changed, all of it and no more.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Few names and ids, so that records meet.
fn topic_id() -> impl Strategy<Value = TopicId> {
    (0u128..6).prop_map(|number| TopicId(Uuid::from_u128(number)))
}

fn broker_id() -> impl Strategy<Value = BrokerId> {
    (1i32..4).prop_map(BrokerId)
}

fn partition() -> impl Strategy<Value = Partition> {
    let replicas = prop::collection::vec(broker_id(), 1..4).prop_map(|ids| ids.into_iter().collect());
    (broker_id(), 0i32..5, 0i32..5, replicas).prop_map(|(leader, epoch, partition_epoch, replicas)| Partition {
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch,
        ..Partition::created_in_sync(replicas, std::iter::once(leader).collect())
    })
}

fn resource() -> impl Strategy<Value = ConfigResource> {
    prop_oneof![
        (0u8..6).prop_map(|number| ConfigResource::Topic(format!("t{number}"))),
        broker_id().prop_map(ConfigResource::Broker),
        Just(ConfigResource::BrokerDefault),
        Just(ConfigResource::Group("g".into())),
        Just(ConfigResource::ClientMetrics("m".into())),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        1 => Just(Record::ClusterCreated { cluster_id: "c".into() }),
        1 => ("[ab]", 0i16..3).prop_map(|(name, level)| Record::FeatureFinalized { name, level }),
        // The epoch is filled in by `history`.
        2 => (broker_id(), any::<u128>()).prop_map(|(broker_id, number)| Record::BrokerRegistered {
            broker_id,
            incarnation: Uuid::from_u128(number),
            broker_epoch: 0,
            endpoints: Vec::new(),
            rack: None,
            fenced: number % 2 == 0,
            directories: Vec::new(),
        }),
        2 => (broker_id(), 0i64..20, any::<bool>(), any::<bool>())
            .prop_map(|(broker_id, broker_epoch, fenced, in_controlled_shutdown)| Record::BrokerChanged {
                broker_id,
                broker_epoch,
                fenced,
                in_controlled_shutdown,
                directories: fenced.then(|| vec![Uuid::from_u128(1)]),
            }),
        1 => (broker_id(), 0i64..20, prop::collection::vec(any::<u8>(), 0..3))
            .prop_map(|(broker_id, broker_epoch, ids)| Record::BrokerCordoned {
                broker_id,
                broker_epoch,
                directories: ids.into_iter().map(|id| Uuid::from_u128(id.into())).collect(),
            }),
        1 => (broker_id(), 0i64..20)
            .prop_map(|(broker_id, broker_epoch)| Record::BrokerUnregistered { broker_id, broker_epoch }),
        2 => (topic_id(), prop::collection::vec(partition(), 1..3))
            .prop_map(|(topic_id, partitions)| Record::PartitionsAdded { topic_id, partitions }),
        4 => (0u8..6, topic_id(), prop::collection::vec(partition(), 1..4))
            .prop_map(|(number, id, partitions)| Record::TopicCreated { name: format!("t{number}"), id, partitions }),
        2 => topic_id().prop_map(|id| Record::TopicDeleted { id }),
        4 => (topic_id(), -1i32..4, partition())
            .prop_map(|(topic_id, index, state)| Record::PartitionChanged {
                topic_id,
                partition: PartitionIndex(index),
                state,
            }),
        4 => (resource(), "[kl]", prop::option::of("[vw]"))
            .prop_map(|(resource, name, value)| Record::ConfigChanged { resource, name, value }),
        1 => (broker_id(), 0i64..9)
            .prop_map(|(broker_id, next)| Record::ProducerIdsAllocated { broker_id, next_producer_id: ProducerId(next) }),
    ]
}

/// Records as a controller could have written them, as far as epochs go.
fn history() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec(record(), 0..60).prop_map(|mut records| {
        for (index, record) in (1..).zip(&mut records) {
            if let Record::BrokerRegistered { broker_epoch, .. } = record {
                *broker_epoch = index;
            }
        }
        records
    })
}

fn replay(image: &mut Image, records: &[Record]) -> Delta {
    let mut delta = Delta::default();
    records.iter().for_each(|record| image.apply(record, &mut delta));
    delta
}

fn ids(image: &Image) -> BTreeSet<TopicId> {
    image.topics().map(|topic| topic.id).collect()
}

/// Partitions of topics in both images whose state is not the same.
fn changed(old: &Image, new: &Image) -> BTreeSet<(TopicId, PartitionIndex)> {
    let mut changed = BTreeSet::new();
    for topic in new.topics() {
        let Some(before) = old.topic_by_id(topic.id) else { continue };
        for (index, (left, right)) in (0..).zip(before.partitions.iter().zip(&topic.partitions)) {
            if left != right {
                changed.insert((topic.id, PartitionIndex(index)));
            }
        }
    }
    changed
}

proptest! {
    #[test]
    fn a_snapshot_and_the_rest_of_the_log_are_the_log(records in history(), cut in any::<prop::sample::Index>()) {
        let (head, tail) = records.split_at(cut.index(records.len() + 1));
        let mut whole = Image::default();
        replay(&mut whole, &records);

        let mut snapshotted = Image::default();
        replay(&mut snapshotted, head);
        let bytes = Record::encode_all(&snapshotted.to_records());
        let mut restored = Image::default();
        replay(&mut restored, &Record::decode_all(&bytes).expect("our own bytes"));
        prop_assert_eq!(&restored, &snapshotted);
        replay(&mut restored, tail);
        prop_assert_eq!(restored, whole);
    }

    #[test]
    fn a_delta_names_what_changed(head in history(), tail in history()) {
        let mut old = Image::default();
        replay(&mut old, &head);
        let mut new = old.clone();
        let delta = replay(&mut new, &tail);
        // An id that was deleted is never given again, so a history that does so says nothing about deltas.
        let deleted: BTreeSet<TopicId> = delta.topics_deleted.iter().map(|topic| topic.id).collect();
        prop_assume!(deleted.is_disjoint(&delta.topics_created));

        prop_assert_eq!(&delta.topics_created, &(&ids(&new) - &ids(&old)));
        prop_assert_eq!(&deleted, &(&ids(&old) - &ids(&new)));
        prop_assert!(changed(&old, &new).is_subset(&delta.partitions_changed));
        // Two images tell the same as the records between them, and no more.
        let exact = Delta::between(&old, &new);
        prop_assert_eq!(&exact.topics_created, &delta.topics_created);
        prop_assert_eq!(exact.topics_deleted.len(), deleted.len());
        prop_assert!(exact.topics_deleted.iter().all(|topic| old.topic_by_id(topic.id) == Some(topic)));
        prop_assert!(changed(&old, &new).is_subset(&exact.partitions_changed));
        prop_assert!(exact.partitions_changed.is_subset(&delta.partitions_changed));
        prop_assert!(exact.configs_changed.is_subset(&delta.configs_changed));
        prop_assert!(exact.brokers_changed.is_subset(&delta.brokers_changed));
        for (resource, configs) in old.configured().chain(new.configured()) {
            let same = old.configs(resource) == new.configs(resource);
            prop_assert!(same || delta.configs_changed.contains(resource), "{:?} {:?}", resource, configs);
        }
    }
}

#[test]
fn one_record_raises_the_epochs_of_all_that_a_broker_leads() {
    let led_by =
        |leader| Partition { leader: BrokerId(leader), ..Partition::created([BrokerId(1)].into_iter().collect()) };
    let id = TopicId(Uuid::from_u128(1));
    let mut image = Image::default();
    let created = Record::TopicCreated { name: "t".into(), id, partitions: vec![led_by(1), led_by(2)] };
    replay(&mut image, &[created]);
    let registered = Record::BrokerRegistered {
        broker_id: BrokerId(1),
        incarnation: Uuid::nil(),
        broker_epoch: 1,
        endpoints: Vec::new(),
        rack: None,
        fenced: false,
        directories: Vec::new(),
    };
    let delta = replay(&mut image, &[registered]);
    let epochs: Vec<(i32, i32)> = image
        .topic("t")
        .expect("created above")
        .partitions
        .iter()
        .map(|partition| (partition.leader_epoch.0, partition.partition_epoch))
        .collect();
    assert_eq!(epochs, [(1, 1), (0, 0)]);
    assert_eq!(delta.partitions_changed, [(id, PartitionIndex(0))].into());
}

#[test]
fn a_change_of_a_broker_counts_for_its_own_epoch_only() {
    let registered = |broker_epoch| Record::BrokerRegistered {
        broker_id: BrokerId(1),
        incarnation: Uuid::nil(),
        broker_epoch,
        endpoints: Vec::new(),
        rack: None,
        fenced: true,
        directories: Vec::new(),
    };
    let unfenced = |broker_epoch| Record::BrokerChanged {
        broker_id: BrokerId(1),
        broker_epoch,
        fenced: false,
        in_controlled_shutdown: false,
        directories: None,
    };
    let gone = |broker_epoch| Record::BrokerUnregistered { broker_id: BrokerId(1), broker_epoch };
    let mut image = Image::default();
    replay(&mut image, &[registered(1), registered(2), unfenced(1), gone(1)]);
    assert_eq!(image.broker(BrokerId(1)).map(|broker| (broker.epoch, broker.fenced)), Some((2, true)));
    replay(&mut image, &[unfenced(2)]);
    assert!(image.is_active(BrokerId(1)));
    replay(&mut image, &[gone(2)]);
    assert_eq!((image.brokers().count(), image.last_broker_epoch()), (0, 2));
}

#[test]
fn settings_of_a_topic_go_with_it() {
    let id = TopicId(Uuid::from_u128(1));
    let resource = || ConfigResource::Topic("t".into());
    let partitions = || vec![Partition::created([BrokerId(1)].into_iter().collect())];
    let created = |id| Record::TopicCreated { name: "t".into(), id, partitions: partitions() };
    let config = Record::ConfigChanged { resource: resource(), name: "k".into(), value: Some("v".into()) };
    let mut image = Image::default();
    let again = TopicId(Uuid::from_u128(2));
    replay(&mut image, &[created(id), config, Record::TopicDeleted { id }, created(again)]);
    assert!(image.configs(&resource()).is_empty());
    assert_eq!(image.topic_by_id(id), None);
    assert_eq!(image.topic_by_id(again).map(|topic| &*topic.name), Some("t"));
}
