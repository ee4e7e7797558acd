//! Where a log lies on disk, until it lies there no more.
//!
//! A log's files are opened by their path when they are first needed. When a topic is deleted its directory is renamed, and a
//! topic created anew under its name makes a directory at the old path. Whoever still reads the old log must never be given a
//! file of the new one: so the place is left before the directory is renamed, and nothing is opened in a place that was left.

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::disk::DiskFile;
use crate::log::log_dir::LogDir;

/// A log's directory. Shared by the log and its segments.
pub(crate) struct Place {
    path: PathBuf,
    is_left: AtomicBool,
}

impl Place {
    pub fn new(path: PathBuf) -> Arc<Place> {
        Arc::new(Place { path, is_left: AtomicBool::new(false) })
    }

    /// From now on no file is opened here. Files that are open stay readable.
    pub fn leave(&self) {
        self.is_left.store(true, Ordering::SeqCst);
    }

    /// Whether the log lies here no more.
    pub fn is_left(&self) -> bool {
        self.is_left.load(Ordering::SeqCst)
    }

    /// As [`LogDir::open_file`], of a file in this directory. Error: `NotFound` when the place was left.
    pub fn open(&self, log_dir: &LogDir, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        let file = log_dir.open_file(path, create)?;
        // Asked again: if the place has not been left by now, the directory was not yet renamed when the file was opened.
        self.check()?;
        Ok(file)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_left() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the log is deleted, its directory has gone"));
        }
        Ok(())
    }
}

impl Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}
