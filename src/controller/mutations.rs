//! How many partitions a client may still create and delete (KIP-599).
//!
//! Source: `ControllerMutationQuotaManager`: from the version of a request on that knows of it, who is in debt is refused;
//! older clients get what they ask for, and are only told to wait.

use super::Refusal;
use crate::model::ErrorCode;

/// What one request may change.
#[derive(Clone, Copy, Debug)]
pub struct Mutations {
    /// What is left before a strict client is refused; `None` refuses nobody.
    left: Option<f64>,
    used: f64,
    has_refused: bool,
}

impl Mutations {
    /// Nobody is refused; what is used is counted.
    pub const fn unlimited() -> Mutations {
        Mutations { left: None, used: 0.0, has_refused: false }
    }

    /// A client that is refused once it has used up what is left; below 0 at once.
    pub fn strict(left: f64) -> Mutations {
        Mutations { left: Some(left), used: 0.0, has_refused: false }
    }

    /// Counts partitions. Error: THROTTLING_QUOTA_EXCEEDED, and nothing is counted.
    pub fn charge(&mut self, partitions: usize) -> Result<(), Refusal> {
        if self.left.is_some_and(|left| left - self.used < 0.0) {
            self.has_refused = true;
            return Err(Refusal { code: ErrorCode::ThrottlingQuotaExceeded, message: None });
        }
        self.used += f64::from(u32::try_from(partitions).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Whether the client is to wait if it is in debt: one that can be refused is told only when it was.
    pub fn is_held_back(&self) -> bool {
        self.left.is_none() || self.has_refused
    }

    /// Partitions that were counted.
    pub fn used(&self) -> f64 {
        self.used
    }
}
