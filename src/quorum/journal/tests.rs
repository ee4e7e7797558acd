//! What is left of a journal after any cut, and what refuses to open.

use super::*;
use crate::io::disk::SystemDisk;
use crate::model::BrokerId;
use openraft::EntryPayload;

fn voter() -> Voter {
    Voter { node_id: BrokerId(7), directory_id: uuid::Uuid::from_u128(9) }
}

fn log_id(term: u64, index: u64) -> LogId {
    openraft::LogId::new(openraft::CommittedLeaderId::new(term, voter()), index)
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { log_id: log_id(term, index), payload: EntryPayload::Blank }
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(SystemDisk)
}

fn create(dir: &Path) -> Journal {
    let state = State { identity: Some(voter()), is_waiting: true, ..State::default() };
    Journal::create(disk(), dir, state).expect("a fresh journal")
}

/// A journal with every kind of frame, and the state after each write.
fn busy(dir: &Path) -> (Journal, Vec<(u64, State)>) {
    let mut journal = create(dir);
    let mut states = vec![(journal.end, journal.state().clone())];
    let steps: [fn(&mut Journal) -> io::Result<()>; 7] = [
        Journal::end_waiting,
        |journal| journal.save_vote(openraft::Vote::new(1, voter())),
        |journal| journal.append(vec![entry(1, 0)]),
        |journal| journal.append(vec![entry(1, 1)]),
        |journal| journal.save_committed(Some(log_id(1, 1))),
        |journal| journal.append(vec![entry(2, 2)]),
        |journal| journal.truncate_from(2),
    ];
    for step in steps {
        step(&mut journal).expect("the disk works");
        states.push((journal.end, journal.state().clone()));
    }
    (journal, states)
}

#[test]
fn a_reopened_journal_has_its_state() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (journal, _) = busy(dir.path());
    let reopened = Journal::open(disk(), dir.path()).expect("a whole journal");
    assert_eq!(reopened.state(), journal.state());
    assert_eq!(reopened.end, journal.end);
}

#[test]
fn a_cut_at_any_byte_leaves_the_writes_that_are_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (journal, states) = busy(dir.path());
    let bytes = disk().read(&journal.path).expect("the file");
    for len in usize::try_from(states[0].0).expect("small")..bytes.len() {
        let (end, expected) = states.iter().rev().find(|(end, _)| *end <= len as u64).expect("the first write");
        let (state, found) = recover(&journal.path, &bytes[..len]).expect("a torn tail is cut");
        assert_eq!((&state, found as u64), (expected, *end), "cut at {len}");
    }
}

#[test]
fn a_changed_byte_below_a_later_write_refuses_to_open() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (journal, states) = busy(dir.path());
    let bytes = disk().read(&journal.path).expect("the file");
    let last_write = usize::try_from(states[states.len() - 2].0).expect("small");
    for position in 0..last_write {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x10;
        let opened = recover(&journal.path, &damaged);
        assert!(matches!(opened, Err(JournalError::Damaged { .. })), "byte {position}: {opened:?}");
    }
}

#[test]
fn zeros_are_no_frames() {
    assert!(parse(&[0; 64]).is_none());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (journal, _) = busy(dir.path());
    journal.file.write_all_at(&mut [IoSlice::new(&[0; 4096])], journal.end).expect("the disk works");
    let reopened = Journal::open(disk(), dir.path()).expect("zeros are a torn tail");
    assert_eq!(reopened.state(), journal.state());
    assert_eq!(reopened.file.len().expect("a length"), journal.end);
}

#[test]
fn a_purge_keeps_vote_and_later_entries() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut journal, _) = busy(dir.path());
    journal.purge(log_id(1, 0)).expect("the disk works");
    journal.append(vec![entry(3, 2)]).expect("the disk works");
    let reopened = Journal::open(disk(), dir.path()).expect("a whole journal");
    let expected = State {
        identity: Some(voter()),
        vote: Some(openraft::Vote::new(1, voter())),
        entries: BTreeMap::from([(1, entry(1, 1)), (2, entry(3, 2))]),
        purged: Some(log_id(1, 0)),
        committed: Some(log_id(1, 1)),
        is_waiting: false,
    };
    assert_eq!(*reopened.state(), expected);
}

#[test]
fn a_directory_waits_until_it_is_told_otherwise_through_purges_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut journal = create(dir.path());
    journal.append(vec![entry(1, 0)]).expect("the disk works");
    journal.purge(log_id(1, 0)).expect("the disk works");
    let mut reopened = Journal::open(disk(), dir.path()).expect("a whole journal");
    assert!(reopened.state().is_waiting);
    reopened.end_waiting().expect("the disk works");
    reopened.purge(log_id(1, 0)).expect("the disk works");
    assert!(!Journal::open(disk(), dir.path()).expect("a whole journal").state().is_waiting);
}

#[test]
fn a_failed_journal_takes_nothing_more() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut journal, _) = busy(dir.path());
    journal.failed = true;
    assert!(journal.append(vec![entry(3, 2)]).is_err());
    assert!(journal.save_vote(openraft::Vote::new(9, voter())).is_err());
    assert!(journal.purge(log_id(1, 0)).is_err());
    assert_eq!(Journal::open(disk(), dir.path()).expect("a whole journal").state(), journal.state());
}

#[test]
fn a_full_disk_takes_nothing_and_ends_nothing() {
    let disk = crate::io::sim_disk::SimDisk::new();
    let dir = Path::new("/metadata");
    let state = State { identity: Some(voter()), ..State::default() };
    let mut journal = Journal::create(Arc::new(disk.clone()), dir, state).expect("a fresh journal");
    journal.append(vec![entry(1, 0)]).expect("there is room");
    let before = (journal.end, journal.state().clone());
    disk.set_capacity_bytes(usize::try_from(journal.end).expect("a small file") + HEADER_BYTES + 70);
    // A part of it would fit, with whole frames in it.
    let error = journal.append((1..9).map(|index| entry(1, index)).collect()).expect_err("there is no room");
    assert!(is_disk_full(&error));
    assert_eq!((journal.end, journal.state().clone()), before);
    disk.set_capacity_bytes(usize::MAX / 2);
    journal.save_vote(openraft::Vote::new(2, voter())).expect("there is room again");
    let reopened = Journal::open(Arc::new(disk.clone()), dir).expect("a whole journal");
    assert_eq!(reopened.state(), journal.state());
    assert_eq!(reopened.state().entries.len(), 1);
}

/// A journal on a disk in memory, with entries 0 to 8.
fn on_small_disk() -> (crate::io::sim_disk::SimDisk, Journal) {
    let disk = crate::io::sim_disk::SimDisk::new();
    let state = State { identity: Some(voter()), ..State::default() };
    let mut journal = Journal::create(Arc::new(disk.clone()), Path::new("/metadata"), state).expect("a fresh journal");
    journal.append((0..9).map(|index| entry(1, index)).collect()).expect("there is room");
    (disk, journal)
}

#[test]
fn a_purge_on_a_full_disk_forgets_and_leaves_the_file_for_the_next() {
    let (disk, mut journal) = on_small_disk();
    let end = journal.end;
    disk.set_capacity_bytes(usize::try_from(end).expect("a small file") + 30);
    journal.purge(log_id(1, 3)).expect("a full disk is no failure");
    assert_eq!((journal.end, journal.state().purged), (end, Some(log_id(1, 3))));
    assert_eq!(journal.state().entries.keys().copied().collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    assert!(!disk.exists(Path::new("/metadata/journal.tmp")), "the last room is for others");
    let reopened = Journal::open(Arc::new(disk.clone()), Path::new("/metadata")).expect("the file before");
    assert_eq!(reopened.state().entries.len(), 9);
    // What comes later is behind it, and with room the next purge takes all.
    disk.set_capacity_bytes(usize::MAX / 2);
    journal.append(vec![entry(2, 9)]).expect("there is room again");
    journal.purge(log_id(1, 7)).expect("there is room again");
    let reopened = Journal::open(Arc::new(disk.clone()), Path::new("/metadata")).expect("a whole journal");
    assert_eq!(reopened.state(), journal.state());
    assert_eq!(reopened.state().entries.keys().copied().collect::<Vec<_>>(), [8, 9]);
}

#[test]
fn a_purge_beyond_the_log_waits_for_room() {
    let (disk, mut journal) = on_small_disk();
    let before = journal.state().clone();
    disk.set_capacity_bytes(usize::try_from(journal.end).expect("a small file") + 30);
    let error = journal.purge(log_id(3, 100)).expect_err("entries behind it would leave a hole");
    assert!(is_disk_full(&error));
    assert_eq!(*journal.state(), before);
    disk.set_capacity_bytes(usize::MAX / 2);
    journal.purge(log_id(3, 100)).expect("there is room again");
    journal.append(vec![entry(3, 101)]).expect("there is room again");
    let reopened = Journal::open(Arc::new(disk.clone()), Path::new("/metadata")).expect("a whole journal");
    assert_eq!(reopened.state().entries.keys().copied().collect::<Vec<_>>(), [101]);
}

#[test]
fn a_purge_that_fails_otherwise_ends_the_journal() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut journal, _) = busy(dir.path());
    // A directory in the place of the temporary file.
    std::fs::create_dir(dir.path().join("journal.tmp")).expect("a directory");
    journal.purge(log_id(1, 0)).expect_err("it cannot be written");
    assert!(journal.append(vec![entry(3, 2)]).is_err());
}
