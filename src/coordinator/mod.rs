//! Coordinators: machines over compacted logs.
//!
//! A coordinator writes records into one partition of an internal topic and answers once they are committed. It is fed
//! with requests, with the log's progress and with time, and never reads a clock, a file or a socket itself.

pub mod group;
