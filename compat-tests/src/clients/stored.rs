//! What the server has written: which codec the batches of a topic carry, so that a codec test cannot pass uncompressed.

use std::path::Path;

use anyhow::{Context, ensure};

/// The codecs of record batches, by their number in the attributes.
pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

const BATCH_LENGTH_AT: usize = 8;
const ATTRIBUTES_AT: usize = 21;
const BATCH_OVERHEAD: usize = 12;
const CODEC_BITS: u8 = 0b111;

/// Fails unless the first segment of some partition of `topic` has a batch with `codec`, and all others have it or none:
/// a client may send uncompressed what does not shrink.
pub fn is_compressed_with(data: &Path, topic: &str, partitions: usize, codec: &str) -> anyhow::Result<()> {
    let mut seen = Vec::new();
    for partition in 0..partitions {
        let segment = data.join(format!("{topic}-{partition}/00000000000000000000.log"));
        let bytes = std::fs::read(&segment).with_context(|| format!("cannot read {}", segment.display()))?;
        seen.extend(codecs_of(&bytes)?);
    }
    ensure!(seen.contains(&codec), "sent with {codec}, but stored as {seen:?}");
    ensure!(seen.iter().all(|one| *one == codec || *one == "none"), "sent with {codec}, but stored as {seen:?}");
    Ok(())
}

fn codecs_of(mut segment: &[u8]) -> anyhow::Result<Vec<&'static str>> {
    let mut codecs = Vec::new();
    while segment.len() > ATTRIBUTES_AT + 1 {
        let length: [u8; 4] = segment[BATCH_LENGTH_AT..BATCH_LENGTH_AT + 4].try_into()?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        if length == 0 {
            // The rest was reserved and not written yet.
            break;
        }
        let codec = segment[ATTRIBUTES_AT + 1] & CODEC_BITS;
        codecs.push(*CODECS.get(usize::from(codec)).context("a codec that Kafka does not know")?);
        segment = segment.get(BATCH_OVERHEAD + length..).context("a torn batch")?;
    }
    Ok(codecs)
}
