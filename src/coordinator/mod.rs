//! Coordinators: machines over compacted logs.
