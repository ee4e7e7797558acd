//! The disk door: files, directories, and the barriers that make them survive a power cut.
//!
//! What is written is in the page cache only. A file's bytes are on stable storage after [`DiskFile::sync_data`]; its name
//! (a creation, rename or removal) after [`Disk::sync_dir`] of its directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// One file system, or a simulation of one. Paths are absolute or relative to the process as with `std::fs`.
pub trait Disk: Send + Sync {
    /// Opens an existing file for reading and writing, or creates it empty when `create` says so.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn exists(&self, path: &Path) -> bool;
    /// The names in a directory, sorted.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Moves a file or directory over whatever stands at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals inside the directory survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// How large the volume is that a directory lies on, and how much of it is free.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Takes the lock of a file, created when missing, until the answer is dropped; `None` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;
    /// Replaces the file at `path` as a whole: after a power cut it holds either the old content or the new. Does what
    /// [`Disk::sync_dir`] does for its directory.
    fn write_atomically(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let write = || {
            let file = self.open(&temporary, true)?;
            file.truncate(0)?;
            file.write_all_at(&mut [IoSlice::new(content)], 0)?;
            file.sync_data()
        };
        if let Err(error) = write() {
            // What a full disk took of it must not keep the last room from others. Best effort: the next one begins with it.
            let _ = self.remove_file(&temporary);
            return Err(error);
        }
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }
}

/// The room on a volume, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    /// What this process may still write: less than what is free, where some of that is kept for the superuser.
    pub usable_bytes: u64,
}

/// A file of a person's, to be read from its start to its end: no part of the data, and so not behind [`Disk`].
pub fn open_to_read(path: &Path) -> io::Result<impl io::Read + Send + use<>> {
    std::fs::File::open(path)
}

/// Whether a write failed for want of room: the one error after which a directory is still to be trusted.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero)
}

/// Whether an operation failed because this process, or the system, has too many files open: that passes, and says nothing about
/// the disk.
pub fn is_out_of_files(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error).contains(&code))
}

/// A held lock; dropping it lets it go.
pub trait DiskLock: Send + Sync {}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// One open file. All positions are in bytes from its start; there is no cursor.
pub trait DiskFile: Send + Sync {
    /// Writes all slices one behind the other at `position`; on an error any part of them may have been written.
    fn write_all_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Reads up to the buffer's length; fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Cuts or extends (with zeros) the file.
    fn truncate(&self, len: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Puts the content and length on stable storage. After an error the file must never be trusted or synced again.
    fn sync_data(&self) -> io::Result<()>;
    /// Last modification, in ms since the Unix epoch.
    fn modified_ms(&self) -> io::Result<i64>;
    /// The descriptor for `sendfile`; `None` on a simulated disk.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Arc::new(SystemFile { file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        // Most files that are read whole are small, and there are thousands of them: their sizes are not asked for first.
        let mut content = vec![0; SMALL_FILE_BYTES];
        let mut filled = 0;
        loop {
            match file.read_at(&mut content[filled..], filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if filled == content.len() {
                content.resize(content.len() * 2, 0);
            }
        }
        content.truncate(filled);
        Ok(content)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { total_bytes: bytes(found.f_blocks), usable_bytes: bytes(found.f_bavail) })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(SystemLock::take(path)?.map(|lock| Box::new(lock) as Box<dyn DiskLock>))
    }
}

struct SystemLock {
    file: File,
}

impl SystemLock {
    fn take(path: &Path) -> io::Result<Option<SystemLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // Java takes a record lock, which a second broker in this process would get too: `flock` stops that one.
        let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .and_then(|()| rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive));
        match taken {
            Ok(()) => Ok(Some(SystemLock { file })),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl DiskLock for SystemLock {}

impl Drop for SystemLock {
    fn drop(&mut self) {
        // To close is not enough: a process that was forked a moment ago has the file open too until it runs its own program.
        // When this fails, the lock goes with the last of them.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

struct SystemFile {
    file: File,
}

impl DiskFile for SystemFile {
    fn write_all_at(&self, mut slices: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        // An empty slice at the front would make a write of 0 bytes look like a full disk.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let batch = &slices[..slices.len().min(IOV_MAX)];
            match rustix::io::pwritev(&self.file, batch, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let modified = self.file.metadata()?.modified()?;
        let since_epoch = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

/// What a file is expected to have that is read as a whole.
const SMALL_FILE_BYTES: usize = 1024;

/// Linux takes at most this many slices in one call (`UIO_MAXIOV`).
const IOV_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_is_free_although_a_forked_process_has_its_file_open_yet() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join(".lock");
        let lock = SystemLock::take(&path).expect("a file").expect("nobody has it");
        assert!(SystemDisk.lock(&path).expect("a file").is_none());
        // What a fork gives its child: the same open file.
        let forked = lock.file.try_clone().expect("a second descriptor");
        drop(lock);
        assert!(SystemDisk.lock(&path).expect("a file").is_some());
        drop(forked);
    }
}
