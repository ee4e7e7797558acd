//! Java's `.properties` text: comments, continued lines, three separators, escapes. Source: `java.util.Properties.load`.

/// One entry and the line it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// The entries in the order of the text; a key may come more than once. Errors: the line of a broken `\u` escape.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, usize> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while is_continued(&logical) {
            logical.pop();
            // A backslash at the end of the last line continues into nothing.
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start());
        }
        let (key, value) = split(&logical);
        let line = index + 1;
        entries.push(Entry { key: unescape(key).ok_or(line)?, value: unescape(value).ok_or(line)?, line });
    }
    Ok(entries)
}

/// An odd number of backslashes at the end escapes the line's end.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// Parts key and value at the first `=`, `:` or white space that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|character: char| {
        let ends = !is_escaped && (matches!(character, '=' | ':') || is_space(character));
        is_escaped = !is_escaped && character == '\\';
        ends
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(is_space);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(is_space))
}

const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

/// `None` for a `\u` that is not followed by four hexadecimal digits.
fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '\\' => match characters.next() {
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return None;
                    }
                    units.push(u16::from_str_radix(&digits, 16).ok()?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    // Java's escapes are UTF-16, so that a pair of them is one character.
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The left side is a file, the right side what `java.util.Properties` reads from it.
    #[rstest]
    #[case("a=1\nb = 2\nc:3\nd 4\n", "a=1@1 b=2@2 c=3@3 d=4@4")]
    #[case("# no\n! no\n\n   a=1", "a=1@4")]
    #[case("a=1,\\\n   2,\\\n3\nb=4", "a=1,2,3@1 b=4@4")]
    #[case("a=x\\\\\nb=1", "a=x\\@1 b=1@2")]
    #[case("a\\ b\\=c=1", "a b=c=1@1")]
    #[case("a=\\t\\u0041\\u00e9\\q", "a=\tAéq@1")]
    #[case("a=\\uD83D\\uDE00", "a=😀@1")]
    #[case("a", "a=@1")]
    #[case("a==b", "a==b@1")]
    #[case("a = = b", "a== b@1")]
    #[case("a=1\\", "a=1@1")]
    #[case("a=1\r\nb=2\r\n", "a=1@1 b=2@2")]
    #[case("a=1 # not a comment", "a=1 # not a comment@1")]
    #[case("", "")]
    fn a_file_is_read_as_java_reads_it(#[case] text: &str, #[case] entries: &str) {
        let parsed = parse(text).expect("a well-formed file");
        let shown: Vec<String> =
            parsed.iter().map(|entry| format!("{}={}@{}", entry.key, entry.value, entry.line)).collect();
        assert_eq!(shown.join(" "), entries);
    }

    #[rstest]
    #[case("a=1\nb=\\u00g0", 2)]
    #[case("a=\\u12", 1)]
    fn a_broken_escape_names_its_line(#[case] text: &str, #[case] line: usize) {
        assert_eq!(parse(text), Err(line));
    }
}
