//! What happened, as a number: two runs of one seed must come to the same.

/// A hash (FNV-1a) over every line, and the lines themselves when somebody wants to read them.
pub struct Trace {
    hash: u64,
    is_printed: bool,
    pub now_ms: u64,
}

impl Trace {
    pub fn new(is_printed: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, is_printed, now_ms: 0 }
    }

    /// Adds a line at the time of now.
    pub fn line(&mut self, line: &str) {
        for byte in self.now_ms.to_le_bytes().iter().chain(line.as_bytes()) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.is_printed {
            println!("{:>8} {line}", self.now_ms);
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}
