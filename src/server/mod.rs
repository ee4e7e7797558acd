//! Sockets: accept, read, dispatch, answer in order, close.
