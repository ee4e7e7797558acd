//! Whether a log has transactions whose outcome would be lost: transactions do not work here yet, so that consumers would be given
//! the records of those that were aborted, or are open, like any others.

use std::collections::BTreeSet;
use std::path::Path;

use crate::io::disk::Disk;
use crate::log::{Log, LogError, ReadRequest, open_transactions};
use crate::model::ProducerId;
use crate::protocol::record_batch::{BatchIter, BatchView};
use crate::protocol::records::RecordIter;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    None,
    Aborted,
    Open,
}

/// Bytes read at once behind the last snapshot of the producers.
const READ_BYTES: usize = 4 << 20;

/// Looks at what Kafka itself keeps of it in `dir`: the indexes of aborted transactions, the newest snapshot of the producers; and
/// at the batches behind that, in the log that was brought over.
pub(super) fn look(disk: &dyn Disk, dir: &Path, log: &Log) -> Result<Unfinished, LogError> {
    let entries = disk.read_dir(dir).map_err(LogError::io("list", dir))?;
    for entry in entries.iter().filter(|entry| entry.name.ends_with(".txnindex")) {
        let path = dir.join(&entry.name);
        if !disk.read(&path).map_err(LogError::io("read", &path))?.is_empty() {
            return Ok(Unfinished::Aborted);
        }
    }
    let end = log.log_end_offset();
    let (snapshot_offset, open) = open_transactions(disk, dir, end)?;
    let mut open: BTreeSet<ProducerId> = open.into_iter().collect();
    let mut offset = snapshot_offset.unwrap_or(log.log_start_offset()).max(log.log_start_offset());
    let failed = |error: &dyn std::fmt::Display| LogError::io("read", dir)(std::io::Error::other(error.to_string()));
    while offset < end {
        let request = ReadRequest { offset, max_bytes: READ_BYTES, upper_bound: end, min_one: true };
        let Some(region) = log.reader().read(request).map_err(|error| failed(&error))? else { break };
        let bytes = region.read().map_err(|error| failed(&error))?;
        let before = offset;
        for batch in BatchIter::new(&bytes).map_while(Result::ok) {
            let header = batch.header;
            if header.is_control() {
                if open.remove(&header.producer_id) && is_abort(&batch) {
                    return Ok(Unfinished::Aborted);
                }
            } else if header.is_transactional() {
                open.insert(header.producer_id);
            }
            offset = offset.max(header.next_offset());
        }
        if offset == before {
            break;
        }
    }
    Ok(if open.is_empty() { Unfinished::None } else { Unfinished::Open })
}

/// Whether a control batch ends a transaction without effect (`ControlRecordType.ABORT`).
fn is_abort(batch: &BatchView<'_>) -> bool {
    let first = RecordIter::new(batch.header, batch.records()).next();
    let key = first.and_then(Result::ok).and_then(|record| record.key);
    key.and_then(|key| key.get(2..4)).is_some_and(|control_type| control_type == [0, 0])
}
