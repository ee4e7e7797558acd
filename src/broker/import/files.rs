//! What is copied of a log, and what may be linked.
//!
//! A link is the source's own file, so that only what is never written again may be one: the records of segments that are finished
//! and whole. The active segment grows here, one behind the recovery point may have a torn tail to be cut, and indexes and snapshots
//! are rebuilt in place when they are broken: those are copied always. Retention and compaction take away names, and never write
//! in a finished segment.

use std::path::{Path, PathBuf};

use super::{ImportError, Progress};
use crate::io::foreign;
use crate::model::Offset;

/// One file to be brought over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedFile {
    pub name: String,
    pub bytes: u64,
    pub is_linked: bool,
}

/// The files of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub from: PathBuf,
    pub to: PathBuf,
    pub files: Vec<PlannedFile>,
}

/// Suffixes of what belongs to a segment; with `.swap` or `.cleaned` behind it a compaction was under way.
const SEGMENT_SUFFIXES: [&str; 5] = ["log", "index", "timeindex", "txnindex", "snapshot"];
const OTHER_FILES: [&str; 2] = ["leader-epoch-checkpoint", "partition.metadata"];

impl Plan {
    /// What of a log's directory is brought over. `linkable_to` is the offset below which whole segments may be linked, if any.
    pub fn of(from: PathBuf, to: PathBuf, linkable_to: Option<Offset>) -> Result<Plan, ImportError> {
        let unreadable = |source| ImportError::Unreadable { path: from.clone(), source };
        let found = foreign::list(&from).map_err(unreadable)?;
        let wanted = found.into_iter().filter(|file| !file.is_dir && is_wanted(&file.name));
        let mut files: Vec<PlannedFile> =
            wanted.map(|file| PlannedFile { name: file.name, bytes: file.bytes, is_linked: false }).collect();
        let is_settled = !files.iter().any(|file| file.name.ends_with(".swap") || file.name.ends_with(".cleaned"));
        if let Some(limit) = linkable_to.filter(|_| is_settled) {
            link_below(&mut files, limit);
        }
        Ok(Plan { from, to, files })
    }

    /// Bytes that are copied.
    pub fn copied_bytes(&self) -> u64 {
        self.files.iter().filter(|file| !file.is_linked).map(|file| file.bytes).sum()
    }

    /// Bytes that are linked.
    pub fn linked_bytes(&self) -> u64 {
        self.files.iter().filter(|file| file.is_linked).map(|file| file.bytes).sum()
    }

    /// Carries it out, in a directory that is there and empty.
    pub fn carry_out(&self, progress: &mut Progress<'_>) -> Result<(), ImportError> {
        for file in &self.files {
            let (from, to) = (self.from.join(&file.name), self.to.join(&file.name));
            if file.is_linked {
                link(&from, &to)?;
                progress.add(file.bytes);
                continue;
            }
            foreign::copy(&from, &to, &mut |bytes| progress.add(bytes)).map_err(|source| ImportError::NotCopied {
                from,
                to,
                source,
            })?;
        }
        Ok(())
    }
}

/// Links one file, and says what can be done where that does not work.
fn link(from: &Path, to: &Path) -> Result<(), ImportError> {
    foreign::link(from, to).map_err(|source| ImportError::NotLinked {
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    })
}

fn link_below(files: &mut [PlannedFile], limit: Offset) {
    let starts: Vec<Offset> = files.iter().filter_map(|file| segment_start(&file.name)).collect();
    for file in files {
        let Some(start) = segment_start(&file.name) else { continue };
        let next = starts.iter().find(|other| **other > start);
        file.is_linked = next.is_some_and(|next| *next <= limit);
    }
}

/// The base offset, if the file holds the records of a segment.
fn segment_start(name: &str) -> Option<Offset> {
    let offset = name.strip_suffix(".log")?;
    (offset.len() == 20).then(|| offset.parse().ok().map(Offset))?
}

fn is_wanted(name: &str) -> bool {
    if OTHER_FILES.contains(&name) {
        return true;
    }
    let Some((offset, rest)) = name.split_once('.') else { return false };
    let (suffix, state) = rest.split_once('.').unwrap_or((rest, ""));
    let is_offset = offset.len() == 20 && offset.bytes().all(|byte| byte.is_ascii_digit());
    is_offset && SEGMENT_SUFFIXES.contains(&suffix) && matches!(state, "" | "swap" | "cleaned")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], linkable_to: Option<i64>, expected: &[(&str, bool)]) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let from = folder.path().to_owned();
        let plan = Plan::of(from, PathBuf::from("/to"), linkable_to.map(Offset)).unwrap();
        let found: Vec<(&str, bool)> = plan.files.iter().map(|file| (file.name.as_str(), file.is_linked)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn finished_segments_below_the_limit_are_linked_and_nothing_else() {
        let names = [
            "00000000000000000000.index",
            "00000000000000000000.log",
            "00000000000000000005.log",
            "00000000000000000005.snapshot",
            "00000000000000000009.log",
            "leader-epoch-checkpoint",
            "partition.metadata",
        ];
        let with = |first: bool, second: bool| {
            let is_linked = move |name: &str| match name {
                "00000000000000000000.log" => first,
                "00000000000000000005.log" => second,
                _ => false,
            };
            names.map(|name| (name, is_linked(name)))
        };
        check(&names, None, &with(false, false));
        check(&names, Some(i64::MAX), &with(true, true));
        check(&names, Some(9), &with(true, true));
        check(&names, Some(8), &with(true, false));
        check(&names, Some(4), &with(false, false));
    }

    #[test]
    fn nothing_is_linked_where_a_compaction_was_under_way() {
        let names = ["00000000000000000000.log", "00000000000000000000.log.swap", "00000000000000000005.log"];
        check(&names, Some(i64::MAX), &names.map(|name| (name, false)));
    }

    #[test]
    fn what_is_deleted_or_not_of_the_log_stays_behind() {
        let names = ["00000000000000000000.log", "00000000000000000007.log.deleted", "remote_log_snapshot", "x.log"];
        check(&names, None, &[("00000000000000000000.log", false)]);
    }
}
