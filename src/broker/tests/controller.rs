//! The active controller of a broker that is joined by others, as they ask it: every answer comes with its records committed.

use uuid::Uuid;

use super::*;
use crate::controller::{AlterPartition, CreateTopic, Heartbeat, IsrMember, Refusal, Registration, Target};
use crate::model::PartitionIndex;

/// The brokers of these tests send heartbeats when they have something to say: nobody is to be taken for dead on a slow machine.
const PATIENT: &[&str] = &["broker.session.timeout.ms=600000"];

fn registration(id: i32) -> Registration {
    Registration {
        broker_id: BrokerId(id),
        incarnation: Uuid::from_u128(u128::try_from(id).expect("a broker")),
        endpoints: Vec::new(),
        rack: None,
        cluster_id: String::new(),
        features: Vec::new(),
        directories: Vec::new(),
        previous_broker_epoch: -1,
        is_controller: false,
    }
}

fn heartbeat(broker: &Broker, id: i32) -> Heartbeat {
    let image = broker.image();
    Heartbeat {
        broker_id: BrokerId(id),
        broker_epoch: image.broker(BrokerId(id)).map_or(-1, |registered| registered.epoch),
        metadata_offset: image.last_applied(),
        wants_fence: false,
        wants_shutdown: false,
        offline_directories: Vec::new(),
        cordoned_directories: None,
    }
}

/// Broker 1, joined by 2 and 3, which are let in.
async fn join_two(broker: &Arc<Broker>) {
    for id in [2, 3] {
        let epoch = broker.register_broker(registration(id)).await.expect("a new broker");
        assert!(!broker.image().is_unfenced(BrokerId(id)));
        let behind = Heartbeat { metadata_offset: Offset(0), ..heartbeat(broker, id) };
        assert!(broker.broker_heartbeat(behind).await.expect("registered").is_fenced);
        let answer = broker.broker_heartbeat(heartbeat(broker, id)).await.expect("registered");
        assert!(answer.is_caught_up && !answer.is_fenced);
        assert_eq!(broker.image().broker(BrokerId(id)).map(|it| (it.epoch, it.fenced)), Some((epoch, false)));
    }
}

async fn create(broker: &Arc<Broker>, replicas: &[i32]) -> TopicId {
    let replicas = replicas.iter().copied().map(BrokerId).collect();
    let topic = CreateTopic {
        name: "t".into(),
        partitions: -1,
        replication_factor: -1,
        assignments: vec![(0, replicas)],
        ..CreateTopic::default()
    };
    let created = broker.create_topics(Default::default(), vec![topic], false, 10_000).await.expect("the controller").0;
    created[0].1.as_ref().expect("a new topic").id
}

fn state(broker: &Broker, topic: TopicId) -> Partition {
    broker.image().partition(topic, PartitionIndex(0)).expect("the partition").clone()
}

fn ids(ids: &[i32]) -> crate::metadata::Replicas {
    ids.iter().copied().map(BrokerId).collect()
}

#[test]
fn a_stopping_broker_loses_its_leadership_first_and_is_let_go_when_all_know() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), PATIENT).expect("a start");
    wait(async {
        join_two(&broker).await;
        let topic = create(&broker, &[2, 3]).await;
        let stop = |broker: &Broker| Heartbeat { wants_shutdown: true, ..heartbeat(broker, 2) };
        let answer = broker.broker_heartbeat(stop(&broker)).await.expect("registered");
        assert!(answer.in_controlled_shutdown && !answer.should_shut_down);
        assert_eq!(state(&broker, topic).leader, BrokerId(3));
        // The others have not read it yet.
        assert!(!broker.broker_heartbeat(stop(&broker)).await.expect("registered").should_shut_down);
        for id in [1, 3] {
            broker.broker_heartbeat(heartbeat(&broker, id)).await.expect("registered");
        }
        assert!(broker.broker_heartbeat(stop(&broker)).await.expect("registered").should_shut_down);
        assert!(!broker.image().is_unfenced(BrokerId(2)));
        // Another process may have the id at once.
        let again = Registration { incarnation: Uuid::from_u128(99), ..registration(2) };
        broker.register_broker(again).await.expect("the first one was let go");
    });
    wait(broker.close());
}

#[test]
fn a_living_brokers_id_is_not_given_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), PATIENT).expect("a start");
    wait(async {
        join_two(&broker).await;
        let other = Registration { incarnation: Uuid::from_u128(99), ..registration(2) };
        let refused = broker.register_broker(other).await.map_err(|refusal| refusal.code);
        assert_eq!(refused, Err(ErrorCode::DuplicateBrokerRegistration));
        // Nor this node's own, however long it was not heard of by itself.
        let refused = broker.register_broker(registration(1)).await.map_err(|refusal| refusal.code);
        assert_eq!(refused, Err(ErrorCode::DuplicateBrokerRegistration));
        let stale = Heartbeat { broker_epoch: 1, ..heartbeat(&broker, 2) };
        let refused = broker.broker_heartbeat(stale).await.map_err(|refusal| refusal.code);
        assert_eq!(refused, Err(ErrorCode::StaleBrokerEpoch));
    });
    wait(broker.close());
}

#[test]
fn a_partition_moves_and_its_new_leader_is_found_in_the_image() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), PATIENT).expect("a start");
    wait(async {
        join_two(&broker).await;
        let topic = create(&broker, &[2]).await;
        let target: Target = (PartitionIndex(0), Some(vec![BrokerId(3)]));
        let moved = broker.alter_partition_reassignments(true, vec![("t".into(), vec![target])], 10_000).await;
        assert_eq!(moved.expect("the controller")[0].1[0].1, Ok::<(), Refusal>(()));
        let listed = broker.list_partition_reassignments(None);
        assert_eq!(listed[0].1[0].adding_replicas, ids(&[3]));
        let image = broker.image();
        let epoch = |id| image.broker(BrokerId(id)).expect("registered").epoch;
        let before = state(&broker, topic);
        let member = |id| IsrMember { broker_id: BrokerId(id), broker_epoch: epoch(id) };
        let request = AlterPartition {
            topic_id: topic,
            partition: PartitionIndex(0),
            leader_epoch: before.leader_epoch,
            partition_epoch: before.partition_epoch,
            isr: vec![member(2), member(3)],
            leader_recovery_state: 0,
        };
        let answers = broker.alter_partition(BrokerId(2), epoch(2), vec![request]).await.expect("registered");
        assert_eq!(answers, [Err(ErrorCode::NewLeaderElected)]);
        let after = state(&broker, topic);
        assert_eq!((after.leader, after.replicas, after.isr), (BrokerId(3), ids(&[3]), ids(&[3])));
        assert_eq!(broker.list_partition_reassignments(None), []);
    });
    wait(broker.close());
}

#[test]
fn blocks_of_producer_ids_do_not_overlap_when_asked_for_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), PATIENT).expect("a start");
    wait(async {
        join_two(&broker).await;
        let epoch = |id| broker.image().broker(BrokerId(id)).expect("registered").epoch;
        let ask = |id| broker.allocate_producer_ids(BrokerId(id), epoch(id));
        let (first, second, own) = tokio::join!(ask(2), ask(3), ask(1));
        let mut firsts: Vec<i64> =
            [first, second, own].map(|block| block.expect("registered").0.0).into_iter().collect();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1000, 2000]);
    });
    wait(broker.close());
}
