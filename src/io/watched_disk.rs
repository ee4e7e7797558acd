//! A disk for tests: it passes everything on to another one, and somebody watches what happens to its files.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{DirEntry, Disk, DiskFile, DiskLock, Space};

/// Who watches.
pub trait Watch: Send + Sync + 'static {
    /// A file is to be opened. An error is that of the opening.
    fn opens(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
    fn opened(&self) {}
    /// A file is to be flushed, as soon as this returns. The path is that by which it was opened.
    fn flushes(&self, _path: &Path) {}
    fn closed(&self) {}
}

/// See the head of this file.
pub struct WatchedDisk<D, W> {
    pub disk: D,
    pub watch: Arc<W>,
}

impl<D: Clone, W> Clone for WatchedDisk<D, W> {
    fn clone(&self) -> Self {
        WatchedDisk { disk: self.disk.clone(), watch: Arc::clone(&self.watch) }
    }
}

struct WatchedFile<W: Watch> {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    watch: Arc<W>,
}

impl<W: Watch> Drop for WatchedFile<W> {
    fn drop(&mut self) {
        self.watch.closed();
    }
}

impl<D: Disk, W: Watch> Disk for WatchedDisk<D, W> {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.watch.opens(path)?;
        let file = self.disk.open(path, create)?;
        self.watch.opened();
        Ok(Arc::new(WatchedFile { file, path: path.to_owned(), watch: Arc::clone(&self.watch) }))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.read_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.disk.space(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock(path)
    }
}

impl<W: Watch> DiskFile for WatchedFile<W> {
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
        self.watch.flushes(&self.path);
        self.file.sync_data()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}
