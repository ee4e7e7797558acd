//! The input: a file or standard input, line by line, each line a record.

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::Path;

use anyhow::anyhow;
use tokio::sync::mpsc;

use crate::cli::Failure;
use crate::cli::cat::Line;
use crate::io::disk::open_to_read;

/// A line that is longer is no record that any broker takes.
const LINE_BYTES_MAX: usize = 1 << 30;

/// Where lines come from.
pub struct Source {
    name: String,
    reader: Box<dyn BufRead + Send>,
    is_terminal: bool,
}

/// How a line becomes a record.
pub enum Splitter {
    Text { separator: Option<String>, null: Option<String> },
    Json,
}

impl Source {
    /// Errors: the file cannot be read.
    pub fn open(path: Option<&Path>) -> Result<Source, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let is_terminal = io::stdin().is_terminal();
            let reader = Box::new(BufReader::new(io::stdin()));
            return Ok(Source { name: "standard input".to_owned(), reader, is_terminal });
        };
        let name = path.display().to_string();
        let file = open_to_read(path).map_err(|error| Failure::Runtime(format!("{name}: {error}")))?;
        Ok(Source { name, reader: Box::new(BufReader::with_capacity(256 << 10, file)), is_terminal: false })
    }

    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Reads until the end, an error, or until nobody takes lines any more. Blocks.
    pub fn read(mut self, splitter: &Splitter, lines: &mpsc::Sender<anyhow::Result<Line>>) {
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            bytes.clear();
            let read = self.reader.read_until(b'\n', &mut bytes);
            let line = match read {
                Ok(0) => return,
                Ok(count) if count > LINE_BYTES_MAX => Err(anyhow!("{} line {number}: it is too long", self.name)),
                Ok(_) => splitter
                    .split(without_end(&bytes))
                    .map_err(|reason| anyhow!("{} line {number}: {reason}", self.name)),
                Err(error) => Err(anyhow!("{}: {error}", self.name)),
            };
            let is_last = line.is_err();
            if lines.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    }
}

/// A line without its line end, that of Windows too.
fn without_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

impl Splitter {
    /// Errors: in words.
    fn split(&self, line: &[u8]) -> Result<Line, String> {
        let (separator, null) = match self {
            Splitter::Json => {
                let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
                let line = Line::parse(text)?;
                return Ok(Line { partition: None, timestamp_ms: None, ..line });
            }
            Splitter::Text { separator, null } => (separator, null),
        };
        let (key, value) = match separator {
            None => (None, line),
            Some(separator) => {
                let separator = separator.as_bytes();
                let at = line.windows(separator.len()).position(|window| window == separator);
                let at = at.ok_or_else(|| "there is no separator in it".to_owned())?;
                (Some(line[..at].to_vec()), &line[at + separator.len()..])
            }
        };
        let is_null = null.as_ref().is_some_and(|null| null.as_bytes() == value);
        Ok(Line { key, value: (!is_null).then(|| value.to_vec()), ..Line::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(separator: Option<&str>, null: Option<&str>, line: &str) -> Result<Line, String> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Splitter::Text { separator: owned(separator), null: owned(null) }.split(without_end(line.as_bytes()))
    }

    fn record(key: Option<&str>, value: Option<&str>) -> Result<Line, String> {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Ok(Line { key: bytes(key), value: bytes(value), ..Line::default() })
    }

    #[test]
    fn a_line_is_a_value_or_key_and_value() {
        assert_eq!(split(None, None, "a:b\r\n"), record(None, Some("a:b")));
        assert_eq!(split(Some(":"), None, "a:b:c\n"), record(Some("a"), Some("b:c")));
        assert_eq!(split(Some("=>"), None, "a=>"), record(Some("a"), Some("")));
        assert_eq!(split(Some(":"), Some("NULL"), "a:NULL"), record(Some("a"), None));
        assert_eq!(split(Some(":"), None, "ab"), Err("there is no separator in it".to_owned()));
        assert_eq!(split(None, None, "\n"), record(None, Some("")));
    }

    #[test]
    fn lines_are_read_until_the_end_or_the_first_that_is_wrong() {
        let read = |text: &'static str| {
            let source = Source { name: "f".to_owned(), reader: Box::new(text.as_bytes()), is_terminal: false };
            let (sender, mut receiver) = mpsc::channel(10);
            source.read(&Splitter::Json, &sender);
            drop(sender);
            let mut found = Vec::new();
            while let Ok(line) = receiver.try_recv() {
                found.push(line.map_or_else(|error| error.to_string(), |line| format!("{:?}", line.key)));
            }
            found
        };
        assert_eq!(read("{\"key\":\"a\"}\n{}"), ["Some([97])", "None"]);
        assert_eq!(read("{}\n[]\n{}\n"), ["None", "f line 2: it is no JSON object"]);
    }
}
