//! `known_differences.txt`: `case | path | reason`, where `*` stands for any text.

use anyhow::{Context, Result, ensure};

use crate::cache;

/// The lines of the file and whether each has matched something.
pub struct KnownDifferences {
    lines: Vec<Line>,
}

struct Line {
    case: String,
    path: String,
    used: bool,
}

impl KnownDifferences {
    pub fn read() -> Result<KnownDifferences> {
        let path = cache::compat_tests().join("src/differential/known_differences.txt");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut lines = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parts: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
            ensure!(parts.len() == 3 && !parts[2].is_empty(), "{}: no reason in {line:?}", path.display());
            lines.push(Line { case: parts[0].to_owned(), path: parts[1].to_owned(), used: false });
        }
        Ok(KnownDifferences { lines })
    }

    /// Whether a line covers the difference; remembers that it did.
    pub fn covers(&mut self, case: &str, path: &str) -> bool {
        let mut covered = false;
        for line in &mut self.lines {
            if matches(&line.case, case) && matches(&line.path, path) {
                line.used = true;
                covered = true;
            }
        }
        covered
    }

    /// Lines that covered nothing.
    pub fn unused(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().filter(|line| !line.used).map(|line| format!("{} | {}", line.case, line.path))
    }
}

/// Whether `text` has the form of `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [("a*c", "abc"), ("a*c", "ac"), ("*", ""), ("abc", "abc"), ("*b*", "abc"), ("a*", "a")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*c", "abd"), ("abc", "abcd"), ("*x*", "abc"), ("a*a", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
