//! Segments that survive crashes. Knows no request types.
