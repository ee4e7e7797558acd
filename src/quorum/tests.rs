//! openraft's own suite on our storage, and the quorum from outside: what was answered is there after any restart.

mod cluster;
mod forming;
mod harness;

use std::path::Path;

use openraft::storage::RaftLogStorage;
use openraft::testing::{StoreBuilder, Suite};

use super::types::TypeConfig;
use super::*;
use crate::io::disk::{Disk, SystemDisk};
use crate::metadata::{ConfigResource, Partition};
use crate::model::{Offset, ProducerId, TopicId};
use crate::peer::Address;

/// openraft's suite names nodes by number.
impl From<u64> for Voter {
    fn from(number: u64) -> Voter {
        Voter { node_id: BrokerId(i32::try_from(number).expect("a small number")), directory_id: Uuid::nil() }
    }
}

struct OnTemporaryDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for OnTemporaryDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), types::StorageError> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let state = State { identity: Some(Voter::from(1)), ..State::default() };
        let journal = Journal::create(Arc::clone(&disk), dir.path(), state).expect("a fresh journal");
        let machine = StateMachine::open(disk, dir.path(), Arc::new(Published::default())).expect("no snapshot");
        Ok((dir, LogStore::new(journal), machine))
    }
}

#[test]
fn storage_passes_the_suite_of_openraft() {
    Suite::test_all(OnTemporaryDisk).expect("the suite passes");
}

/// Enough entries to leave some behind the purge.
const SNAPSHOT_ENTRIES: u64 = 2 * KEPT_ENTRIES;

fn start(dir: &Path) -> Quorum {
    try_start(dir, 1).expect("a quorum starts")
}

fn try_start(dir: &Path, node_id: i32) -> Result<Quorum, StartError> {
    block_on(Quorum::start(QuorumOptions {
        dir: dir.join(DIRECTORY),
        node_id: BrokerId(node_id),
        directory_id: Uuid::from_u128(5),
        cluster_id: None,
        formation: Formation::Standalone,
        endpoint: endpoint(9093),
        disk: Arc::new(SystemDisk),
        snapshot_entries: SNAPSHOT_ENTRIES,
        formed_by: FormedBy::All,
        timing: Timing::default(),
    }))
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint { listener: "CONTROLLER".to_owned(), address: Address { host: "localhost".to_owned(), port } }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

fn submit(quorum: &Quorum, records: Vec<Record>) -> Arc<Image> {
    block_on(quorum.submit(records)).expect("committed")
}

fn topic(name: &str, number: u128) -> Record {
    let replicas = [BrokerId(1)].into_iter().collect();
    Record::TopicCreated {
        name: name.into(),
        id: TopicId(Uuid::from_u128(number)),
        partitions: vec![Partition::created(replicas)],
    }
}

fn registered(broker_epoch: i64) -> Record {
    Record::BrokerRegistered {
        broker_id: BrokerId(1),
        incarnation: Uuid::from_u128(1),
        broker_epoch,
        endpoints: Vec::new(),
        rack: None,
        fenced: false,
        directories: Vec::new(),
    }
}

#[test]
fn a_fresh_quorum_commits_at_once_and_remembers_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let quorum = start(dir.path());
    let image = submit(&quorum, vec![registered(1), topic("a", 1)]);
    assert_eq!(image.last_applied(), Offset(1));
    assert_eq!(image.controller_id(), BrokerId(1));
    assert_eq!(quorum.image(), image);
    block_on(quorum.stop());
    assert!(matches!(block_on(quorum.submit(vec![topic("b", 2)])), Err(QuorumError::Stopped(_))));

    let quorum = start(dir.path());
    assert_eq!(quorum.directory_id(), Uuid::from_u128(5));
    let image = submit(&quorum, vec![registered(2)]);
    assert_eq!(image.topic("a").map(|topic| topic.partitions[0].leader_epoch.0), Some(1));
    assert!(image.topic("b").is_none());
    block_on(quorum.stop());
}

#[test]
fn the_listener_has_returned_before_the_write_is_answered() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let quorum = start(dir.path());
    submit(&quorum, vec![registered(1)]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    quorum.listen(move |change| {
        ear.lock().push((change.old.topic_count(), change.new.topic_count(), change.delta.clone()))
    });
    submit(&quorum, vec![topic("a", 1)]);
    let delta = Delta { topics_created: [TopicId(Uuid::from_u128(1))].into(), ..Delta::default() };
    assert_eq!(*heard.lock(), [(0, 1, delta)]);
    block_on(quorum.stop());
}

#[test]
fn another_node_may_not_take_the_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    block_on(start(dir.path()).stop());
    assert!(matches!(try_start(dir.path(), 2), Err(StartError::OtherNode { found: BrokerId(1), .. })));
}

#[test]
fn many_entries_become_a_snapshot_that_the_next_start_begins_from() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let quorum = start(dir.path());
    let count = i64::try_from(SNAPSHOT_ENTRIES).expect("a small number") + 10;
    block_on(async {
        for next in 1..=count {
            let allocated = Record::ProducerIdsAllocated { broker_id: BrokerId(1), next_producer_id: ProducerId(next) };
            quorum.submit(vec![allocated]).await.expect("committed");
        }
        let resource = ConfigResource::BrokerDefault;
        let config = Record::ConfigChanged { resource, name: "k".into(), value: Some("v".into()) };
        quorum.submit(vec![topic("a", 1), config]).await.expect("committed");
        let purged = |metrics: &openraft::RaftMetrics<Voter, openraft::BasicNode>| metrics.purged.is_some();
        quorum.core.raft.wait(None).metrics(purged, "a purge follows the snapshot").await.expect("the quorum lives");
    });
    let image = quorum.image();
    block_on(quorum.stop());

    let journal = Journal::open(Arc::new(SystemDisk), &dir.path().join(DIRECTORY)).expect("a whole journal");
    assert!(journal.state().entries.len() < usize::try_from(KEPT_ENTRIES).expect("a small number") + 30);
    let mut log_store = LogStore::new(journal);
    assert!(block_on(log_store.get_log_state()).expect("a log state").last_purged_log_id.is_some());

    let quorum = start(dir.path());
    submit(&quorum, vec![]);
    assert_eq!(quorum.image().to_records(), image.to_records());
    block_on(quorum.stop());
}

#[test]
fn what_was_answered_is_in_the_image_of_the_next_start_also_when_the_commit_was_not_noted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let quorum = start(dir.path());
    submit(&quorum, vec![registered(1), topic("a", 1)]);
    block_on(quorum.stop());
    let path = dir.path().join(DIRECTORY).join("journal");
    let journal = Journal::open(Arc::new(SystemDisk), &dir.path().join(DIRECTORY)).expect("a whole journal");
    let state = State { committed: None, ..journal.state().clone() };
    std::fs::remove_file(path).expect("the file is there");
    Journal::create(Arc::new(SystemDisk), &dir.path().join(DIRECTORY), state).expect("a fresh journal");

    let quorum = start(dir.path());
    assert!(quorum.image().topic("a").is_some());
    block_on(quorum.stop());
}

#[test]
fn a_batch_over_the_limit_is_refused_and_the_next_is_taken() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let quorum = start(dir.path());
    let config = |len: usize| Record::ConfigChanged {
        resource: ConfigResource::BrokerDefault,
        name: String::new(),
        value: Some("x".repeat(len)),
    };
    let overhead = Record::encode_all(&[config(0)]).len();
    for (len, fits) in [(0, true), (1, true), (2, false)] {
        let records = vec![config(BATCH_BYTES_MAX - overhead - 1 + len)];
        let submitted = block_on(quorum.submit(records)).map(|_| ());
        assert_eq!(submitted, if fits { Ok(()) } else { Err(QuorumError::TooLarge) });
    }
    submit(&quorum, vec![registered(1)]);
    block_on(quorum.stop());
}
