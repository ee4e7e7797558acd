//! How a record is written as text: a pattern of letters behind percent signs, as kcat has it.

use std::io::{self, Write};

use crate::cli::client::records::OwnedRecord;
use crate::cli::time;

/// A pattern that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    parts: Vec<Part>,
    /// Whether bytes that are no text are shown as escapes: a record must not take over the terminal that it is looked at on.
    is_for_terminal: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Value,
    ValueLength,
    Key,
    KeyLength,
    Headers,
    Topic,
    Partition,
    Offset,
    TimestampMs,
    Date,
}

impl Format {
    /// Errors: a letter that means nothing, in words.
    pub fn parse(text: &str, is_for_terminal: bool) -> Result<Format, String> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '%' => match chars.next() {
                    Some('%') => push(&mut parts, '%'),
                    letter => parts.push(part(letter)?),
                },
                '\\' => {
                    let escaped = match chars.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some('0') => '\0',
                        Some('\\') => '\\',
                        other => return Err(format!("\\{} means nothing", shown(other))),
                    };
                    push(&mut parts, escaped);
                }
                char => push(&mut parts, char),
            }
        }
        Ok(Format { parts, is_for_terminal })
    }

    pub fn write(&self, topic: &str, record: &OwnedRecord, out: &mut impl Write) -> io::Result<()> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.write_all(text)?,
                Part::Value => self.write_bytes(record.value.as_deref().unwrap_or_default(), out)?,
                Part::ValueLength => write!(out, "{}", length(record.value.as_deref()))?,
                Part::Key => self.write_bytes(record.key.as_deref().unwrap_or_default(), out)?,
                Part::KeyLength => write!(out, "{}", length(record.key.as_deref()))?,
                Part::Headers => self.write_headers(record, out)?,
                Part::Topic => out.write_all(topic.as_bytes())?,
                Part::Partition => write!(out, "{}", record.partition)?,
                Part::Offset => write!(out, "{}", record.offset)?,
                Part::TimestampMs => write!(out, "{}", record.timestamp_ms)?,
                Part::Date => out.write_all(time::show(record.timestamp_ms).as_bytes())?,
            }
        }
        Ok(())
    }

    fn write_headers(&self, record: &OwnedRecord, out: &mut impl Write) -> io::Result<()> {
        for (index, (key, value)) in record.headers.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            self.write_bytes(key, out)?;
            out.write_all(b"=")?;
            self.write_bytes(value.as_deref().unwrap_or(b"NULL"), out)?;
        }
        Ok(())
    }

    fn write_bytes(&self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        if !self.is_for_terminal {
            return out.write_all(bytes);
        }
        for chunk in bytes.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\n' | '\t' => write!(out, "{char}")?,
                    char if char.is_control() => write!(out, "{}", char.escape_default())?,
                    char => write!(out, "{char}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

fn part(letter: Option<char>) -> Result<Part, String> {
    Ok(match letter {
        Some('v' | 's') => Part::Value,
        Some('S') => Part::ValueLength,
        Some('k') => Part::Key,
        Some('K') => Part::KeyLength,
        Some('h') => Part::Headers,
        Some('t') => Part::Topic,
        Some('p') => Part::Partition,
        Some('o') => Part::Offset,
        Some('T') => Part::TimestampMs,
        Some('D') => Part::Date,
        other => return Err(format!("%{} means nothing", shown(other))),
    })
}

fn shown(char: Option<char>) -> String {
    char.map_or("(the end)".to_owned(), |char| char.to_string())
}

fn push(parts: &mut Vec<Part>, char: char) {
    let mut bytes = [0; 4];
    let bytes = char.encode_utf8(&mut bytes).as_bytes();
    match parts.last_mut() {
        Some(Part::Text(text)) => text.extend_from_slice(bytes),
        _ => parts.push(Part::Text(bytes.to_vec())),
    }
}

/// -1 for what is null, as in kcat.
fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_as(format: &str) -> String {
        let record = OwnedRecord {
            partition: 2,
            offset: 17,
            timestamp_ms: 1_700_000_000_123,
            key: Some(b"key".to_vec()),
            value: None,
            headers: vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)],
        };
        let mut out = Vec::new();
        Format::parse(format, false).expect("a format").write("topic", &record, &mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_letter_has_its_part() {
        assert_eq!(shown_as(r"%t %p %o %T\n"), "topic 2 17 1700000000123\n");
        assert_eq!(shown_as(r"%k[%K]\t%v[%S] 100%%\\"), "key[3]\t[-1] 100%\\");
        assert_eq!(shown_as("%D %h ä"), "2023-11-14T22:13:20.123Z a=1,b=NULL ä");
        assert_eq!(shown_as(""), "");
    }

    #[test]
    fn what_means_nothing_is_named() {
        let read = |format| Format::parse(format, false).map(drop);
        assert_eq!(read("%q"), Err("%q means nothing".to_owned()));
        assert_eq!(read("100%"), Err("%(the end) means nothing".to_owned()));
        assert_eq!(read("\\x"), Err("\\x means nothing".to_owned()));
    }

    #[test]
    fn a_terminal_is_shown_no_bytes_that_it_would_obey() {
        let record = OwnedRecord { value: Some(b"\xc3\xa4\t\x1b[2J\xff\xc3.".to_vec()), ..OwnedRecord::default() };
        let shown = |is_for_terminal| {
            let mut out = Vec::new();
            let format = Format::parse("%v", is_for_terminal).expect("a format");
            format.write("topic", &record, &mut out).expect("memory");
            out
        };
        assert_eq!(String::from_utf8(shown(true)), Ok("ä\t\\u{1b}[2J\\xff\\xc3.".to_owned()));
        assert_eq!(shown(false), record.value.clone().expect("it has one"));
    }
}
