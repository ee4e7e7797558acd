//! Kafka's two sparse indexes: offset → position, and timestamp → offset.
//!
//! An index is a cache of its segment. It has no checksum, and zeros decode as entries; so entries must rise strictly, and
//! whoever follows one checks the batch that it points at. Entries wait in memory until there are enough for one write; what a
//! crash takes from the end is found again by walking the segment from the last entry.

use std::io::{self, IoSlice};

use crate::io::disk::DiskFile;

/// One entry of an index file.
pub(crate) trait IndexEntry: Copy + std::fmt::Debug + PartialEq {
    const BYTES: usize;
    /// What entries are sorted and searched by.
    type Key: Ord + Copy;
    fn key(&self) -> Self::Key;
    /// Whether `next` may stand behind this entry.
    fn precedes(&self, next: &Self) -> bool;
    fn encode(&self, buffer: &mut Vec<u8>);
    /// Reads an entry from exactly `BYTES` bytes.
    fn decode(bytes: &[u8]) -> Self;
}

/// A batch at `position` holds the offset that lies `relative_offset` behind the segment's base (`OffsetIndex`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub relative_offset: u32,
    pub position: u32,
}

impl IndexEntry for OffsetEntry {
    const BYTES: usize = 8;
    type Key = u32;

    fn key(&self) -> u32 {
        self.relative_offset
    }

    fn precedes(&self, next: &OffsetEntry) -> bool {
        self.relative_offset < next.relative_offset && self.position < next.position
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.relative_offset.to_be_bytes());
        buffer.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> OffsetEntry {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        OffsetEntry { relative_offset: number(0), position: number(4) }
    }
}

/// No batch up to the offset has a greater timestamp (`TimeIndex`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub timestamp_ms: i64,
    pub relative_offset: u32,
}

impl IndexEntry for TimeEntry {
    const BYTES: usize = 12;
    type Key = i64;

    fn key(&self) -> i64 {
        self.timestamp_ms
    }

    fn precedes(&self, next: &TimeEntry) -> bool {
        self.timestamp_ms < next.timestamp_ms && self.relative_offset <= next.relative_offset
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        buffer.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> TimeEntry {
        TimeEntry {
            timestamp_ms: i64::from_be_bytes(bytes[..8].try_into().expect("8 bytes")),
            relative_offset: u32::from_be_bytes(bytes[8..12].try_into().expect("4 bytes")),
        }
    }
}

/// The entries of one index: those in its file, then those that wait to be written.
#[derive(Clone, Debug)]
pub(crate) struct SparseIndex<E> {
    in_file: u32,
    pending: Vec<E>,
    last: Option<E>,
}

impl<E: IndexEntry> SparseIndex<E> {
    pub fn new() -> SparseIndex<E> {
        SparseIndex { in_file: 0, pending: Vec::new(), last: None }
    }

    /// An index whose entries all stand in its file.
    pub fn in_file(count: u32, last: Option<E>) -> SparseIndex<E> {
        SparseIndex { in_file: count, pending: Vec::new(), last }
    }

    pub fn len(&self) -> u32 {
        self.in_file + u32::try_from(self.pending.len()).expect("few entries wait")
    }

    pub fn last(&self) -> Option<E> {
        self.last
    }

    pub fn in_file_count(&self) -> u32 {
        self.in_file
    }

    pub fn pending(&self) -> &[E] {
        &self.pending
    }

    /// Adds an entry; one that does not follow the last is left out, as a sparse index may.
    pub fn push(&mut self, entry: E) {
        if self.last.is_none_or(|last| last.precedes(&entry)) {
            self.pending.push(entry);
            self.last = Some(entry);
        }
    }

    /// The bytes of the entries that wait, and where in the file they belong.
    pub fn encode_pending(&self) -> (Vec<u8>, u64) {
        let mut bytes = Vec::with_capacity(self.pending.len() * E::BYTES);
        self.pending.iter().for_each(|entry| entry.encode(&mut bytes));
        (bytes, u64::from(self.in_file) * E::BYTES as u64)
    }

    /// The first `count` waiting entries are in the file now.
    pub fn on_written(&mut self, count: usize) {
        self.pending.drain(..count);
        self.in_file += u32::try_from(count).expect("few entries wait");
    }

    /// Drops what waits, because it could not be written. The index is sparser for it, not wrong.
    pub fn drop_pending(&mut self, last_in_file: Option<E>) {
        self.pending.clear();
        self.last = last_in_file;
    }

    /// The last waiting entry whose key is at most `key`.
    pub fn floor_pending(&self, key: E::Key) -> Option<E> {
        let above = self.pending.partition_point(|entry| entry.key() <= key);
        above.checked_sub(1).map(|index| self.pending[index])
    }
}

/// The last of the first `count` entries of a file whose key is at most `key`.
pub(crate) fn floor_in_file<E: IndexEntry>(file: &dyn DiskFile, count: u32, key: E::Key) -> io::Result<Option<E>> {
    /// Once so few are left, one read brings them all.
    const BLOCK: u32 = 64;
    let (mut low, mut high) = (0, count);
    // Once above 0, entry `low` has a key at most `key`; all from `high` on have greater ones.
    while high - low > BLOCK {
        let middle = low + (high - low) / 2;
        let entry = read_entries::<E>(file, middle, 1)?.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        if entry.key() <= key {
            low = middle;
        } else {
            high = middle;
        }
    }
    let entries = read_entries::<E>(file, low, high - low)?;
    let above = entries.partition_point(|entry| entry.key() <= key);
    Ok(above.checked_sub(1).map(|index| entries[index]))
}

/// Up to `count` entries from number `first` on; fewer when the file ends.
pub(crate) fn read_entries<E: IndexEntry>(file: &dyn DiskFile, first: u32, count: u32) -> io::Result<Vec<E>> {
    let mut bytes = vec![0; count as usize * E::BYTES];
    let read = file.read_at(&mut bytes, u64::from(first) * E::BYTES as u64)?;
    Ok(bytes[..read].chunks_exact(E::BYTES).map(E::decode).collect())
}

/// Writes entries over the file from `position` on.
pub(crate) fn write_entries(file: &dyn DiskFile, bytes: &[u8], position: u64) -> io::Result<()> {
    file.write_all_at(&mut [IoSlice::new(bytes)], position)
}

/// Reads a whole index file and checks that it can be one: entries that rise strictly, and none half written. `None` when not.
pub(crate) fn read_index<E: IndexEntry>(file: &dyn DiskFile) -> io::Result<Option<Vec<E>>> {
    let len = file.len()?;
    let entry_bytes = E::BYTES as u64;
    let Ok(count) = u32::try_from(len / entry_bytes) else { return Ok(None) };
    if len % entry_bytes != 0 {
        return Ok(None);
    }
    let entries = read_entries::<E>(file, 0, count)?;
    let rises = entries.windows(2).all(|pair| pair[0].precedes(&pair[1]));
    Ok((rises && entries.len() == count as usize).then_some(entries))
}

/// The count of a file's entries and the last of them; `None` when an entry is half written.
pub(crate) fn read_index_end<E: IndexEntry>(file: &dyn DiskFile) -> io::Result<Option<(u32, Option<E>)>> {
    let len = file.len()?;
    let entry_bytes = E::BYTES as u64;
    let Ok(count) = u32::try_from(len / entry_bytes) else { return Ok(None) };
    if len % entry_bytes != 0 {
        return Ok(None);
    }
    let Some(last) = count.checked_sub(1) else { return Ok(Some((0, None))) };
    Ok(read_entries::<E>(file, last, 1)?.pop().map(|entry| (count, Some(entry))))
}
