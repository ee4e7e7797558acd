//! What `create.topics` and `init.dir` name is there when the server serves; what cannot be is refused by its name.

use crate::config::{self, Inputs};
use crate::io::threads::wait;
use crate::metadata::ConfigResource;

use super::{Fixture, Server};

fn folder_with(file: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(file), text).expect("a file");
    folder
}

fn refusal(more: &[(&str, &str)]) -> String {
    refusal_on(&tempfile::tempdir().expect("a folder"), more)
}

fn refusal_on(folder: &tempfile::TempDir, more: &[(&str, &str)]) -> String {
    let data = folder.path().display().to_string();
    let own = [("listeners", "PLAINTEXT://127.0.0.1:0"), ("log.dirs", data.as_str())];
    let flags = own.iter().chain(more).map(|(key, value)| ("--set".to_owned(), (*key).to_owned(), (*value).to_owned()));
    let inputs = Inputs { flags: flags.collect(), ..Inputs::default() };
    let settings = config::load(&inputs).expect("settings that hold").settings;
    format!("{:#}", wait(Server::start(settings)).err().expect("it is refused"))
}

#[test]
fn topics_and_settings_are_there_before_the_first_request() {
    let text = "topics:\n  - name: orders\n    configs: {retention.ms: 60000}\nbrokers:\n  log.retention.ms: 70000\n";
    let files = folder_with("orders.yaml", text);
    std::fs::write(files.path().join("README.md"), "not for the server").expect("a file");
    let init_dir = files.path().display().to_string();
    let fixture =
        Fixture::start(&[("create.topics", "a:3:1:compact,b"), ("init.dir", &init_dir), ("num.partitions", "2")]);
    let image = fixture.running().broker().image();
    let partitions: Vec<_> = image.topics().map(|topic| (topic.name.to_string(), topic.partitions.len())).collect();
    assert_eq!(partitions, [("a".to_owned(), 3), ("b".to_owned(), 2), ("orders".to_owned(), 2)]);
    let config = |resource, name: &str| image.configs(&resource).get(name).cloned();
    assert_eq!(config(ConfigResource::Topic("a".to_owned()), "cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(config(ConfigResource::Topic("orders".to_owned()), "retention.ms").as_deref(), Some("60000"));
    assert_eq!(config(ConfigResource::BrokerDefault, "log.retention.ms").as_deref(), Some("70000"));
}

#[test]
fn what_is_there_already_stays_as_it_is() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().display().to_string();
    drop(Fixture::start(&[("log.dirs", &data), ("create.topics", "a:3")]));
    let fixture = Fixture::start(&[("log.dirs", &data), ("create.topics", "a:5:1:compact,b")]);
    let image = fixture.running().broker().image();
    assert_eq!(image.topic("a").expect("it was created").partitions.len(), 3);
    assert!(image.configs(&ConfigResource::Topic("a".to_owned())).is_empty());
    assert!(image.topic("b").is_some());
}

#[test]
fn a_start_that_is_refused_has_made_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let topic = refusal_on(&data, &[("create.topics", "whole,broken:0")]);
    assert!(topic.starts_with("create.topics: topic broken: INVALID_PARTITIONS"), "{topic}");
    let files =
        folder_with("a.yml", "topics: [{name: good}]\nbrokers: {log.retention.ms: 70000, log.segment.bytes: soon}\n");
    let init_dir = files.path().display().to_string();
    let setting = refusal_on(&data, &[("init.dir", &init_dir)]);
    assert!(setting.contains("a.yml: log.segment.bytes of all brokers: "), "{setting}");
    let fixture = Fixture::start(&[("log.dirs", &data.path().display().to_string())]);
    let image = fixture.running().broker().image();
    assert_eq!(image.topics().count(), 0);
    let settings: Vec<_> =
        image.configs(&ConfigResource::BrokerDefault).keys().filter(|name| name.starts_with("log.")).collect();
    assert!(settings.is_empty(), "{settings:?}");
}

#[test]
fn what_never_can_be_is_refused_with_its_place() {
    let policy = refusal(&[("create.topics", "a:1:1:shrink")]);
    assert!(policy.starts_with("create.topics: topic a: INVALID_CONFIG"), "{policy}");
    let files = folder_with("a.yml", "topics:\n  - name: a\n    partitions: 0\n");
    let partitions = refusal(&[("init.dir", &files.path().display().to_string())]);
    assert!(partitions.contains("a.yml: topic a: INVALID_PARTITIONS"), "{partitions}");
    let files = folder_with("a.yml", "brokers: {log.retention.ms: soon}\n");
    let setting = refusal(&[("init.dir", &files.path().display().to_string())]);
    assert!(setting.contains("a.yml: log.retention.ms of all brokers: INVALID_REQUEST"), "{setting}");
    let missing = refusal(&[("init.dir", "/nowhere/at/all")]);
    assert!(missing.starts_with("init.dir: /nowhere/at/all: "), "{missing}");
}
