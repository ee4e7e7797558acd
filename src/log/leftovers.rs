//! What a stopped deletion or compaction left in a log's directory.
//!
//! As `LogLoader.removeTempFilesAndCollectSwapFiles` of Apache Kafka 4.3.1: `.deleted` and `.cleaned` go; a whole set of `.swap`
//! replaces the segments that it was made from, unless a `.cleaned` shows that the set is not whole.

use std::collections::BTreeSet;
use std::path::Path;

use crate::log::compaction::{CLEANED_SUFFIX, SWAP_SUFFIX};
use crate::log::error::LogError;
use crate::log::log_dir::LogDir;
use crate::log::scan::Scan;
use crate::log::segment::{DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
use crate::model::Offset;

const SEGMENT_SUFFIXES: [&str; 4] = [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX];

/// A file name split at its dots, when it begins with an offset: base offset, suffix, and what is behind the suffix.
fn parse(name: &str) -> Option<(Offset, &str, &str)> {
    let (offset, rest) = name.split_once('.')?;
    let offset = (offset.len() == 20).then(|| offset.parse().ok())??;
    let (suffix, state) = rest.split_once('.').unwrap_or((rest, ""));
    Some((Offset(offset), suffix, state))
}

/// Removes and renames what must be, and answers the names of the files that are left.
pub(crate) fn clean(log_dir: &LogDir, dir: &Path) -> Result<BTreeSet<String>, LogError> {
    let disk = log_dir.disk();
    let list = || -> Result<Vec<String>, LogError> {
        let entries = disk.read_dir(dir).map_err(LogError::io("list", dir))?;
        Ok(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
    };
    let remove = |name: &str| {
        let path = dir.join(name);
        disk.remove_file(&path).map_err(LogError::io("remove", path))
    };
    let mut names = list()?;
    let states = |state: &'static str| move |name: &&String| parse(name).is_some_and(|parsed| parsed.2 == state);
    if names.iter().any(|name| name.ends_with(SWAP_SUFFIX) || name.ends_with(CLEANED_SUFFIX)) {
        let cleaned = names.iter().filter(states(CLEANED_SUFFIX)).filter_map(|name| parse(name)).map(|file| file.0);
        let incomplete_from = cleaned.min().unwrap_or(Offset(i64::MAX));
        for name in names.iter().filter(states(CLEANED_SUFFIX)) {
            remove(name)?;
        }
        for name in names.iter().filter(states(SWAP_SUFFIX)) {
            if parse(name).is_some_and(|file| file.0 >= incomplete_from) {
                remove(name)?;
            }
        }
        finish_swap(log_dir, dir, &list()?)?;
        names = list()?;
    }
    let mut kept: BTreeSet<String> = names.into_iter().collect();
    let bases = base_offsets(&kept);
    let goes = |name: &String| {
        let Some((offset, suffix, state)) = parse(name) else { return false };
        let has_log = bases.binary_search(&offset).is_ok();
        state == DELETED_SUFFIX || state.is_empty() && SEGMENT_SUFFIXES.contains(&suffix) && !has_log
    };
    for name in kept.extract_if(.., goes) {
        remove(&name)?;
    }
    Ok(kept)
}

/// The base offsets of the segments whose logs are among these files, rising.
pub(crate) fn base_offsets(names: &BTreeSet<String>) -> Vec<Offset> {
    let is_log = |file: &(Offset, &str, &str)| file.1 == LOG_SUFFIX && file.2.is_empty();
    let mut offsets: Vec<Offset> =
        names.iter().filter_map(|name| parse(name)).filter(is_log).map(|file| file.0).collect();
    offsets.sort();
    offsets.dedup();
    offsets
}

/// Puts the `.swap` files in the place of the segments whose offsets they span. An index whose log is not among them is of a
/// segment that is in its place already, or of one that was given up: nobody can tell, and it is rebuilt.
fn finish_swap(log_dir: &LogDir, dir: &Path, names: &[String]) -> Result<(), LogError> {
    let disk = log_dir.disk();
    let swaps: Vec<(&String, Offset, &str)> = names
        .iter()
        .filter_map(|name| parse(name).map(|(offset, suffix, state)| (name, offset, suffix, state)))
        .filter(|file| file.3 == SWAP_SUFFIX)
        .map(|(name, offset, suffix, _)| (name, offset, suffix))
        .collect();
    let logs: BTreeSet<Offset> =
        swaps.iter().filter(|swap| swap.2 == LOG_SUFFIX).map(|(_, offset, _)| *offset).collect();
    let (swaps, stray): (Vec<_>, Vec<_>) = swaps.into_iter().partition(|(_, offset, _)| logs.contains(offset));
    for (name, ..) in stray {
        let path = dir.join(name);
        disk.remove_file(&path).map_err(LogError::io("remove", path))?;
    }
    let mut span: Option<(Offset, Offset)> = None;
    for (name, offset, _) in swaps.iter().filter(|swap| swap.2 == LOG_SUFFIX) {
        let path = dir.join(name);
        let file = disk.open(&path, false).map_err(LogError::io("open", &path))?;
        let len = file.len().map_err(LogError::io("read", &path))?;
        let mut scan = Scan::headers(file, 0, len);
        let mut end = *offset;
        while let Ok(Some(batch)) = scan.next() {
            end = batch.header.next_offset();
        }
        let (first, last) = span.unwrap_or((*offset, end));
        span = Some((first.min(*offset), last.max(end)));
    }
    if let Some((first, end)) = span {
        for name in names {
            let replaced = parse(name).is_some_and(|(offset, suffix, state)| {
                state.is_empty() && SEGMENT_SUFFIXES.contains(&suffix) && offset >= first && offset < end
            });
            if replaced {
                let path = dir.join(name);
                disk.remove_file(&path).map_err(LogError::io("remove", path))?;
            }
        }
        // An old index must not come back beside a new log.
        log_dir.sync_dir(dir)?;
    }
    for (name, _, _) in swaps {
        let from = dir.join(name);
        let to = dir.join(name.strip_suffix(".swap").expect("filtered by its suffix"));
        disk.rename(&from, &to).map_err(LogError::io("rename", from))?;
    }
    log_dir.sync_dir(dir)
}
