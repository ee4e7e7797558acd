//! Settings: the catalogue of Kafka's and our keys, the layers they come from, and typed views of them.
