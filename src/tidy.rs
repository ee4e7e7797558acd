//! Keeps the house: what a machine can check of `ARCHITECTURE.md` and `STYLE.md`, checked on every test run.
//!
//! Each check reads the sources as text and reports every breach at once, as `file:line: what is wrong`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms and their floors. A room imports only rooms of lower floors: never its own floor, never upwards.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("config", 1),
    ("protocol", 1),
    ("io", 1),
    ("metrics", 1),
    ("log", 2),
    ("security", 2),
    ("quota", 2),
    ("metadata", 3),
    ("peer", 3),
    ("quorum", 4),
    ("partition", 4),
    ("controller", 4),
    ("coordinator", 4),
    ("broker", 5),
    ("api", 6),
    ("server", 7),
    ("cli", 8),
    ("sim", 8),
];

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 80;

/// What may be named only in certain places, and where.
const DOORS: &[(&str, &[&str])] = &[
    ("kafka_protocol", &["src/protocol/message.rs"]),
    ("openraft", &["src/quorum/"]),
    ("serde_yaml", &["src/config/yaml.rs"]),
    ("std::fs", &["src/io/"]),
    ("Instant::now", &["src/io/"]),
    ("SystemTime::now", &["src/io/"]),
    ("std::net::TcpListener", &["src/io/"]),
    ("std::net::TcpStream", &["src/io/"]),
    ("std::thread", &["src/io/"]),
    ("Condvar", &["src/io/"]),
    ("Uuid::new_v4", &["src/io/"]),
    // Clocks of machines differ and jump. Who lives, who leads and who may vote is told by monotonic time alone; the time of day is
    // for records, for what is kept by it, and for people.
    (
        "wall_ms",
        &[
            "src/model/",
            "src/io/",
            "src/log/",
            "src/coordinator/",
            "src/broker/groups/",
            "src/api/",
            "src/server/http/",
            "src/broker/controller/clocks.rs",
            "src/cli/time.rs",
            "src/sim/",
        ],
    ),
];

struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    lines: Vec<String>,
    /// Index of the first line of the file's unit tests, or the number of lines.
    tests_from: usize,
}

impl Source {
    /// `src/log/segment.rs` is in room `log`; files at the top of `src` are in none.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?;
        Some(room.strip_suffix(".rs").unwrap_or(room)).filter(|room| floor(room).is_some())
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path == "src/tidy.rs"
    }
}

impl Source {
    /// Written by a program, and said so in its head.
    fn is_generated(&self) -> bool {
        self.lines.iter().take(5).any(|line| line.starts_with("//!") && line.contains("enerated"))
    }
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(root: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("a source file is UTF-8");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let tests_from = lines.iter().position(|line| line == "#[cfg(test)]").unwrap_or(lines.len());
    let relative = path.strip_prefix(repository()).expect("inside the repository");
    Source { path: relative.to_string_lossy().into_owned(), lines, tests_from }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn report(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Every room named after `crate::` in a line.
fn imported_rooms(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for (position, prefix) in line.match_indices("crate::") {
        let rest = &line[position + prefix.len()..];
        let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len());
        rooms.push(&rest[..end]);
        if let Some(group) = rest.strip_prefix('{') {
            rooms.extend(group.split([',', '}']).map(|part| part.trim().split(':').next().unwrap_or("").trim()));
        }
    }
    rooms
}

#[test]
fn rooms_import_only_lower_floors() {
    let mut breaches = Vec::new();
    for source in sources("src") {
        let Some(room) = source.room() else { continue };
        let own = floor(room).expect("rooms have floors");
        for (index, line) in source.lines[..source.tests_from].iter().enumerate() {
            if is_comment(line) {
                continue;
            }
            for imported in imported_rooms(line) {
                if imported != room && floor(imported).is_some_and(|other| other >= own) {
                    breaches.push(format!(
                        "{}:{}: `{room}` (floor {own}) may not import `{imported}`",
                        source.path,
                        index + 1
                    ));
                }
            }
        }
    }
    report(breaches);
}

#[test]
fn every_room_of_the_house_is_in_the_table() {
    let mut breaches = Vec::new();
    for entry in fs::read_dir(repository().join("src")).expect("src").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && floor(&name).is_none() {
            breaches.push(format!("src/{name}: no floor in tidy.rs"));
        }
    }
    report(breaches);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let all = sources("src").into_iter().chain(sources("compat-tests"));
    let breaches = all
        .filter(|source| !source.path.ends_with("/tests.rs"))
        .filter(|source| !source.lines.iter().take(5).any(|line| line.starts_with("//!")))
        .map(|source| format!("{}:1: no `//!` head", source.path));
    report(breaches.collect());
}

#[test]
fn files_fit_in_the_head() {
    let all = sources("src").into_iter().chain(sources("compat-tests"));
    let breaches = all
        .filter(|source| !source.is_generated())
        .filter(|source| !LONG_FILES.contains(&source.path.as_str()))
        .filter(|source| source.tests_from > FILE_LINES_MAX)
        .map(|source| {
            format!("{}: {} lines before its tests, {FILE_LINES_MAX} at most", source.path, source.tests_from)
        });
    report(breaches.collect());
}

/// Tables that are read by looking one row up, not from top to bottom.
const LONG_FILES: &[&str] = &[];

#[test]
fn functions_fit_a_screen() {
    let mut breaches = Vec::new();
    for source in sources("src").into_iter().chain(sources("compat-tests")) {
        if source.is_test() || source.is_generated() {
            continue;
        }
        for (name, line, length) in functions(&source.lines[..source.tests_from]) {
            if length > FUNCTION_LINES_MAX {
                breaches
                    .push(format!("{}:{line}: `{name}` has {length} lines, {FUNCTION_LINES_MAX} at most", source.path));
            }
        }
    }
    report(breaches);
}

/// Name, first line (from 1) and length of every function, by the indentation that rustfmt gives.
fn functions(lines: &[String]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        // The body's closing brace, or the semicolon of a declaration, stands at the indentation of `fn`.
        let ends = |other: &String| {
            let depth = other.len() - other.trim_start().len();
            depth == indent && (other.trim_start() == "}" || other.ends_with(';'))
        };
        let end = lines[index..].iter().position(ends);
        if let Some(length) = end {
            found.push((name.to_owned(), index + 1, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line;
    for prefix in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|char: char| !char.is_alphanumeric() && char != '_')?;
    Some(&name[..end])
}

#[test]
fn doors_are_used_only_where_they_stand() {
    let mut breaches = Vec::new();
    for source in sources("src") {
        if source.is_test() {
            continue;
        }
        for (index, line) in source.lines[..source.tests_from].iter().enumerate() {
            for (word, places) in DOORS {
                if !is_comment(line)
                    && line.contains(word)
                    && !places.iter().any(|place| source.path.starts_with(place))
                {
                    breaches.push(format!("{}:{}: `{word}` only in {}", source.path, index + 1, places.join(", ")));
                }
            }
        }
    }
    report(breaches);
}

#[test]
fn unsafe_code_stays_behind_the_doors() {
    let mut breaches = Vec::new();
    for source in sources("src") {
        let allowed = source.path.starts_with("src/io/") || source.path == "src/tidy.rs";
        for (index, line) in source.lines.iter().enumerate() {
            if !allowed && line.contains("allow(unsafe_code)") {
                breaches.push(format!("{}:{}: `unsafe` only in `io`", source.path, index + 1));
            }
        }
    }
    report(breaches);
}

#[test]
fn words_that_promise_instead_of_doing_are_absent() {
    // Put together from parts, so that this file does not contain them.
    let banned = ["TO|DO", "FIX|ME", "XX|X", "HA|CK", "not |implemented", "#[ig|nore", "todo|!(", "unimpl|emented!("];
    let banned: Vec<String> = banned.iter().map(|word| word.replace('|', "")).collect();
    let mut breaches = Vec::new();
    for source in sources("src").into_iter().chain(sources("compat-tests")) {
        for (index, line) in source.lines.iter().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                breaches.push(format!("{}:{}: `{word}`", source.path, index + 1));
            }
        }
    }
    report(breaches);
}

#[test]
fn modules_are_named_after_what_is_in_them() {
    let vague = ["utils", "util", "helpers", "helper", "common", "manager", "misc"];
    let breaches = sources("src").into_iter().chain(sources("compat-tests")).filter_map(|source| {
        let name = Path::new(&source.path).with_extension("");
        let vague = name.iter().any(|part| vague.iter().any(|word| part == *word));
        vague.then(|| format!("{}: a name that says nothing", source.path))
    });
    report(breaches.collect());
}

#[test]
fn the_architecture_page_has_every_room() {
    let page = fs::read_to_string(repository().join("src/ARCHITECTURE.md")).expect("src/ARCHITECTURE.md");
    let rooms: BTreeMap<_, _> =
        FLOORS.iter().filter(|(room, _)| repository().join("src").join(room).is_dir()).copied().collect();
    let breaches = rooms.iter().filter(|(room, floor)| !page.contains(&format!("| {floor} | `{room}` |")));
    report(breaches.map(|(room, floor)| format!("src/ARCHITECTURE.md: no row `| {floor} | `{room}` |`")).collect());
}

const MATRIX_HEAD: &str = "| API | versions |\n|---|---|\n";

/// The README's table of APIs, as the rows have it.
fn matrix() -> String {
    let row = |row: &crate::api::Row| {
        let served = format!("{}–{}", row.versions.start(), row.versions.end());
        let refused = match row.versions.start() - row.advertised.start() {
            0 => String::new(),
            _ => format!(
                " ({}–{} are offered and refused, as by Kafka)",
                row.advertised.start(),
                row.versions.start() - 1
            ),
        };
        format!("| {} | {served}{refused} |\n", row.key)
    };
    crate::api::offered(crate::config::Roles::CLIENT).map(row).collect()
}

#[test]
fn the_readme_offers_what_the_rows_offer() {
    let path = repository().join("README.md");
    let page = fs::read_to_string(&path).expect("README.md");
    let (before, rest) = page.split_once(MATRIX_HEAD).expect("the head of the table");
    let after = rest.find("\n\n").map_or("", |end| &rest[end + 1..]);
    let after = if rest.starts_with('\n') { rest } else { after };
    let expected = format!("{before}{MATRIX_HEAD}{}{after}", matrix());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &expected).expect("README.md can be written");
        return;
    }
    assert!(page == expected, "the table differs from the rows; UPDATE_EXPECT=1 cargo test readme rewrites it");
}
