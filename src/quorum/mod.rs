//! Consensus on metadata records. The only room that names `openraft`.
