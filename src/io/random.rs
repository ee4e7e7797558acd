//! The randomness door: the operating system's, for ids and seeds. Machines get a seed and ask nobody. In a simulation it is the
//! host's own.

use uuid::Uuid;

/// Fills the buffer from the simulated host's generator.
#[cfg(feature = "sim")]
pub fn fill(buffer: &mut [u8]) {
    for chunk in buffer.chunks_mut(8) {
        chunk.copy_from_slice(&super::simulated::next_random().to_le_bytes()[..chunk.len()]);
    }
}

/// Fills the buffer from the operating system's generator.
#[cfg(not(feature = "sim"))]
pub fn fill(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the operating system has no randomness: {error}"),
        }
    }
}

/// A seed for a generator inside a machine.
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A random (version 4) uuid. Never one that starts with `-` as Kafka prints it: command lines would take it for a flag
/// (`Uuid.randomUuid`).
pub fn uuid() -> Uuid {
    loop {
        let mut bytes = [0; 16];
        fill(&mut bytes);
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        // Kafka prints URL-safe base64, in which six bits 111110 are `-`.
        if uuid.as_bytes()[0] >> 2 != 0b11_1110 {
            return uuid;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_differ_and_are_of_version_4() {
        let (first, second) = (uuid(), uuid());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 4);
        assert_ne!(seed(), seed());
    }
}
