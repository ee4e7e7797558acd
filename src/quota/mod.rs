//! How much a client may use. Nothing is limited by quota today; the room keeps its place in the house.
