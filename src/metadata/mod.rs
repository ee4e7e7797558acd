//! The cluster image: a pure replay of metadata records, and what every decision reads.
