//! The three files of a segment, opened when they are needed and closed when others need the descriptors more.
//!
//! Invariant: once the names are not the segment's any more ([`SegmentFiles::leave_names`]), nothing is opened by them and nothing is
//! closed: what is found there may be another segment's, and what is open can never be opened again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::io::disk::DiskFile;
use crate::log::descriptors::Descriptors;

/// Which of a segment's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Log,
    Index,
    TimeIndex,
}

/// Files on their way to being closed; dropping them closes them, unless somebody is reading them.
pub(crate) type Closed = SmallVec<[Arc<dyn DiskFile>; 8]>;

/// See the head of this file.
pub(crate) struct SegmentFiles {
    descriptors: Arc<Descriptors>,
    held: Mutex<Held>,
    /// Whether the log file has been written to since its last flush began.
    is_unflushed: AtomicBool,
}

#[derive(Default)]
struct Held {
    /// In the order of [`Kind`].
    open: [Option<Arc<dyn DiskFile>>; 3],
    /// Asked for since the clock last came by.
    is_used: bool,
    /// Whether the clock knows of these files.
    is_listed: bool,
    /// Nothing is closed.
    is_kept: bool,
    /// Nothing is opened either.
    is_nameless: bool,
}

impl Held {
    fn open_count(&self) -> usize {
        self.open.iter().flatten().count()
    }
}

impl SegmentFiles {
    pub fn new(descriptors: Arc<Descriptors>) -> Arc<SegmentFiles> {
        Arc::new(SegmentFiles { descriptors, held: Mutex::default(), is_unflushed: AtomicBool::new(false) })
    }

    /// The file, opened by `open` if it is not. Error: `NotFound` when it is not open and its name is another's.
    pub fn get(
        self: &Arc<SegmentFiles>,
        kind: Kind,
        open: impl Fn() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let mut held = self.held.lock();
        held.is_used = true;
        if let Some(file) = &held.open[kind as usize] {
            return Ok(Arc::clone(file));
        }
        if held.is_nameless {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the segment is deleted, its names have gone"));
        }
        let file = self.descriptors.with_room(open)?;
        held.open[kind as usize] = Some(Arc::clone(&file));
        let is_listed = std::mem::replace(&mut held.is_listed, true);
        drop(held);
        self.descriptors.opened((!is_listed).then(|| Arc::downgrade(self)));
        Ok(file)
    }

    /// The log file has been written to. Called by who still holds the file: it is not closed before.
    pub fn note_written(&self) {
        self.is_unflushed.store(true, Ordering::Release);
    }

    /// A flush of the log file begins.
    pub fn note_flush(&self) {
        self.is_unflushed.store(false, Ordering::Release);
    }

    /// From now on nothing is closed.
    pub fn keep(&self) {
        self.held.lock().is_kept = true;
    }

    /// From now on nothing is closed, and nothing is opened by its name.
    pub fn leave_names(&self) {
        let mut held = self.held.lock();
        (held.is_kept, held.is_nameless) = (true, true);
    }

    /// The names are the segment's own, after all.
    pub fn release(&self) {
        let mut held = self.held.lock();
        (held.is_kept, held.is_nameless) = (false, false);
    }

    /// Whether the names are the segment's no more.
    pub fn is_nameless(&self) -> bool {
        self.held.lock().is_nameless
    }

    /// Closes what may be closed, although it was used.
    pub fn close(&self) {
        let (mut closed, mut has_unflushed) = (Closed::new(), false);
        self.close_held(&mut self.held.lock(), &mut closed, &mut has_unflushed);
        self.descriptors.forgotten(closed.len());
    }

    /// Hands over what may be closed, unless it was used since the last look. Answers whether the clock is to come by again.
    pub fn close_if_unused(&self, closed: &mut Closed, has_unflushed: &mut bool) -> bool {
        // Whoever holds the lock is using them.
        let Some(mut held) = self.held.try_lock() else { return true };
        if std::mem::take(&mut held.is_used) {
            return true;
        }
        self.close_held(&mut held, closed, has_unflushed);
        held.is_listed = held.open_count() > 0;
        held.is_listed
    }

    fn close_held(&self, held: &mut Held, closed: &mut Closed, has_unflushed: &mut bool) {
        if held.is_kept {
            return;
        }
        for (kind, place) in held.open.iter_mut().enumerate() {
            let Some(file) = place else { continue };
            // A second owner is reading or writing it. One who has written notes so before it lets go.
            if Arc::get_mut(file).is_none() {
                continue;
            }
            if kind == Kind::Log as usize && self.is_unflushed.load(Ordering::Acquire) {
                *has_unflushed = true;
                continue;
            }
            closed.extend(place.take());
        }
    }
}

impl Drop for SegmentFiles {
    fn drop(&mut self) {
        self.descriptors.forgotten(self.held.get_mut().open_count());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::io::disk::Disk;
    use crate::io::sim_disk::SimDisk;

    fn open(disk: &SimDisk, files: &Arc<SegmentFiles>, kind: Kind) -> io::Result<Arc<dyn DiskFile>> {
        files.get(kind, || disk.open(Path::new("/file"), true))
    }

    fn many(limit: usize, count: usize) -> (SimDisk, Arc<Descriptors>, Vec<Arc<SegmentFiles>>) {
        let descriptors = Descriptors::new(limit);
        let files = (0..count).map(|_| SegmentFiles::new(Arc::clone(&descriptors))).collect();
        (SimDisk::new(), descriptors, files)
    }

    fn open_ones(files: &[Arc<SegmentFiles>]) -> Vec<usize> {
        (0..files.len()).filter(|index| files[*index].held.lock().open_count() > 0).collect()
    }

    #[test]
    fn what_was_not_asked_for_since_the_last_look_is_closed() {
        let (disk, descriptors, files) = many(3, 5);
        for index in [0, 1, 2] {
            open(&disk, &files[index], Kind::Log).unwrap();
        }
        assert_eq!((open_ones(&files), descriptors.open_count()), (vec![0, 1, 2], 3));
        // All were just used: each gets a second chance, and the oldest one goes.
        open(&disk, &files[3], Kind::Log).unwrap();
        assert_eq!(open_ones(&files), [1, 2, 3]);
        open(&disk, &files[1], Kind::Log).unwrap();
        open(&disk, &files[4], Kind::Log).unwrap();
        assert_eq!((open_ones(&files), descriptors.open_count()), (vec![1, 3, 4], 3));
        drop(files);
        assert_eq!(descriptors.open_count(), 0);
    }

    #[test]
    fn what_is_in_use_or_unflushed_or_kept_stays_open() {
        let (disk, descriptors, files) = many(1, 5);
        let in_use = open(&disk, &files[0], Kind::Log).unwrap();
        open(&disk, &files[1], Kind::Log).unwrap();
        files[1].note_written();
        assert!(!descriptors.must_flush());
        open(&disk, &files[2], Kind::Log).unwrap();
        files[2].keep();
        open(&disk, &files[3], Kind::Log).unwrap();
        assert!(descriptors.must_flush() && !descriptors.must_flush());
        open(&disk, &files[4], Kind::Log).unwrap();
        assert!(open_ones(&files).starts_with(&[0, 1, 2]), "{:?}", open_ones(&files));
        drop(in_use);
        files[1].note_flush();
        open(&disk, &files[3], Kind::Index).unwrap();
        open(&disk, &files[3], Kind::TimeIndex).unwrap();
        assert!(!open_ones(&files).contains(&0) && !open_ones(&files).contains(&1), "{:?}", open_ones(&files));
        assert!(open_ones(&files).contains(&2));
    }

    #[test]
    fn nothing_is_opened_by_a_name_that_is_anothers() {
        let (disk, _, files) = many(3, 1);
        open(&disk, &files[0], Kind::Log).unwrap();
        files[0].leave_names();
        assert!(open(&disk, &files[0], Kind::Log).is_ok(), "it is open");
        assert_eq!(open(&disk, &files[0], Kind::Index).err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }
}
