//! Fields of records that Kafka keeps in logs of its own: what the message generator of Kafka writes, field by field.
//!
//! Invariant: reading asks for no more memory than the bytes it was given hold.

use bytes::{Buf, Bytes};
use uuid::Uuid;

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("record ends before its field {0}")]
    Truncated(&'static str),
    #[error("record has a bad length in its field {0}")]
    BadLength(&'static str),
    #[error("record has text that is not UTF-8 in its field {0}")]
    NotUtf8(&'static str),
    #[error("record value has unknown version {0}")]
    UnknownVersion(i16),
}

/// Reads the fields of one key or value; `flexible` says whether lengths are compact and tags follow.
pub(super) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub flexible: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(RecordError::Truncated(field))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub fn i16(&mut self, field: &'static str) -> Result<i16, RecordError> {
        Ok(self.take(2, field)?.get_i16())
    }

    pub fn i32(&mut self, field: &'static str) -> Result<i32, RecordError> {
        Ok(self.take(4, field)?.get_i32())
    }

    pub fn i64(&mut self, field: &'static str) -> Result<i64, RecordError> {
        Ok(self.take(8, field)?.get_i64())
    }

    pub fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, RecordError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1, field)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::BadLength(field))
    }

    /// A length that may be null, of the given fixed width when not flexible.
    fn length(&mut self, wide: bool, field: &'static str) -> Result<Option<usize>, RecordError> {
        let length = match (self.flexible, wide) {
            (true, _) => i64::from(self.unsigned_varint(field)?) - 1,
            (false, true) => i64::from(self.i32(field)?),
            (false, false) => i64::from(self.i16(field)?),
        };
        if length == -1 {
            return Ok(None);
        }
        usize::try_from(length).map(Some).map_err(|_| RecordError::BadLength(field))
    }

    pub fn nullable_string(&mut self, field: &'static str) -> Result<Option<String>, RecordError> {
        let Some(length) = self.length(false, field)? else { return Ok(None) };
        let text = std::str::from_utf8(self.take(length, field)?).map_err(|_| RecordError::NotUtf8(field))?;
        Ok(Some(text.to_owned()))
    }

    pub fn string(&mut self, field: &'static str) -> Result<String, RecordError> {
        self.nullable_string(field)?.ok_or(RecordError::BadLength(field))
    }

    pub fn bytes(&mut self, field: &'static str) -> Result<Bytes, RecordError> {
        let length = self.length(true, field)?.ok_or(RecordError::BadLength(field))?;
        Ok(Bytes::copy_from_slice(self.take(length, field)?))
    }

    pub fn count(&mut self, field: &'static str) -> Result<usize, RecordError> {
        self.length(true, field)?.ok_or(RecordError::BadLength(field))
    }

    pub fn i8(&mut self, field: &'static str) -> Result<i8, RecordError> {
        Ok(self.take(1, field)?.get_i8())
    }

    pub fn bool(&mut self, field: &'static str) -> Result<bool, RecordError> {
        Ok(self.i8(field)? != 0)
    }

    pub fn f64(&mut self, field: &'static str) -> Result<f64, RecordError> {
        Ok(self.take(8, field)?.get_f64())
    }

    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid, RecordError> {
        Ok(Uuid::from_u128(self.take(16, field)?.get_u128()))
    }

    /// A list that may be null. Not sized by its count: a damaged one takes no bytes.
    pub fn nullable_list<T>(
        &mut self,
        field: &'static str,
        mut element: impl FnMut(&mut Reader<'a>) -> Result<T, RecordError>,
    ) -> Result<Option<Vec<T>>, RecordError> {
        let Some(count) = self.length(true, field)? else { return Ok(None) };
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(Some(list))
    }

    pub fn list<T>(
        &mut self,
        field: &'static str,
        element: impl FnMut(&mut Reader<'a>) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        self.nullable_list(field, element)?.ok_or(RecordError::BadLength(field))
    }

    pub fn tags(&mut self, mut on_tag: impl FnMut(u32, &[u8])) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint("tags")? {
            let tag = self.unsigned_varint("tag")?;
            let length = self.unsigned_varint("tag length")?;
            let length = usize::try_from(length).map_err(|_| RecordError::BadLength("tag length"))?;
            on_tag(tag, self.take(length, "tag data")?);
        }
        Ok(())
    }
}
