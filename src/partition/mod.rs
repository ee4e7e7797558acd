//! One replica of a partition as a machine: leader, high watermark, waiters.
