//! Outgoing links to other brokers. One node has none; the room keeps its place in the house.
