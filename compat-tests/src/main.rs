//! Everything that proves Ottla against real parts: Apache Kafka, its tools, real clients, kills, and a benchmark.

fn main() {}
