//! The promises that a simulation holds a cluster to, by name.

/// What was broken. Which look finds it is said where it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// A leader epoch of a partition has one leader, whichever node's image is asked; and epochs of a replica only rise.
    OneLeader,
    /// Metadata is the same at the same offset, on every node and for good.
    MetadataMatches,
    /// Replicas agree, batch for batch, below any of their high watermarks.
    LogsMatch,
    /// A log is never cut below what its high watermark once was.
    HighWatermarkKept,
    /// What is acknowledged is flushed on the whole maximal ISR and on at least min ISR, and stays so on the ISR.
    AckedIsFlushed,
    /// The in-sync set that a leader holds its high watermark to includes the one that the controller has committed.
    MaximalIsr,
    /// No client is told what contradicts what a client was told before.
    ClientsAgree,
    /// In one generation of a group a partition has one owner, and only the newest generation commits.
    GroupOwner,
    /// A node that was stopped, killed or cut from power starts again.
    Starts,
    /// No code of the server panics, even where a panic is contained.
    NoPanic,
    /// A healed cluster serves soon, and becomes whole.
    Recovers,
}

impl Invariant {
    /// The name that a report shows.
    pub fn name(self) -> &'static str {
        match self {
            Invariant::OneLeader => "one-leader",
            Invariant::MetadataMatches => "metadata-matches",
            Invariant::LogsMatch => "logs-match",
            Invariant::HighWatermarkKept => "high-watermark-kept",
            Invariant::AckedIsFlushed => "acked-is-flushed",
            Invariant::MaximalIsr => "maximal-isr",
            Invariant::ClientsAgree => "clients-agree",
            Invariant::GroupOwner => "group-owner",
            Invariant::Starts => "starts",
            Invariant::NoPanic => "no-panic",
            Invariant::Recovers => "recovers",
        }
    }
}

/// A promise that was not kept, and how it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub invariant: Invariant,
    pub what: String,
}

impl Broken {
    pub fn new(invariant: Invariant, what: impl Into<String>) -> Broken {
        Broken { invariant, what: what.into() }
    }
}
