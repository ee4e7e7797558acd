//! Deleted topics: nobody waits for their disks, and their names are free.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Condvar;

use super::*;
use crate::io::disk::{DirEntry, DiskFile, DiskLock};

/// Longer than anything here takes; a test that reaches it fails.
const LIMIT: Duration = Duration::from_secs(20);

/// A disk on which flushes of a partition's files wait until the gate is opened.
#[derive(Clone)]
struct GatedDisk {
    partition: &'static str,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting_count: usize,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock();
        state.waiting_count += 1;
        self.moved.notify_all();
        self.moved.wait_while_for(&mut state, |state| !state.is_open, LIMIT);
        state.waiting_count -= 1;
    }

    fn await_one(&self) {
        self.moved.wait_while_for(&mut self.state.lock(), |state| state.waiting_count == 0, LIMIT);
    }

    fn open(&self) {
        self.state.lock().is_open = true;
        self.moved.notify_all();
    }

    fn is_waited_for(&self) -> bool {
        self.state.lock().waiting_count > 0
    }
}

struct GatedFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl Disk for GatedDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = SystemDisk.open(path, create)?;
        let is_gated = path.parent().is_some_and(|parent| parent.ends_with(self.partition));
        Ok(if is_gated { Arc::new(GatedFile { file, gate: Arc::clone(&self.gate) }) } else { file })
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        SystemDisk.read(path)
    }
    fn exists(&self, path: &Path) -> bool {
        SystemDisk.exists(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        SystemDisk.read_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        SystemDisk.lock(path)
    }
}

impl DiskFile for GatedFile {
    fn write_all_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_all_at(slices, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}

/// The directories that hold, or have held, a partition.
fn directories_of(dir: &Path, partition: &str) -> Vec<PathBuf> {
    let entries = SystemDisk.read_dir(dir).expect("a directory");
    let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(partition));
    names.map(|name| dir.join(name)).collect()
}

#[test]
fn deleting_a_topic_waits_for_no_flush_and_its_successor_waits_for_the_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = GatedDisk { partition: "t-0", gate: Arc::default() };
    let broker = start_on(Arc::new(disk.clone()), dir.path(), &[]).expect("a start");
    let id = create_topic(&broker, "t", 1);
    let old = broker.replica("t", PartitionIndex(0)).expect("its leader");
    append(&broker, &old, "a");
    disk.gate.await_one();
    submit(&broker, Record::TopicDeleted { id });
    assert_eq!(old.check_serving(LeaderEpoch(-1)), Err(ErrorCode::UnknownTopicOrPartition));
    // Nor does anything else that the quorum decides.
    create_topic(&broker, "t", 1);
    assert!(disk.gate.is_waited_for(), "the flush is still running");
    let of_thread = Arc::clone(&broker);
    let opener = std::thread::spawn(move || of_thread.replica("t", PartitionIndex(0)));
    disk.gate.open();
    let new = opener.join().expect("no panic").expect("its leader");
    let appended = append(&broker, &new, "b");
    assert_eq!(appended.info.first_offset, Offset(0));
    commit(&new, appended.required);
    let request = ReadRequest { offset: Offset::ZERO, max_bytes: 1, upper_bound: Offset(1), min_one: true };
    assert!(old.reader().read(request).is_ok(), "a fetch that has begun ends as it began");
    let [current, deleted] = &directories_of(dir.path(), "t-0")[..] else { panic!("two directories") };
    assert!(current.ends_with("t-0") && deleted.to_string_lossy().ends_with("-delete"));
    wait(broker.close());
}

#[test]
fn a_topic_can_be_made_anew_when_the_log_of_the_old_one_could_not_be_opened() {
    let dir = tempfile::tempdir().expect("a directory");
    let broker = start(dir.path(), &[]).expect("a first start");
    let id = create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    commit(&replica, append(&broker, &replica, "a").required);
    wait(broker.close());
    drop((replica, broker));
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).expect("the marker");
    std::fs::write(dir.path().join("t-0/00000000000000000000.log"), [0; 40]).expect("damage");
    let broker = start(dir.path(), &[]).expect("the others are served");
    assert_eq!(broker.replica("t", PartitionIndex(0)).err(), Some(ErrorCode::KafkaStorageError));
    submit(&broker, Record::TopicDeleted { id });
    create_topic(&broker, "t", 1);
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    let appended = append(&broker, &replica, "b");
    assert_eq!(appended.info.first_offset, Offset(0));
    commit(&replica, appended.required);
    assert_eq!(directories_of(dir.path(), "t-0").len(), 2);
    wait(broker.close());
    drop((replica, broker));
    // The damaged log's recovery point is not the new one's.
    let broker = start(dir.path(), &[]).expect("a start");
    let replica = broker.replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(readable(&replica).len(), 1);
    wait(broker.close());
}
