//! The flags that set something, and the settings as they are printed.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::{self, Inputs, Loaded, Origin, Settings};
use crate::io::disk::{Disk, SystemDisk};

/// Flags that every command of the server takes.
#[derive(Args, Default, PartialEq, Eq)]
pub(super) struct SettingArguments {
    /// Settings: a config.yaml, or an unchanged server.properties of Kafka.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen: host:port, or NAME://host:port; several separated by commas [default: localhost:9092].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where data lives [default: ./data].
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// This node's id, unique in its cluster [default: 1].
    #[arg(long, value_name = "N")]
    node_id: Option<i32>,
    /// Join the cluster that one of these knows: host:port, several separated by commas.
    #[arg(long, value_name = "ADDR")]
    join: Option<String>,
    /// One setting, such as num.partitions=3; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

impl SettingArguments {
    /// These flags, and others that were given behind the command: there, a flag wins over the same one before it.
    pub(super) fn and(mut self, later: SettingArguments) -> SettingArguments {
        self.set.extend(later.set);
        SettingArguments {
            config: later.config.or(self.config),
            listen: later.listen.or(self.listen),
            data: later.data.or(self.data),
            node_id: later.node_id.or(self.node_id),
            join: later.join.or(self.join),
            set: self.set,
        }
    }

    /// Whether no flag was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == SettingArguments::default()
    }

    /// All layers, this process's environment included. Errors: every setting that is wrong, a line each.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        let file = match &self.config {
            None => None,
            Some(path) => {
                let shown = path.display().to_string();
                let bytes = SystemDisk.read(path).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
                let text = String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{shown}: it is not text")))?;
                Some((shown, text))
            }
        };
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let inputs = Inputs { file, environment: environment.collect(), flags: self.flags() };
        config::load(&inputs).map_err(|error| Failure::Usage(error.to_string()))
    }

    fn flags(&self) -> Vec<(String, String, String)> {
        let flag = |flag: &str, key: &str, value: String| (flag.to_owned(), key.to_owned(), value);
        let mut flags = Vec::new();
        flags.extend(self.listen.iter().map(|listen| flag("--listen", "listeners", listeners(listen))));
        flags.extend(self.data.iter().map(|data| flag("--data", "log.dirs", data.clone())));
        flags.extend(self.node_id.iter().map(|id| flag("--node-id", "node.id", id.to_string())));
        let join = self.join.iter();
        flags.extend(join.map(|servers| flag("--join", "controller.quorum.bootstrap.servers", servers.clone())));
        flags.extend(self.set.iter().map(|(key, value)| flag("--set", key, value.clone())));
        flags
    }
}

/// `localhost:9092` as Kafka writes it.
fn listeners(listen: &str) -> String {
    let named = |address: &str| match address.contains("://") {
        true => address.to_owned(),
        false => format!("PLAINTEXT://{address}"),
    };
    listen.split(',').map(|address| named(address.trim())).collect::<Vec<_>>().join(",")
}

pub(super) fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// One line for each setting, which `--config` would read again: what has effect or was given, or all of them.
pub(super) fn lines(settings: &Settings, all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value, origin) in settings.effective() {
        if !all && !key.has_effect && origin == Origin::Default {
            continue;
        }
        let value = match value {
            None => "null".to_owned(),
            Some(value) if needs_quotes(value) => format!("{value:?}"),
            Some(value) => value.to_owned(),
        };
        let effect = if key.is_heeded() { "" } else { ", no effect here" };
        lines.push(format!("{}: {value} # {origin}{effect}", key.name));
    }
    lines
}

/// Whether YAML would read something else than the text: punctuation of its own, or a fraction that it would write anew.
fn needs_quotes(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./:,_-+".contains(&byte);
    let is_fraction = value.parse::<i64>().is_err() && value.parse::<f64>().is_ok();
    value.is_empty() || value.starts_with([':', ',', '-']) || is_fraction || !value.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost:9092", "PLAINTEXT://localhost:9092")]
    #[case("EXTERNAL://a:1, b:2", "EXTERNAL://a:1,PLAINTEXT://b:2")]
    fn a_bare_address_is_a_plaintext_listener(#[case] listen: &str, #[case] written: &str) {
        assert_eq!(listeners(listen), written);
    }

    #[test]
    fn what_is_printed_can_be_loaded_again() {
        let flags = [("broker.rack", "a: #b"), ("num.partitions", "7"), ("log.dirs", "/x y")]
            .map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned()));
        let inputs = Inputs { flags: flags.to_vec(), ..Inputs::default() };
        let first = config::load(&inputs).expect("good settings").settings;
        let printed = lines(&first, true).join("\n");
        let file = Some(("printed.yaml".to_owned(), printed));
        let second = config::load(&Inputs { file, ..Inputs::default() }).expect("its own output").settings;
        for (key, value, _) in first.effective() {
            assert_eq!(second.get_text(key.name), value, "{}", key.name);
        }
    }
}
