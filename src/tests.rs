//! What the tests of several rooms share: dialogues with a machine, as text files. Blocks of events, and below each what it said.
//!
//! The rooms of machines bring what an event means; how a file is read, compared and written anew is the same for all.

use std::fmt::Write;

/// The text again, with what `event` answers to each line of a block as it is today. Lines with `#` are remarks.
pub fn play_dialogue(text: &str, mut event: impl FnMut(&str) -> String) -> String {
    let mut result = String::new();
    for block in text.trim_end().split("\n\n") {
        let events = block.split("\n----").next().expect("a block has a first part");
        let lines = events.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let said: String = lines.map(&mut event).collect();
        let _ = writeln!(result, "{events}");
        if !events.lines().all(|line| line.starts_with('#')) {
            let _ = write!(result, "----\n{said}");
        }
        result.push('\n');
    }
    result.truncate(result.trim_end().len());
    result.push('\n');
    result
}

/// Holds every file of a folder of this repository against what `run` makes of it; `UPDATE_EXPECT=1` writes that down instead.
/// There are at least `count` of them.
pub fn check_dialogues(folder: &str, count: usize, run: impl Fn(&str) -> String) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("testdata").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() >= count, "the dialogues are there");
    let mut breaches = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a dialogue is UTF-8");
        let now = run(&text);
        if now == text {
            continue;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, now).expect("a dialogue can be written");
            continue;
        }
        let differing = text.lines().zip(now.lines()).enumerate().find(|(_, (before, after))| before != after);
        let (line, (before, after)) = differing.unwrap_or((text.lines().count().min(now.lines().count()), ("", "")));
        breaches.push(format!("{}:{}\n  expected: {before}\n  got:      {after}", path.display(), line + 1));
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}
