//! What the system says of this process: its memory, files, and processor time. Linux; elsewhere there is nothing to read.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// This process, as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of all its threads, since it was started.
    pub cpu: Duration,
    /// Memory that is really there, in bytes.
    pub resident_bytes: u64,
    /// Addresses that are in use, in bytes.
    pub virtual_bytes: u64,
    /// Bytes that were read from disks for it, and handed to be written to them, since it was started; 0 where the system does
    /// not tell.
    pub disk_read_bytes: u64,
    pub disk_write_bytes: u64,
    /// Files and sockets that are open.
    pub open_files: usize,
    /// How many may be; `None` without a limit.
    pub open_files_max: Option<u64>,
}

impl Usage {
    pub fn now() -> Usage {
        let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(0);
        let memory = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
        Usage {
            cpu: process_cpu(),
            resident_bytes: number(&memory, 1).saturating_mul(page_bytes),
            virtual_bytes: number(&memory, 0).saturating_mul(page_bytes),
            disk_read_bytes: named(&io, "read_bytes:"),
            disk_write_bytes: named(&io, "write_bytes:"),
            open_files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            open_files_max: getrlimit(Resource::Nofile).current,
        }
    }
}

/// How many files and sockets this process may have open; `None` without a limit.
#[cfg(not(feature = "sim"))]
pub fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// In a simulation so few that files are closed for others all the time.
#[cfg(feature = "sim")]
pub fn open_files_max() -> Option<u64> {
    Some(16)
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// One of the numbers of `statm`, which counts pages: all, resident, and others.
fn number(text: &str, place: usize) -> u64 {
    text.split(' ').nth(place).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The number on the line that begins so.
fn named(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// The processor time of this process's threads whose names begin so, since each was started.
pub fn threads_cpu(prefix: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_thread = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        // The first number of `schedstat`: time on a processor, in ns.
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ns = stat.split(' ').next()?.parse().ok()?;
        name.starts_with(prefix).then(|| Duration::from_nanos(ns))
    };
    tasks.filter_map(of_thread).sum()
}

#[cfg(all(test, not(feature = "sim")))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_to_work() {
        let before = Usage::now();
        assert!(before.resident_bytes > 1 << 20 && before.virtual_bytes > before.resident_bytes, "{before:?}");
        assert!(before.open_files >= 3 && before.open_files_max.is_none_or(|max| max >= 3), "{before:?}");
        let file = fs::File::open("/proc/self/stat").expect("a file");
        let sum: u64 = (0..10_000_000_u64).map(std::hint::black_box).sum();
        let after = Usage::now();
        assert!(after.cpu > before.cpu, "{sum}");
        drop(file);
        let io = "wchar: 7\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 3\n";
        assert_eq!((named(io, "read_bytes:"), named(io, "write_bytes:"), named(io, "none:")), (4096, 8192, 0));
    }
}
