//! The bug bank: ten bugs of others, each of which the simulation must find when it is put back (`io::bugs`).
//!
//! A bug is found when a run fails for a reason that the bug gives: an invariant of its row. Any other failure finds nothing.

use super::invariant::Invariant::{self, *};
use crate::io::bugs::{ALL, Bug};

/// The invariants that may show a bug.
pub fn shown_by(bug: Bug) -> &'static [Invariant] {
    match bug {
        // What lies above a lagging high watermark was acknowledged, and is gone on a member of the ISR.
        Bug::Kip101 => &[AckedIsFlushed, HighWatermarkKept, LogsMatch, ClientsAgree],
        // Records of a deposed leader stay between those of the others.
        Bug::Kip279 => &[LogsMatch, ClientsAgree, HighWatermarkKept],
        // The high watermark passes records that the leader does not have.
        Bug::Kafka14704 => &[LogsMatch, HighWatermarkKept],
        Bug::Kafka12460 => &[HighWatermarkKept, AckedIsFlushed, ClientsAgree],
        // An empty log is in sync, or leads.
        Bug::Kip966 => &[AckedIsFlushed, HighWatermarkKept, ClientsAgree, LogsMatch],
        Bug::Redpanda17957 => &[HighWatermarkKept, AckedIsFlushed, LogsMatch, ClientsAgree],
        // After a power cut a majority has forgotten: another history of the metadata begins, or the journal shows the hole.
        Bug::Robustmq2039 => &[OneLeader, MetadataMatches, Starts],
        Bug::Fsyncgate => &[HighWatermarkKept, AckedIsFlushed, LogsMatch, ClientsAgree],
        // A torn end is believed.
        Bug::Kafka10471 => &[HighWatermarkKept, AckedIsFlushed, LogsMatch, ClientsAgree, Starts],
        // A node has the end of the metadata log and not its beginning.
        Bug::Kafka14238 => &[MetadataMatches, Starts],
    }
}

/// The bugs of a name: one, or all of them; none when nothing is called so.
pub fn named(name: &str) -> Vec<(Bug, &'static str)> {
    ALL.into_iter().filter(|(_, known)| name == "all" || name == *known).collect()
}

/// Whether a run that was broken so has found the bug.
pub fn is_found(bug: Bug, broken: &str) -> bool {
    shown_by(bug).iter().any(|invariant| invariant.name() == broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_found_by_what_it_breaks_and_by_nothing_else() {
        assert_eq!(named("all").len(), 10);
        assert_eq!(named("kip-101"), [(Bug::Kip101, "kip-101")]);
        assert_eq!(named("kip-102"), []);
        assert!(is_found(Bug::Kip101, "logs-match"));
        assert!(!is_found(Bug::Kip101, "recovers"));
        for (bug, name) in ALL {
            assert!(
                !shown_by(bug).contains(&Recovers),
                "{name}: whatever is wrong with a cluster keeps it from recovering"
            );
            assert!(!shown_by(bug).contains(&NoPanic), "{name}: an assertion that stands is not the bug");
        }
    }
}
