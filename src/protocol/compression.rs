//! Compressed record payloads: gzip, snappy, lz4 and zstd, each as Kafka's Java client writes it.
//!
//! Decompression is streamed and stops at a cap, so that a small batch cannot become a large one. Snappy comes in
//! xerial's framing (blocks of 32 KiB), as Java writes it, or as one raw block, as others do. Lz4 is the frame format;
//! the wrong header checksums of magic 0 and 1 (KIP-57) do not occur in record batch v2. A zstd window may be as large as
//! Kafka's own reader allows; it is reserved, but only touched as far as the content reaches.

use std::io::{Read, Write};

use bytes::{BufMut, Bytes, BytesMut};

use super::record_batch::Codec;

/// Largest zstd window taken, as a power of two: zstd's own limit, which zstd-jni keeps. Level 22 asks for it.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Magic, two descriptor bytes, header checksum, end mark.
const LZ4_FRAME_MIN_BYTES: usize = 4 + 2 + 1 + 4;

/// Below it lz4's frames are made by the fast encoder, and a level that was asked for never is (`Lz4Compression`).
const LZ4_LEVEL_MIN: u32 = 3;

/// What begins xerial's framing, before two int32 for its version and the oldest compatible one.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;
/// Uncompressed bytes to a block; snappy-java's default.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// Why bytes cannot be decompressed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    #[error("more than {cap_bytes} bytes when decompressed")]
    OverCap { cap_bytes: usize },
    #[error("broken {codec:?} data: {reason}")]
    Corrupt { codec: Codec, reason: String },
}

/// Decompresses all of `data`, to `cap_bytes` at most. Without a codec, copies it.
pub fn decompress(codec: Codec, data: &[u8], cap_bytes: usize) -> Result<Bytes, DecompressError> {
    match codec {
        Codec::None if data.len() > cap_bytes => Err(DecompressError::OverCap { cap_bytes }),
        Codec::None => Ok(Bytes::copy_from_slice(data)),
        Codec::Gzip => read_capped(codec, flate2::read::MultiGzDecoder::new(data), cap_bytes),
        Codec::Snappy => unsnap(data, cap_bytes),
        // The decoder takes the beginning of a frame's header for an empty stream.
        Codec::Lz4 if data.len() < LZ4_FRAME_MIN_BYTES => Err(corrupt(codec, "the frame breaks off")),
        Codec::Lz4 => read_capped(codec, lz4_flex::frame::FrameDecoder::new(data), cap_bytes),
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(data).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            });
            read_capped(codec, decoder.map_err(|error| corrupt(codec, error))?, cap_bytes)
        }
    }
}

fn corrupt(codec: Codec, reason: impl ToString) -> DecompressError {
    DecompressError::Corrupt { codec, reason: reason.to_string() }
}

fn read_capped(codec: Codec, reader: impl Read, cap_bytes: usize) -> Result<Bytes, DecompressError> {
    let mut out = Vec::new();
    let limit = u64::try_from(cap_bytes).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut out).map_err(|error| corrupt(codec, error))?;
    if out.len() > cap_bytes {
        return Err(DecompressError::OverCap { cap_bytes });
    }
    Ok(out.into())
}

fn unsnap(data: &[u8], cap_bytes: usize) -> Result<Bytes, DecompressError> {
    let mut out = BytesMut::new();
    if !data.starts_with(XERIAL_MAGIC) {
        unsnap_block(data, cap_bytes, &mut out)?;
        return Ok(out.freeze());
    }
    let mut rest = data;
    while !rest.is_empty() {
        // A header may come again: streams can be joined end to end, as SnappyInputStream reads them.
        if rest.starts_with(XERIAL_MAGIC) {
            let header = rest.split_at_checked(XERIAL_HEADER_BYTES);
            rest = header.ok_or_else(|| corrupt(Codec::Snappy, "the header breaks off"))?.1;
            continue;
        }
        let length = rest.split_first_chunk::<4>();
        let (length, blocks) = length.ok_or_else(|| corrupt(Codec::Snappy, "a block length breaks off"))?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let block = length.and_then(|length| blocks.split_at_checked(length));
        let (block, after) = block.ok_or_else(|| corrupt(Codec::Snappy, "a block length is beyond the data"))?;
        unsnap_block(block, cap_bytes, &mut out)?;
        rest = after;
    }
    Ok(out.freeze())
}

/// Appends a block. Memory is taken only when the length it claims is under the cap.
fn unsnap_block(block: &[u8], cap_bytes: usize, out: &mut BytesMut) -> Result<(), DecompressError> {
    let length = snap::raw::decompress_len(block).map_err(|error| corrupt(Codec::Snappy, error))?;
    let start = out.len();
    if length > cap_bytes - start {
        return Err(DecompressError::OverCap { cap_bytes });
    }
    out.resize(start + length, 0);
    let mut decoder = snap::raw::Decoder::new();
    let written = decoder.decompress(block, &mut out[start..]).map_err(|error| corrupt(Codec::Snappy, error))?;
    out.truncate(start + written);
    Ok(())
}

/// A codec and how hard it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    pub codec: Codec,
    /// Of gzip 1 to 9, of lz4 1 to 17, of zstd −131072 to 22; `None` is the codec's own default. The others have none.
    pub level: Option<i32>,
}

impl Compression {
    /// At the codec's default level, as Kafka's Java producer compresses.
    pub const fn of(codec: Codec) -> Compression {
        Compression { codec, level: None }
    }
}

/// Compresses at the codec's default level.
pub fn compress(codec: Codec, data: &[u8]) -> Bytes {
    compress_with(Compression::of(codec), data)
}

/// Compresses as Kafka's Java producer does.
pub fn compress_with(compression: Compression, data: &[u8]) -> Bytes {
    const IN_MEMORY: &str = "writing to memory cannot fail";
    match compression.codec {
        Codec::None => Bytes::copy_from_slice(data),
        Codec::Gzip => {
            let level = compression.level.and_then(|level| u32::try_from(level).ok());
            let level = level.map_or_else(flate2::Compression::default, |level| flate2::Compression::new(level.min(9)));
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(data).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY).into()
        }
        Codec::Snappy => snap_xerial(data),
        Codec::Lz4 if let Some(level) = compression.level => {
            let mut encoder = lz4::EncoderBuilder::new()
                .block_size(lz4::BlockSize::Max64KB)
                .block_mode(lz4::BlockMode::Independent)
                .checksum(lz4::ContentChecksum::NoChecksum)
                .level(level.unsigned_abs().max(LZ4_LEVEL_MIN))
                .build(Vec::new())
                .expect(IN_MEMORY);
            encoder.write_all(data).expect(IN_MEMORY);
            let (out, ended) = encoder.finish();
            ended.expect(IN_MEMORY);
            out.into()
        }
        Codec::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(data).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY).into()
        }
        Codec::Zstd => {
            let level = compression.level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
            zstd::stream::encode_all(data, level).expect(IN_MEMORY).into()
        }
    }
}

fn snap_xerial(data: &[u8]) -> Bytes {
    const VERSION: i32 = 1;
    let mut out = BytesMut::new();
    out.put_slice(XERIAL_MAGIC);
    out.put_i32(VERSION);
    out.put_i32(VERSION);
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).expect("a block of 32 KiB is under snappy's limit");
        out.put_i32(i32::try_from(compressed.len()).expect("a block of 32 KiB"));
        out.put_slice(&compressed);
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// Neither constant nor random, and longer than every codec's block.
    fn text(length: usize) -> Vec<u8> {
        let mut state: u32 = 7;
        let letters = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 29) as u8
        });
        letters.take(length).collect()
    }

    #[test]
    fn every_codec_gives_back_what_went_in() {
        for codec in CODECS {
            for length in [0, 1, 1000, XERIAL_BLOCK_BYTES, 300_000] {
                let data = text(length);
                let compressed = compress(codec, &data);
                assert_eq!(decompress(codec, &compressed, length), Ok(data.into()), "{codec:?} {length}");
            }
        }
    }

    #[test]
    fn a_higher_level_packs_closer() {
        let data = text(300_000);
        let packed = |codec: Codec, level: i32| {
            let compressed = compress_with(Compression { codec, level: Some(level) }, &data);
            assert_eq!(decompress(codec, &compressed, data.len()), Ok(data.clone().into()), "{codec:?} {level}");
            compressed.len()
        };
        assert!(packed(Codec::Gzip, 9) < packed(Codec::Gzip, 1));
        assert!(packed(Codec::Zstd, 19) < packed(Codec::Zstd, -50));
        assert!(packed(Codec::Lz4, 17) < packed(Codec::Lz4, 1));
        assert!(packed(Codec::Lz4, 1) < compress(Codec::Lz4, &data).len(), "the default is the fast encoder");
    }

    #[test]
    fn the_cap_is_kept_to_the_byte() {
        for codec in CODECS {
            let data = text(100_000);
            let compressed = compress(codec, &data);
            assert!(decompress(codec, &compressed, data.len()).is_ok(), "{codec:?}");
            assert!(decompress(codec, &compressed, data.len() + 1).is_ok(), "{codec:?}");
            let cap_bytes = data.len() - 1;
            assert_eq!(
                decompress(codec, &compressed, cap_bytes),
                Err(DecompressError::OverCap { cap_bytes }),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let zeros = vec![0; 64 << 20];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bomb = compress(codec, &zeros);
            let error = DecompressError::OverCap { cap_bytes: 1 << 20 };
            assert_eq!(decompress(codec, &bomb, 1 << 20), Err(error), "{codec:?}");
        }
    }

    #[test]
    fn broken_data_is_an_error_and_never_a_panic() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let whole = compress(codec, &text(5000));
            for length in 1..whole.len() {
                // Neither a lost lz4 end mark nor a snappy header alone is seen here; the record count tells.
                let cut = decompress(codec, &whole[..length], 1 << 20);
                let end_mark_cut = codec == Codec::Lz4 && length + 4 >= whole.len();
                let header_only = codec == Codec::Snappy && length == XERIAL_HEADER_BYTES;
                assert!(cut.is_err() || end_mark_cut || header_only, "{codec:?} cut to {length}");
            }
            let mut flipped = whole.to_vec();
            for position in 0..flipped.len() {
                flipped[position] ^= 0x10;
                let _either = decompress(codec, &flipped, 1 << 20);
                flipped[position] ^= 0x10;
            }
        }
    }

    #[test]
    fn snappy_is_read_raw_and_framed_and_joined() {
        let data = text(1000);
        let raw = snap::raw::Encoder::new().compress_vec(&data).expect("a short block");
        assert_eq!(decompress(Codec::Snappy, &raw, 1000), Ok(data.clone().into()));
        let framed = compress(Codec::Snappy, &data);
        let joined = [&framed[..], &framed[..]].concat();
        assert_eq!(decompress(Codec::Snappy, &joined, 2000), Ok([&data[..], &data[..]].concat().into()));
    }

    #[test]
    fn a_snappy_block_that_claims_four_billion_bytes_takes_no_memory() {
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert_eq!(decompress(Codec::Snappy, &claim, 1 << 20), Err(DecompressError::OverCap { cap_bytes: 1 << 20 }));
    }
}
