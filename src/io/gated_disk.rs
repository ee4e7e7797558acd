//! A disk for tests of what waits for a flush, and of what does not.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::disk::{DirEntry, Disk, DiskFile, DiskLock, Space, SystemDisk};

/// Longer than anything here takes; a test that reaches it fails.
const LIMIT: Duration = Duration::from_secs(20);

/// The operating system's files, where flushes of one directory's files wait until the gate is opened.
#[derive(Clone)]
pub struct GatedDisk {
    directory: &'static str,
    gate: Arc<Gate>,
}

impl GatedDisk {
    /// The gate, closed, before the files of every directory of this name.
    pub fn new(directory: &'static str) -> GatedDisk {
        GatedDisk { directory, gate: Arc::default() }
    }

    /// Returns when a flush waits at the gate.
    pub fn await_one(&self) {
        self.gate.moved.wait_while_for(&mut self.gate.state.lock(), |state| state.waiting_count == 0, LIMIT);
    }

    pub fn is_waited_for(&self) -> bool {
        self.gate.state.lock().waiting_count > 0
    }

    /// Lets everything pass from now on.
    pub fn open_gate(&self) {
        self.gate.state.lock().is_open = true;
        self.gate.moved.notify_all();
    }
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
}

struct GatedFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl Disk for GatedDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = SystemDisk.open(path, create)?;
        let is_gated = path.parent().is_some_and(|parent| parent.ends_with(self.directory));
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
    fn space(&self, path: &Path) -> io::Result<Space> {
        SystemDisk.space(path)
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
