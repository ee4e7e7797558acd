//! The process itself, and how much of its time its cores are idle.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::io::clock;
use crate::io::process::{Usage, threads_cpu};
use crate::metrics::Writer;
use crate::metrics::catalogue as shown;
use crate::server::shared::Shared;

/// The names of the cores' threads begin so.
const CORES: &str = "core-";
/// A shorter time says nothing.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// How long the cores had worked when somebody last looked, and what came of it.
pub struct Idle(Mutex<Looked>);

struct Looked {
    at: Instant,
    cpu: Duration,
    idle: f64,
}

impl Default for Idle {
    fn default() -> Idle {
        Idle(Mutex::new(Looked { at: clock::instant(), cpu: Duration::ZERO, idle: 1.0 }))
    }
}

impl Idle {
    /// The part of the time since the last look in which a core had nothing to do, on average.
    fn look(&self, now: Instant, cpu: Duration, core_count: usize) -> f64 {
        let mut looked = self.0.lock();
        let window = now.saturating_duration_since(looked.at);
        if window >= WINDOW_MIN {
            let busy = cpu.saturating_sub(looked.cpu).as_secs_f64();
            let cores = u32::try_from(core_count.max(1)).unwrap_or(u32::MAX);
            let idle = (1.0 - busy / (window.as_secs_f64() * f64::from(cores))).clamp(0.0, 1.0);
            *looked = Looked { at: now, cpu, idle };
        }
        looked.idle
    }
}

pub fn write(writer: &mut Writer<'_>, shared: &Shared, core_count: usize, idle: &Idle) -> fmt::Result {
    let idle = idle.look(clock::instant(), threads_cpu(CORES), core_count);
    for family in [&shown::HANDLER_IDLE, &shown::NETWORK_IDLE, &shown::NETWORK_IDLE_STRIMZI] {
        writer.level(family, idle)?;
    }
    writer.family(&shown::BUILD_INFO)?.level_of(&[env!("CARGO_PKG_VERSION")], 1)?;
    let usage = Usage::now();
    writer.seconds(&shown::PROCESS_CPU, usage.cpu)?;
    writer.level_of(&shown::PROCESS_MEMORY, usize::try_from(usage.resident_bytes).unwrap_or(usize::MAX))?;
    writer.level_of(&shown::PROCESS_VIRTUAL, usize::try_from(usage.virtual_bytes).unwrap_or(usize::MAX))?;
    writer.level_of(&shown::DISK_READ, usize::try_from(usage.disk_read_bytes).unwrap_or(usize::MAX))?;
    writer.level_of(&shown::DISK_WRITE, usize::try_from(usage.disk_write_bytes).unwrap_or(usize::MAX))?;
    writer.level_of(&shown::PROCESS_FILES, usage.open_files)?;
    let files_max = usage.open_files_max.and_then(|max| usize::try_from(max).ok());
    writer.level_of(&shown::PROCESS_FILES_MAX, files_max.unwrap_or(usize::MAX))?;
    let now = shared.clock.now();
    let since_start_ms = i64::try_from(now.monotonic_ms).unwrap_or(0);
    let start = Duration::from_millis(u64::try_from(now.wall_ms - since_start_ms).unwrap_or(0));
    writer.level(&shown::PROCESS_START, start.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_what_is_left_of_the_time_of_all_cores() {
        let start = clock::instant();
        let idle = Idle(Mutex::new(Looked { at: start, cpu: Duration::ZERO, idle: 1.0 }));
        let after = |ms| start + Duration::from_millis(ms);
        let cpu = Duration::from_millis;
        assert!((idle.look(after(500), cpu(500), 2) - 1.0).abs() < 1e-9, "too early to tell");
        assert!((idle.look(after(2000), cpu(1000), 2) - 0.75).abs() < 1e-9);
        assert!((idle.look(after(2100), cpu(1200), 2) - 0.75).abs() < 1e-9);
        assert!((idle.look(after(3000), cpu(9000), 2)).abs() < 1e-9, "clocks differ a little");
    }
}
