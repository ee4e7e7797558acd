//! The coordinator as text dialogues, and its properties.

mod dialogue;
mod liveness;
mod parse;
mod properties;
mod show;

/// Every file of `testdata` is a dialogue; `UPDATE_EXPECT=1` writes down what the machine says today.
#[test]
fn dialogues_go_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/coordinator/group/testdata");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("testdata").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "the dialogues are there");
    let mut breaches = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a dialogue is UTF-8");
        let now = dialogue::run(&text);
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
