//! What holds after any sequence of decisions.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::super::*;
use super::OPTIONS;
use crate::metadata::{Delta, Image, Partition};
use crate::model::{BrokerId, Now, Offset, PartitionIndex};

const BROKERS: i32 = 4;

/// What must hold of every partition. Panics with the partition when it does not.
pub(super) fn check(image: &Image, _unclean: bool) {
    for (topic, index, partition) in image.partitions() {
        let say = || format!("{}-{index} {}", topic.name, super::dialogue::state(partition));
        let set = |list: &[BrokerId]| list.iter().copied().collect::<BTreeSet<_>>();
        let (replicas, isr, elr) = (set(&partition.replicas), set(&partition.isr), set(&partition.elr));
        for (list, members) in [(&partition.replicas, &replicas), (&partition.isr, &isr), (&partition.elr, &elr)] {
            assert_eq!(list.len(), members.len(), "nobody twice: {}", say());
        }
        assert!(!replicas.is_empty() && isr.is_subset(&replicas) && elr.is_subset(&replicas), "{}", say());
        assert!(isr.is_disjoint(&elr), "the ELR is outside the ISR: {}", say());
        assert!(!partition.has_leader() || isr.contains(&partition.leader), "the leader is in sync: {}", say());
        assert!(partition.has_leader() || isr.is_empty() || leaderless_may_be(image, partition), "{}", say());
        assert!(set(&partition.adding_replicas).is_subset(&replicas), "{}", say());
        assert!(set(&partition.removing_replicas).is_subset(&replicas), "{}", say());
        assert!(!partition.has_leader() || image.is_unfenced(partition.leader), "the leader is alive: {}", say());
    }
}

/// Somebody in sync, and nobody who leads: only when none of them is active.
fn leaderless_may_be(image: &Image, partition: &Partition) -> bool {
    partition.isr.iter().all(|id| !image.is_active(*id))
}

#[derive(Clone, Debug)]
enum Event {
    Start { id: i32, is_clean: bool, keeps_disk: bool },
    Heartbeat { id: i32, wants_shutdown: bool },
    Fence(i32),
    Unregister(i32),
    Alter { partition: i32, isr: Vec<i32> },
    Reassign { partition: i32, target: Option<Vec<i32>> },
    Elect { partition: i32, is_unclean: bool },
    Balance,
    Grow,
    MinIsr(usize),
}

fn members() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::btree_set(1..=BROKERS, 1..4).prop_map(|ids| ids.into_iter().collect::<Vec<_>>()).prop_shuffle()
}

fn event() -> impl Strategy<Value = Event> {
    let id = 1..=BROKERS;
    prop_oneof![
        4 => (id.clone(), any::<bool>(), prop::bool::weighted(0.9))
            .prop_map(|(id, is_clean, keeps_disk)| Event::Start { id, is_clean, keeps_disk }),
        6 => (id.clone(), prop::bool::weighted(0.2))
            .prop_map(|(id, wants_shutdown)| Event::Heartbeat { id, wants_shutdown }),
        4 => id.clone().prop_map(Event::Fence),
        1 => id.prop_map(Event::Unregister),
        6 => (0i32..3, members()).prop_map(|(partition, isr)| Event::Alter { partition, isr }),
        3 => (0i32..3, prop::option::of(members())).prop_map(|(partition, target)| Event::Reassign { partition, target }),
        2 => (0i32..3, any::<bool>()).prop_map(|(partition, is_unclean)| Event::Elect { partition, is_unclean }),
        1 => Just(Event::Balance),
        1 => Just(Event::Grow),
        1 => (1usize..4).prop_map(Event::MinIsr),
    ]
}

struct Cluster {
    options: Options,
    image: Image,
    sessions: Sessions,
    starts: u128,
}

const NOW: Now = Now { wall_ms: 0, monotonic_ms: 0 };

impl Cluster {
    fn commit(&mut self, records: &[Record]) {
        let before = self.image.clone();
        self.image.set_last_applied(self.image.last_applied() + 1);
        let mut delta = Delta::default();
        records.iter().for_each(|record| self.image.apply(record, &mut delta));
        for (topic, index, old) in before.partitions() {
            let Some(new) = self.image.partition(topic.id, index) else { continue };
            assert!(old.leader_epoch <= new.leader_epoch && old.partition_epoch <= new.partition_epoch);
            assert!(old == new || old.partition_epoch < new.partition_epoch, "a change has its epoch");
            assert!(old.leader == new.leader || old.leader_epoch < new.leader_epoch, "a leader has its epoch");
            assert!(new.leader_epoch.0 - old.leader_epoch.0 <= new.partition_epoch - old.partition_epoch);
        }
        check(&self.image, false);
    }

    fn start(&mut self, id: i32, is_clean: bool, keeps_disk: bool) -> Vec<Record> {
        self.starts += 1;
        let old = self.image.broker(BrokerId(id));
        let directory = old.and_then(|broker| broker.directories.first().copied()).filter(|_| keeps_disk);
        let registration = Registration {
            broker_id: BrokerId(id),
            incarnation: Uuid::from_u128(self.starts),
            directories: vec![directory.unwrap_or(Uuid::from_u128(1000 + self.starts))],
            previous_broker_epoch: old.map_or(-1, |broker| if is_clean { broker.epoch } else { -1 }),
            is_controller: false,
            ..super::registration(id)
        };
        let decision = register_broker(&self.image, &self.options, registration, false).expect("a start");
        let offset = self.image.last_applied() + 1;
        self.sessions.register(NOW, BrokerId(id), decision.answer, offset);
        decision.records
    }

    fn records(&mut self, event: Event) -> Vec<Record> {
        let (image, options) = (&self.image, &self.options);
        let epoch_of = |id: i32| image.broker(BrokerId(id)).map_or(-1, |broker| broker.epoch);
        match event {
            Event::Start { id, is_clean, keeps_disk } => self.start(id, is_clean, keeps_disk),
            Event::Heartbeat { id, wants_shutdown } => {
                let heartbeat = Heartbeat {
                    broker_id: BrokerId(id),
                    broker_epoch: epoch_of(id),
                    metadata_offset: image.last_applied(),
                    wants_fence: false,
                    wants_shutdown,
                    offline_directories: Vec::new(),
                    cordoned_directories: None,
                };
                self.sessions.touch(NOW, BrokerId(id), heartbeat.broker_epoch, heartbeat.metadata_offset);
                let decision = broker_heartbeat(image, options, &self.sessions, &heartbeat);
                decision.map(|decision| decision.records).unwrap_or_default()
            }
            Event::Fence(id) => fence_broker(image, options, BrokerId(id), epoch_of(id)).records,
            Event::Unregister(id) => {
                unregister_broker(image, options, BrokerId(id)).map(|decision| decision.records).unwrap_or_default()
            }
            Event::Alter { partition, isr } => alter(image, options, partition, &isr),
            Event::Reassign { partition, target } => {
                let target = target.map(|ids| ids.into_iter().map(BrokerId).collect());
                let topics = [("t".to_owned(), vec![(PartitionIndex(partition), target)])];
                alter_partition_reassignments(image, options, true, &topics).records
            }
            Event::Elect { partition, is_unclean } => {
                let election = if is_unclean { ElectionType::Unclean } else { ElectionType::Preferred };
                let topics = [("t".to_owned(), vec![PartitionIndex(partition)])];
                elect_leaders(image, options, election, Some(&topics)).records
            }
            Event::Balance => balance(image, options).records,
            Event::Grow => {
                let count = image.topic("t").map_or(0, |topic| i32::try_from(topic.partitions.len()).expect("few")) + 1;
                let wanted = CreatePartitions { name: "t".into(), count, assignments: None };
                create_partitions(
                    image,
                    u64::try_from(count).expect("few"),
                    &[wanted],
                    &mut crate::controller::Mutations::unlimited(),
                )
                .records
            }
            Event::MinIsr(min_isr) => {
                let change = AlterConfigs {
                    resource: ResourceName { resource_type: ResourceType::Topic, name: "t".into() },
                    changes: vec![("min.insync.replicas".into(), ConfigOp::Set(Some(min_isr.to_string())))],
                };
                incremental_alter_configs(image, options, &Asked::Broker(BrokerId(1)), &[change]).records
            }
        }
    }
}

/// The leader of a partition asks for another ISR, with itself in it.
fn alter(image: &Image, options: &Options, partition: i32, isr: &[i32]) -> Vec<Record> {
    let Some(topic) = image.topic("t") else { return Vec::new() };
    let Some(state) = topic.partition(PartitionIndex(partition)).filter(|state| state.has_leader()) else {
        return Vec::new();
    };
    let wanted: BTreeSet<BrokerId> = isr.iter().copied().map(BrokerId).chain([state.leader]).collect();
    let request = AlterPartition {
        topic_id: topic.id,
        partition: PartitionIndex(partition),
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        isr: wanted.into_iter().map(|broker_id| IsrMember { broker_id, broker_epoch: -1 }).collect(),
        leader_recovery_state: 0,
    };
    let epoch = image.broker(state.leader).map_or(-1, |broker| broker.epoch);
    alter_partition(image, options, state.leader, epoch, &[request])
        .map(|decision| decision.records)
        .unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_decisions_breaks_a_partition(
        events in prop::collection::vec(event(), 1..60),
        durability in prop_oneof![Just(Durability::Flushed), Just(Durability::PageCache)],
    ) {
        let options = Options { durability, ..OPTIONS };
        let session_options = SessionOptions { session_timeout_ms: 1500, heartbeat_interval_ms: 200 };
        let sessions = Sessions::new(session_options);
        let mut cluster = Cluster { options, image: Image::default(), sessions, starts: 0 };
        let first = first_records(&cluster.image, &OPTIONS, super::CLUSTER, super::FEATURES);
        cluster.commit(&first);
        for id in 1..=BROKERS {
            let records = cluster.start(id, false, true);
            cluster.commit(&records);
            let records = cluster.records(Event::Heartbeat { id, wants_shutdown: false });
            cluster.commit(&records);
        }
        let ids = |ids: [i32; 3]| ids.map(BrokerId).to_vec();
        let topic = CreateTopic {
            name: "t".into(),
            partitions: -1,
            replication_factor: -1,
            assignments: vec![(0, ids([1, 2, 3])), (1, ids([2, 3, 4])), (2, ids([4, 1, 2]))],
            ..CreateTopic::default()
        };
        let created = create_topics(&cluster.image, &cluster.options, Uuid::from_u128(7), &[topic], &mut crate::controller::Mutations::unlimited());
        prop_assert!(created.answer[0].1.is_ok());
        cluster.commit(&created.records);
        for event in events {
            let records = cluster.records(event);
            cluster.commit(&records);
        }
    }

    #[test]
    fn placement_is_fair_and_alive(brokers in 1i32..7, racks in 1i32..4, fenced in 0i32..3, count in 1usize..40, seed in any::<u64>()) {
        let mut image = Image::default();
        let live = brokers;
        for id in 1..=brokers + fenced {
            let rack = Some(format!("r{}", id % racks));
            image.apply(&Record::BrokerRegistered {
                broker_id: BrokerId(id),
                incarnation: Uuid::nil(),
                broker_epoch: i64::from(id),
                endpoints: Vec::new(),
                rack,
                fenced: id > live,
                directories: Vec::new(),
            }, &mut Delta::default());
        }
        // One more with nothing but cordoned directories is as good as none.
        let (broker_id, broker_epoch) = (BrokerId(brokers + fenced + 1), i64::from(brokers + fenced + 1));
        let directories = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
        let cordoned = Record::BrokerCordoned { broker_id, broker_epoch, directories: directories.clone() };
        let registered = Record::BrokerRegistered {
            broker_id,
            incarnation: Uuid::nil(),
            broker_epoch,
            endpoints: Vec::new(),
            rack: Some("r0".into()),
            fenced: seed % 2 == 0,
            directories,
        };
        [registered, cordoned].iter().for_each(|record| image.apply(record, &mut Delta::default()));
        image.set_last_applied(Offset(1));
        let factor = usize::try_from(brokers.min(3)).expect("few");
        let placed = super::super::placement::place(&image, &[], count, factor, seed).expect("enough brokers");
        prop_assert_eq!(placed.len(), count);
        // How often each live broker leads, and how often it holds a replica.
        let leads = (1..=live).map(|id| placed.iter().filter(|replicas| replicas[0] == BrokerId(id)).count());
        let holds = (1..=live).map(|id| placed.iter().filter(|replicas| replicas.contains(&BrokerId(id))).count());
        let (leads, holds): (Vec<_>, Vec<_>) = (leads.collect(), holds.collect());
        let spread = |counts: &[usize]| counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
        if racks == 1 {
            prop_assert!(spread(&leads) <= 1, "{:?}", leads);
            prop_assert!(spread(&holds) <= factor, "{:?}", holds);
        }
        for replicas in placed {
            let distinct: BTreeSet<_> = replicas.iter().collect();
            prop_assert_eq!(distinct.len(), factor);
            prop_assert!(image.is_unfenced(replicas[0]));
            let racks_used: BTreeSet<_> =
                replicas.iter().map(|id| image.broker(*id).expect("a broker").rack.clone()).collect();
            let usable = image.brokers().filter(|broker| broker.id != broker_id);
            let racks_there: BTreeSet<_> = usable.map(|broker| broker.rack.clone()).collect();
            prop_assert!(!replicas.contains(&broker_id));
            prop_assert_eq!(racks_used.len(), factor.min(racks_there.len()));
        }
    }
}
