//! What a client metrics subscription holds (KIP-714). Nothing here has effect in this version.

use super::Importance::Medium;
use super::ValueType::{Int, List};
use super::{Key, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const CLIENT_METRICS: &[Key] = &[
    key("interval.ms", Int, Some("300000"), Medium)
        .stored("Time between two pushes of metrics by a client, in ms."),
    key("match", List, Some(""), Medium).list()
        .stored("Which clients push metrics, as selector=pattern pairs; empty is all."),
    key("metrics", List, Some(""), Medium).list()
        .stored("Prefixes of the metrics to push; empty is none, * all."),
];
