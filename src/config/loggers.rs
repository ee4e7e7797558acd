//! The levels of log targets, and their change while the process runs: what Kafka calls broker loggers (KIP-412).
//!
//! A logger is a target of our log lines, a module path; `root` stands for all. One without a level of its own has that of the
//! next one above it. Levels go by Kafka's names; FATAL hears nothing, since no line of ours is fatal. Source:
//! `LoggingController` and `ConfigAdminManager.validateLogLevelConfigs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use parking_lot::Mutex;

use crate::model::ErrorCode;

/// The logger above all others.
pub const ROOT: &str = "root";

/// The targets that can be told apart: the process, its rooms, and the libraries with something to say.
const KNOWN: &[&str] = &[
    "ottla",
    "ottla::api",
    "ottla::broker",
    "ottla::cli",
    "ottla::coordinator",
    "ottla::io",
    "ottla::log",
    "ottla::partition",
    "ottla::peer",
    "ottla::quorum",
    "ottla::server",
];

/// Whether `logging.level` says something: levels, and targets with a level each. A word alone that is no level would be taken for
/// a target, and silence all others. Filters of spans are judged when they are used. Errors: the part that says nothing.
pub(super) fn check_filter(text: &str) -> Result<(), String> {
    let give = "give error, warn, info, debug, trace or off, or a target with one of them, such as ottla::log=debug";
    if text.contains('[') {
        return Ok(());
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let level = |part: &str| part.rsplit_once('=').map_or(part, |(_, level)| level.trim()).to_owned();
    match parts.iter().find(|part| Level::of_filter(&level(part)).is_none()) {
        Some(part) => Err(format!("{part} is no level: {give}")),
        None if parts.is_empty() => Err(format!("there is no level: {give}")),
        None => Ok(()),
    }
}

/// Kafka's levels, the most silent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// As they are named in requests: capitals only.
    fn of(name: &str) -> Option<Level> {
        Some(match name {
            "FATAL" => Level::Fatal,
            "ERROR" => Level::Error,
            "WARN" => Level::Warn,
            "INFO" => Level::Info,
            "DEBUG" => Level::Debug,
            "TRACE" => Level::Trace,
            _ => return None,
        })
    }

    /// As they are named in `logging.level`: in any case, `off` too, and numbers.
    fn of_filter(name: &str) -> Option<Level> {
        match name.to_ascii_uppercase().as_str() {
            "OFF" | "0" => Some(Level::Fatal),
            "1" => Some(Level::Error),
            "2" => Some(Level::Warn),
            "3" => Some(Level::Info),
            "4" => Some(Level::Debug),
            "5" => Some(Level::Trace),
            "FATAL" => None,
            name => Level::of(name),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::Fatal => "FATAL",
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }

    fn filter(self) -> &'static str {
        match self {
            Level::Fatal => "off",
            level => level.name(),
        }
    }
}

/// What to do with the level of one logger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggerOp {
    Set(String),
    /// Back to the level of the logger above.
    Delete,
    /// APPEND or SUBTRACT: there are no lists here.
    List(&'static str),
}

/// Why levels stay as they are. `Display` gives Kafka's own message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoggerError {
    #[error("Logger {0} does not exist!")]
    Unknown(String),
    #[error(
        "Cannot set the log level of {logger} to {level} as it is not a supported log level. Valid log levels are DEBUG, \
         ERROR, FATAL, INFO, TRACE, WARN"
    )]
    Level { logger: String, level: String },
    #[error("Removing the log level of the root logger is not allowed")]
    RootDeleted,
    #[error("{0} operation is not allowed for the BROKER_LOGGER resource")]
    NotAllowed(&'static str),
}

impl LoggerError {
    /// What a client is told.
    pub const fn code(&self) -> ErrorCode {
        match self {
            LoggerError::Unknown(_) | LoggerError::Level { .. } => ErrorCode::InvalidConfig,
            LoggerError::RootDeleted | LoggerError::NotAllowed(_) => ErrorCode::InvalidRequest,
        }
    }
}

type Apply = Box<dyn Fn(&str) + Send + Sync>;

/// The loggers of one process.
pub struct Loggers {
    state: Mutex<State>,
    /// Takes the new directives, in the syntax of `logging.level`.
    apply: Apply,
}

#[derive(Clone)]
struct State {
    root: Level,
    own: BTreeMap<String, Level>,
    /// Directives that say more than a target and a level; they stay as they are.
    others: Vec<String>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers").field("directives", &self.directives()).finish()
    }
}

impl Loggers {
    /// Loggers with the levels of `directives`, in the syntax of `logging.level`; `apply` is told of every change.
    pub fn new(directives: &str, apply: impl Fn(&str) + Send + Sync + 'static) -> Loggers {
        let mut state = State { root: Level::Error, own: BTreeMap::new(), others: Vec::new() };
        for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            match (directive.split_once('='), Level::of_filter(directive)) {
                (None, Some(level)) => state.root = level,
                (Some((target, level)), _) if is_target(target) && Level::of_filter(level).is_some() => {
                    state.own.extend(Level::of_filter(level).map(|level| (target.to_owned(), level)));
                }
                _ => state.others.push(directive.to_owned()),
            }
        }
        Loggers { state: Mutex::new(state), apply: Box::new(apply) }
    }

    /// Every logger and its level, by name.
    pub fn describe(&self) -> Vec<(String, &'static str)> {
        let state = self.state.lock();
        state.names().into_iter().map(|name| (name.clone(), state.level(&name).name())).collect()
    }

    /// Changes levels, all or none. Errors: the first change that cannot be.
    pub fn alter(&self, changes: &[(String, LoggerOp)], validate_only: bool) -> Result<(), LoggerError> {
        let mut state = self.state.lock();
        let mut altered = state.clone();
        for (logger, op) in changes {
            altered.apply(logger, op)?;
        }
        if validate_only || changes.is_empty() {
            return Ok(());
        }
        *state = altered;
        (self.apply)(&state.directives());
        Ok(())
    }

    /// All levels in the syntax of `logging.level`.
    pub fn directives(&self) -> String {
        self.state.lock().directives()
    }
}

/// Whether a directive's left side is a target and nothing else.
fn is_target(text: &str) -> bool {
    !text.is_empty() && !text.contains(['[', '{', ']', '}'])
}

impl State {
    fn names(&self) -> BTreeSet<String> {
        let known = KNOWN.iter().copied().chain([ROOT]).map(str::to_owned);
        known.chain(self.own.keys().cloned()).collect()
    }

    /// A logger's own level, else that of the nearest one above.
    fn level(&self, name: &str) -> Level {
        let mut name = name;
        loop {
            if let Some(level) = self.own.get(name) {
                return *level;
            }
            match name.rsplit_once("::") {
                Some((above, _)) => name = above,
                None => return self.root,
            }
        }
    }

    fn apply(&mut self, logger: &str, op: &LoggerOp) -> Result<(), LoggerError> {
        if let LoggerOp::List(verb) = op {
            return Err(LoggerError::NotAllowed(verb));
        }
        if !self.names().contains(logger) {
            return Err(LoggerError::Unknown(logger.to_owned()));
        }
        match op {
            LoggerOp::Set(name) => {
                let level = Level::of(name)
                    .ok_or_else(|| LoggerError::Level { logger: logger.to_owned(), level: name.clone() })?;
                match logger {
                    ROOT => self.root = level,
                    _ => _ = self.own.insert(logger.to_owned(), level),
                }
            }
            LoggerOp::Delete if logger == ROOT => return Err(LoggerError::RootDeleted),
            LoggerOp::Delete | LoggerOp::List(_) => _ = self.own.remove(logger),
        }
        Ok(())
    }

    fn directives(&self) -> String {
        let own = self.own.iter().map(|(target, level)| format!("{target}={}", level.filter()));
        let all: Vec<String> = self.others.iter().cloned().chain([self.root.filter().to_owned()]).chain(own).collect();
        all.join(",")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;

    fn shown(loggers: &Loggers) -> String {
        let all: Vec<String> = loggers.describe().iter().map(|(name, level)| format!("{name}={level}")).collect();
        all.join(" ")
    }

    #[test]
    fn a_logger_without_a_level_has_that_of_the_one_above() {
        let loggers = Loggers::new("openraft=off,warn,ottla=info,ottla::log=debug,hyper=TRACE,[span]=info", |_| {});
        let expected = "hyper=TRACE openraft=FATAL ottla=INFO ottla::api=INFO ottla::broker=INFO ottla::cli=INFO \
                        ottla::coordinator=INFO ottla::io=INFO ottla::log=DEBUG ottla::partition=INFO \
                        ottla::peer=INFO ottla::quorum=INFO ottla::server=INFO root=WARN";
        assert_eq!(shown(&loggers), expected);
        assert_eq!(loggers.directives(), "[span]=info,WARN,hyper=TRACE,openraft=off,ottla=INFO,ottla::log=DEBUG");
    }

    /// As Apache Kafka 4.3.1 answers IncrementalAlterConfigs of broker loggers.
    #[rstest]
    #[case("root", LoggerOp::Set("DEBUG".into()), Ok("DEBUG"))]
    #[case("ottla::log", LoggerOp::Set("FATAL".into()), Ok("info,ottla::log=off"))]
    #[case("ottla::log", LoggerOp::Delete, Ok("info"))]
    #[case("root", LoggerOp::Delete, Err("Removing the log level of the root logger is not allowed"))]
    #[case("root", LoggerOp::List("APPEND"), Err("APPEND operation is not allowed for the BROKER_LOGGER resource"))]
    #[case("nobody", LoggerOp::Set("LOUD".into()), Err("Logger nobody does not exist!"))]
    #[case(
        "root",
        LoggerOp::Set("warn".into()),
        Err("Cannot set the log level of root to warn as it is not a supported log level. Valid log levels are DEBUG, \
             ERROR, FATAL, INFO, TRACE, WARN")
    )]
    fn levels_change_as_kafkas_do(#[case] name: &str, #[case] op: LoggerOp, #[case] outcome: Result<&str, &str>) {
        let told = Arc::new(Mutex::new(String::new()));
        let by_loggers = Arc::clone(&told);
        let loggers = Loggers::new("info", move |directives| directives.clone_into(&mut by_loggers.lock()));
        let changes = [(name.to_owned(), op)];
        assert_eq!(loggers.alter(&changes, true).map_err(|error| error.to_string()).err().as_deref(), outcome.err());
        assert_eq!((loggers.directives().as_str(), told.lock().as_str()), ("INFO", ""), "a validation changes nothing");
        let done = loggers.alter(&changes, false).map_err(|error| error.to_string());
        assert_eq!(done.err().as_deref(), outcome.err());
        let expected = outcome.map(str::to_owned).unwrap_or_default().replace("info", "INFO");
        assert_eq!(*told.lock(), expected);
    }

    #[test]
    fn all_changes_are_made_or_none() {
        let loggers = Loggers::new("info", |_| panic!("nothing changes"));
        let set = |name: &str| (name.to_owned(), LoggerOp::Set("DEBUG".to_owned()));
        let refused = loggers.alter(&[set("root"), set("nobody")], false);
        assert_eq!(refused, Err(LoggerError::Unknown("nobody".to_owned())));
        assert_eq!(loggers.directives(), "INFO");
    }
}
