//! Counts checks, prints a line for each as it ends, and closes with `N passed, N failed` alone on the last line.
//!
//! There is no third kind: what could not be run counts as failed.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Mutex;

/// The result of a run so far; shared by suites that run several checks at a time.
#[derive(Default)]
pub struct Report {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Report {
    /// Counts `outcome` under `name` (a sentence) and hands back its value, if there is one.
    pub fn check<T>(&self, name: impl Display, outcome: anyhow::Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.pass(name);
                Some(value)
            }
            Err(error) => {
                self.fail(name, &error);
                None
            }
        }
    }

    /// Counts one check that held.
    pub fn pass(&self, name: impl Display) {
        let mut counts = self.lock();
        counts.passed += 1;
        println!("ok    {name}");
    }

    /// Counts one check that did not hold, with the reason.
    pub fn fail(&self, name: impl Display, error: &anyhow::Error) {
        let mut counts = self.lock();
        counts.failed += 1;
        counts.failures.push(name.to_string());
        println!("FAIL  {name}: {error:#}");
    }

    /// Adds checks that another program counted, such as `cargo test`.
    pub fn add(&self, name: impl Display, passed: u64, failed: u64) {
        let mut counts = self.lock();
        counts.passed += passed;
        counts.failed += failed;
        let word = if failed == 0 { "ok  " } else { "FAIL" };
        println!("{word}  {name}: {passed} passed, {failed} failed");
        if failed > 0 {
            counts.failures.push(name.to_string());
        }
    }

    /// Prints what failed once more and the closing line. A run in which nothing was checked is a failure.
    pub fn finish(&self) -> ExitCode {
        let counts = self.lock();
        println!();
        for failure in &counts.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", counts.passed, counts.failed);
        if counts.failed == 0 && counts.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
