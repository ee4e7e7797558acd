//! Files of another program: listed, guarded, copied and linked, and never written.
//!
//! Everything here opens what it is given for reading alone, so that a volume that is mounted read-only will do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Bytes copied between two words of progress.
const COPY_BYTES: u64 = 64 << 20;

/// A name in a directory, and what is behind it; links are followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignFile {
    pub name: String,
    pub is_dir: bool,
    pub bytes: u64,
}

/// What is in a directory, sorted by name. Names that are not UTF-8 are left out.
pub fn list(dir: &Path) -> io::Result<Vec<ForeignFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let found = fs::metadata(entry.path())?;
        files.push(ForeignFile { name, is_dir: found.is_dir(), bytes: found.len() });
    }
    files.sort();
    Ok(files)
}

/// Keeps the owner of a lock file from taking it; dropping it lets him.
pub struct Guard {
    _file: File,
}

/// Guards a lock file that its owner takes for himself alone, as Kafka and this server do. `None` when he has it.
pub fn guard(path: &Path) -> io::Result<Option<Guard>> {
    let file = File::open(path)?;
    let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)
        .and_then(|()| rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockShared));
    match taken {
        Ok(()) => Ok(Some(Guard { _file: file })),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies a file to a new name; `copied` is told of every part. Where the file system can share blocks, it does.
pub fn copy(from: &Path, to: &Path, copied: &mut dyn FnMut(u64)) -> io::Result<()> {
    let source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).open(to)?;
    loop {
        let bytes = io::copy(&mut (&source).take(COPY_BYTES), &mut target)?;
        if bytes == 0 {
            return Ok(());
        }
        copied(bytes);
    }
}

/// Gives a file another name. Error: `CrossesDevices` when that is on another file system.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}

/// Puts everything that was written to the volume of a directory on stable storage.
pub fn sync_volume(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// The path without links and dots, to tell whether two are one.
pub fn real_path(path: &Path) -> io::Result<std::path::PathBuf> {
    fs::canonicalize(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::{Disk, SystemDisk};

    #[test]
    fn a_guard_and_an_owner_exclude_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let owner = SystemDisk.lock(&path).unwrap();
        assert!(guard(&path).unwrap().is_none());
        drop(owner);
        let held = guard(&path).unwrap();
        assert!(held.is_some() && guard(&path).unwrap().is_some(), "guards do not exclude each other");
        assert!(SystemDisk.lock(&path).unwrap().is_none());
        drop(held);
        assert!(SystemDisk.lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_copy_has_the_bytes_and_never_replaces_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, b"bytes").unwrap();
        let mut told = 0;
        copy(&from, &to, &mut |bytes| told += bytes).unwrap();
        assert_eq!((fs::read(&to).unwrap().as_slice(), told), (&b"bytes"[..], 5));
        assert_eq!(copy(&from, &to, &mut |_| ()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(link(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        sync_volume(folder.path()).unwrap();
    }
}
