//! Progress of long work, on standard error, and only when that is a terminal: what is piped stays clean.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn anew.
const DRAWS_PER_SECOND: u8 = 8;

/// A line that tells how far the work is; gone when it is done.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of work whose length is known, in records, or is not.
    pub fn new(what: &'static str, length: Option<u64>) -> Progress {
        let bar = match length {
            Some(length) => ProgressBar::new(length),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        let template = match length {
            Some(_) => "{msg} {human_pos}/{human_len} records {wide_bar} {eta}",
            None => "{msg} {human_pos} records, {per_sec}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a template that was tried"));
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_secs(1));
        Progress { bar }
    }

    /// Of work in bytes, whose length [`Progress::set_bytes`] tells.
    pub fn of_bytes(what: &'static str) -> Progress {
        let progress = Progress::new(what, Some(0));
        let template = "{msg} {bytes}/{total_bytes} {wide_bar} {eta}";
        progress.bar.set_style(ProgressStyle::with_template(template).expect("a template that was tried"));
        progress
    }

    pub fn set_bytes(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    pub fn add(&self, records: usize) {
        self.bar.inc(u64::try_from(records).unwrap_or(u64::MAX));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
