//! Counters and histograms, handed out as handles; there are no globals.
