//! A log on a simulated disk.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::io::disk::Disk;
use crate::io::sim_disk::SimDisk;

pub(super) const DIR: &str = "/data/t-0";

/// Small segments and index intervals, so that a few batches make several of both.
pub(super) fn options() -> LogOptions {
    LogOptions { segment_bytes: 600, index_interval_bytes: 100, ..LogOptions::default() }
}

/// Opens as after a crash, with nothing known from checkpoints.
pub(super) fn open(disk: &SimDisk, options: &LogOptions) -> (Arc<LogDir>, Log) {
    let log_dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data")).unwrap();
    let (log, _) = open_in(&log_dir, options, 0).unwrap();
    (log_dir, log)
}

pub(super) fn open_in(
    log_dir: &Arc<LogDir>,
    options: &LogOptions,
    recovery_point: i64,
) -> Result<(Log, Recovered), LogError> {
    let open = OpenLog {
        name: "t-0",
        topic_id: TopicId::ZERO,
        options: Arc::new(options.clone()),
        recovery_point: Offset(recovery_point),
        log_start_offset: Offset::ZERO,
        clean_shutdown: false,
        may_have_gaps: false,
        now: NOW,
    };
    Log::open(log_dir, &open)
}

/// Bytes of all files of the log.
pub(super) fn used_bytes(disk: &SimDisk) -> usize {
    let dir = Path::new(DIR);
    disk.read_dir(dir).unwrap().iter().map(|entry| disk.read(&dir.join(&entry.name)).unwrap().len()).sum()
}
