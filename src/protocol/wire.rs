//! Kafka's primitive types as bytes: a borrowing reader that never allocates, and writers onto a `BytesMut`.
//!
//! Every length is checked against what remains before anything is taken. Compact lengths are the length plus one as
//! an unsigned varint (KIP-482). Limits are those of Kafka's generated `*Data.read` methods and of
//! `ByteUtils.readUnsignedVarint`: five bytes to a varint, 32,767 bytes to a string.

use bytes::{BufMut, Bytes, BytesMut};

/// Longest string of the protocol, in bytes. Source: the length check in Kafka's generated `read` methods.
pub const STRING_MAX_BYTES: usize = 0x7fff;

/// What makes bytes unreadable as a Kafka type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("needs {needed} more bytes, {remaining} remain")]
    Truncated { needed: usize, remaining: usize },
    #[error("length {length} is negative")]
    NegativeLength { length: i32 },
    #[error("length {length} is over {max}")]
    LengthOverMax { length: usize, max: usize },
    #[error("count {count} needs at least {needed} bytes, {remaining} remain")]
    CountOverRemaining { count: usize, needed: usize, remaining: usize },
    #[error("null where a value must be")]
    UnexpectedNull,
    #[error("string is not UTF-8")]
    NotUtf8,
    #[error("varint is longer than five bytes")]
    VarintTooLong,
    #[error("nullable struct begins with {marker}, not 1 or -1")]
    StructMarker { marker: i8 },
    #[error("tag {tag} begins in a later version")]
    UnexpectedTag { tag: u32 },
    #[error("tagged field is {left} bytes longer than what it holds")]
    TagTooLong { left: usize },
}

/// A position in borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Bytes not yet read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Everything not yet read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let Some((head, tail)) = self.rest.split_at_checked(length) else {
            return Err(WireError::Truncated { needed: length, remaining: self.rest.len() });
        };
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(WireError::Truncated { needed: N, remaining: self.rest.len() });
        };
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    pub fn int8(&mut self) -> Result<i8, WireError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn int16(&mut self) -> Result<i16, WireError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn int32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn int64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Any byte but 0 is true, as in Kafka.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, WireError> {
        Ok(self.int8()? != 0)
    }

    #[inline]
    pub fn uuid(&mut self) -> Result<uuid::Uuid, WireError> {
        Ok(uuid::Uuid::from_bytes(self.array()?))
    }

    /// At most five bytes; the bits of a fifth byte past the 32nd are dropped, as in Java.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::VarintTooLong)
    }

    /// Length or count: `None` is null. 16 bits wide for old strings.
    #[inline]
    fn length16(&mut self) -> Result<Option<usize>, WireError> {
        match self.int16()? {
            -1 => Ok(None),
            length => {
                usize::try_from(length).map(Some).map_err(|_| WireError::NegativeLength { length: i32::from(length) })
            }
        }
    }

    /// Length or count of bytes and arrays: an int32, or a compact one; `None` is null.
    #[inline]
    pub fn length(&mut self, flexible: bool) -> Result<Option<usize>, WireError> {
        if flexible {
            let length = self.unsigned_varint()?;
            return Ok(length.checked_sub(1).map(|length| length as usize));
        }
        match self.int32()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| WireError::NegativeLength { length }),
        }
    }

    /// A string's bytes, UTF-8 or not.
    #[inline]
    pub fn nullable_string_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, WireError> {
        let length = if flexible { self.length(true)? } else { self.length16()? };
        match length {
            None => Ok(None),
            Some(length) if length > STRING_MAX_BYTES => {
                Err(WireError::LengthOverMax { length, max: STRING_MAX_BYTES })
            }
            Some(length) => self.take(length).map(Some),
        }
    }

    #[inline]
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, WireError> {
        let bytes = self.nullable_string_bytes(flexible)?;
        bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8)).transpose()
    }

    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<&'a str, WireError> {
        self.nullable_string(flexible)?.ok_or(WireError::UnexpectedNull)
    }

    #[inline]
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, WireError> {
        self.length(flexible)?.map(|length| self.take(length)).transpose()
    }

    /// The count of an array whose elements are at least `element_min_bytes` long; so the count fits in the frame.
    #[inline]
    pub fn nullable_count(&mut self, flexible: bool, element_min_bytes: usize) -> Result<Option<usize>, WireError> {
        let Some(count) = self.length(flexible)? else { return Ok(None) };
        let needed = count.saturating_mul(element_min_bytes);
        if needed > self.rest.len() {
            return Err(WireError::CountOverRemaining { count, needed, remaining: self.rest.len() });
        }
        Ok(Some(count))
    }

    #[inline]
    pub fn count(&mut self, flexible: bool, element_min_bytes: usize) -> Result<usize, WireError> {
        self.nullable_count(flexible, element_min_bytes)?.ok_or(WireError::UnexpectedNull)
    }

    /// Calls `field` with each tag and its payload; does nothing in versions that are not flexible.
    #[inline]
    pub fn tagged_fields<E: From<WireError>>(
        &mut self,
        flexible: bool,
        mut field: impl FnMut(u32, &'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            field(tag, self.take(size as usize)?)?;
        }
        Ok(())
    }

    /// Ends a tagged field's payload: the field must have filled it.
    #[inline]
    pub fn finish_tag(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::TagTooLong { left: self.rest.len() }) }
    }

    /// Steps over tagged fields of which none is known.
    #[inline]
    pub fn skip_tagged_fields(&mut self, flexible: bool) -> Result<(), WireError> {
        self.tagged_fields(flexible, |_, _| Ok::<(), WireError>(()))
    }
}

/// Writes an unsigned varint (KIP-482), one to five bytes.
pub fn put_unsigned_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Writes a length or count: an int32, or a compact one.
///
/// Panics over 2³¹−2: no caller has that much in memory, frames are bounded far below.
pub fn put_length(out: &mut BytesMut, length: usize, flexible: bool) {
    let length = i32::try_from(length).expect("a length within a frame");
    if flexible {
        put_unsigned_varint(out, length.unsigned_abs() + 1);
    } else {
        out.put_i32(length);
    }
}

/// Writes the length of a null array or of null bytes.
pub fn put_null_length(out: &mut BytesMut, flexible: bool) {
    if flexible {
        out.put_u8(0);
    } else {
        out.put_i32(-1);
    }
}

/// Writes a string. One longer than [`STRING_MAX_BYTES`] is cut at a character, since no reader would take it whole.
pub fn put_string(out: &mut BytesMut, text: &str, flexible: bool) {
    let text = &text[..text.floor_char_boundary(STRING_MAX_BYTES)];
    let length = i16::try_from(text.len()).expect("cut to the longest string");
    if flexible {
        put_unsigned_varint(out, u32::from(length.unsigned_abs()) + 1);
    } else {
        out.put_i16(length);
    }
    out.put_slice(text.as_bytes());
}

/// Writes a string or null.
pub fn put_nullable_string(out: &mut BytesMut, text: Option<&str>, flexible: bool) {
    match text {
        Some(text) => put_string(out, text, flexible),
        None if flexible => out.put_u8(0),
        None => out.put_i16(-1),
    }
}

/// Writes bytes with their length.
pub fn put_bytes(out: &mut BytesMut, bytes: &Bytes, flexible: bool) {
    put_length(out, bytes.len(), flexible);
    out.put_slice(bytes);
}

/// Writes an empty set of tagged fields in flexible versions, nothing in others.
pub fn put_no_tagged_fields(out: &mut BytesMut, flexible: bool) {
    if flexible {
        out.put_u8(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_width() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, 0xfff_ffff, 0x1000_0000, u32::MAX] {
            let mut out = BytesMut::new();
            put_unsigned_varint(&mut out, value);
            assert_eq!(Reader::new(&out).unsigned_varint(), Ok(value));
        }
    }

    #[test]
    fn a_sixth_byte_of_a_varint_is_refused() {
        let mut reader = Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
        assert_eq!(reader.unsigned_varint(), Err(WireError::VarintTooLong));
    }

    #[test]
    fn strings_are_read_at_their_limit_and_refused_past_it() {
        for (length, fits) in [(STRING_MAX_BYTES - 1, true), (STRING_MAX_BYTES, true), (STRING_MAX_BYTES + 1, false)] {
            let mut out = BytesMut::new();
            put_length(&mut out, length, true);
            out.put_bytes(b'a', length);
            assert_eq!(Reader::new(&out).string(true).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn null_and_empty_are_told_apart() {
        for flexible in [false, true] {
            let mut out = BytesMut::new();
            put_nullable_string(&mut out, None, flexible);
            put_nullable_string(&mut out, Some(""), flexible);
            put_null_length(&mut out, flexible);
            put_bytes(&mut out, &Bytes::new(), flexible);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.nullable_string(flexible), Ok(None));
            assert_eq!(reader.nullable_string(flexible), Ok(Some("")));
            assert_eq!(reader.nullable_bytes(flexible), Ok(None));
            assert_eq!(reader.nullable_bytes(flexible), Ok(Some(&[][..])));
            assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn lengths_below_minus_one_are_refused() {
        assert_eq!(Reader::new(&[0xff, 0xfe]).string(false), Err(WireError::NegativeLength { length: -2 }));
        let mut bytes = Reader::new(&[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(bytes.nullable_bytes(false), Err(WireError::NegativeLength { length: -2 }));
    }

    #[test]
    fn a_count_must_fit_in_what_remains() {
        let frame = [0, 0, 0, 3, 1, 1, 1];
        assert_eq!(Reader::new(&frame).count(false, 1), Ok(3));
        let error = WireError::CountOverRemaining { count: 3, needed: 6, remaining: 3 };
        assert_eq!(Reader::new(&frame).count(false, 2), Err(error));
    }
}
