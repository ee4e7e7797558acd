//! Replaces what differs from run to run by names, so that two servers that behave alike leave equal transcripts.

use std::sync::LazyLock;

use regex::Regex;

/// Pattern and what it becomes; applied in this order.
const RULES: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,:]\d{3}", "TIME"),
    (r"\b1[6-9]\d{11}\b", "TIME"),
    (r"TopicId: \S+", "TopicId: ID"),
    (r"\bEpoch: \d+", "Epoch: N"),
    (r"Cluster ?I[dD]:\s+\S+", "ClusterId: ID"),
    (r#""topicId":"[^"]+""#, r#""topicId":"ID""#),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"(?i)\bproducerId: \d+", "producerId: ID"),
    (r"\b(crc|position|size|Log starting offset): \d+", "$1: N"),
    (r"\bLSO: \d+", "LSO: N"),
    // Who leads the quorum is chance.
    (r"Local controller \d+ ", "Local controller ID "),
    (r"\b(console|perf)-consumer-\d+", "$1-consumer-N"),
    (r"[ \t]+", " "),
    (r"\b127\.0\.0\.1 \d{4,5}\b", "HOST PORT"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |(pattern, name): &(&str, &'static str)| (Regex::new(pattern).expect("it is constant"), *name);
    RULES.iter().map(compile).collect()
});

/// The lines of an output, without what is only true of this run. `names` are texts of this server: its address, its folder.
pub fn lines(output: &str, names: &[(String, &str)]) -> Vec<String> {
    output.lines().filter_map(|text| line(text, names)).collect()
}

fn line(text: &str, names: &[(String, &str)]) -> Option<String> {
    // Where in the tool's own code an error came up says nothing of the server, nor which node the tool happened to try first.
    let is_of_the_tool = text.trim_start().starts_with("at ") || text.trim_start().starts_with("... ");
    if is_of_the_tool || text.contains(" WARN NetworkClient ") {
        return None;
    }
    let mut text = text.to_string();
    for (from, to) in names {
        text = text.replace(from, to);
    }
    for (pattern, name) in COMPILED.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    let text = text.trim();
    if text.is_empty() { None } else { Some(text.to_string()) }
}

/// What `__consumer_offsets` holds of one group, in either of the forms in which tools print it. Other groups share the
/// partition or not, so that offsets are replaced; the sequence of a batch without a producer means nothing.
pub fn records_of_group(output: &str, group: &str) -> String {
    let position = Regex::new(r"\| offset: \d+|\bsequence: -?\d+").expect("it is constant");
    let group = format!("\"group\":\"{group}\"");
    let output = output.replace("}{", "}\n{");
    let lines = output.lines().filter(|line| line.contains(&group)).map(|line| position.replace_all(line, "N"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What `kafka-log-dirs` prints, a line for each directory and each log: in its JSON they come in the order of a hash.
pub fn log_dirs(output: &str) -> String {
    let mut lines = Vec::new();
    for line in output.lines() {
        let Ok(mut described) = serde_json::from_str::<serde_json::Value>(line) else {
            lines.push(line.to_owned());
            continue;
        };
        for broker in taken(&mut described, "brokers") {
            for mut directory in broker["logDirs"].as_array().cloned().unwrap_or_default() {
                let path = directory["logDir"].as_str().unwrap_or_default().to_owned();
                let at = format!("broker {} {path}", broker["broker"]);
                let logs = taken(&mut directory, "partitions");
                lines.extend(logs.iter().map(|log| format!("{at}: {log}")));
                lines.push(format!("{at}: {} logs, {directory}", logs.len()));
            }
        }
        lines.push(format!("beside: {described}"));
    }
    lines.sort();
    lines.join("\n")
}

/// The elements of a list, which leaves its place.
fn taken(value: &mut serde_json::Value, field: &str) -> Vec<serde_json::Value> {
    let list = value.as_object_mut().and_then(|fields| fields.remove(field));
    list.and_then(|list| list.as_array().cloned()).unwrap_or_default()
}

/// Every number becomes `N`: for outputs that are measurements.
pub fn without_numbers(lines: &[String]) -> Vec<String> {
    let number = Regex::new(r"-?\d+([.,]\d+)*").expect("it is constant");
    lines.iter().map(|line| number.replace_all(line, "N").into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_true_of_one_run_is_replaced() {
        let names = [("127.0.0.1:4711".to_string(), "ADDRESS")];
        let output = "Topic: orders\tTopicId: aGVsbG8-Xw\tPartitionCount: 3\n\tat java.Foo\n\n\
                      [2026-11-21 11:00:00,123] at 127.0.0.1:4711 consumer-g-1-0f1e2d3c-0001-0002-0003-00000000abcd 1795259999999";
        let expected = vec!["Topic: orders TopicId: ID PartitionCount: 3", "[TIME] at ADDRESS consumer-g-1-UUID TIME"];
        assert_eq!(lines(output, &names), expected);
    }

    #[test]
    fn only_one_group_is_left_of_the_offsets_topic() {
        let output =
            "{\"group\":\"a\",\"v\":{}}{\"group\":\"b\"}\n| offset: 7 sequence: -1 {\"group\":\"a\"} \"offset\":2\n";
        let expected = "{\"group\":\"a\",\"v\":{}}\nN N {\"group\":\"a\"} \"offset\":2";
        assert_eq!(records_of_group(output, "a"), expected);
    }

    #[test]
    fn directories_come_in_their_order_with_all_that_is_said_of_them() {
        let output = r#"Received
{"version":1,"brokers":[{"broker":1,"logDirs":[{"partitions":[{"partition":"t-0","size":7}],"error":null,"logDir":"/b"},{"partitions":[],"error":"E","logDir":"/a"}]}]}
exit code 0"#;
        let expected = [
            r#"Received"#,
            r#"beside: {"version":1}"#,
            r#"broker 1 /a: 0 logs, {"error":"E","logDir":"/a"}"#,
            r#"broker 1 /b: 1 logs, {"error":null,"logDir":"/b"}"#,
            r#"broker 1 /b: {"partition":"t-0","size":7}"#,
            "exit code 0",
        ];
        assert_eq!(log_dirs(output), expected.join("\n"));
    }
}
