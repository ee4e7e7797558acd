//! What commands print: tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::client::Refused;

/// Rows under a head, as columns that line up; nothing but the head's words and the cells' text.
pub(super) fn lines(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|word| word.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Prints one JSON value on lines of its own.
pub(super) fn print_json(value: &Value) -> io::Result<()> {
    print(&format!("{value:#}\n"))
}

/// Says what was done to which names. Errors: what was refused, a line each, after what was done.
pub(super) fn tell_done(what: &str, names: &[String], refused: &[Refused], json: bool) -> anyhow::Result<()> {
    if json {
        let mut told = serde_json::Map::new();
        told.insert(what.to_owned(), json!(names));
        print_json(&Value::Object(told))?;
    } else {
        let lines: String = names.iter().map(|name| format!("{what} {name}\n")).collect();
        print(&lines)?;
    }
    if refused.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = refused.iter().map(Refused::to_string).collect();
    anyhow::bail!("{}", reasons.join("\n"))
}

/// Prints text to standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Numbers as people list them: `1,2,3`.
pub(super) fn list(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// A number, or a dash where there is none.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [["a", "10"], ["longer", "2"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(lines(&["name", "lag"], rows), "NAME    LAG\na       10\nlonger  2\n");
        assert_eq!(lines(&["name"], []), "NAME\n");
    }
}
