//! Log lines go to standard error, as text for people or JSON for machines. Standard output holds the ready line alone.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use super::Failure;
use crate::config::{Loggers, Settings};

/// Sets up logging for the whole process; what comes back changes levels while it runs. Errors: `logging.level` is no filter.
pub(super) fn start(settings: &Settings) -> Result<Arc<Loggers>, Failure> {
    let level = settings.get_str("logging.level");
    // The consensus library tells its life at this level. Later directives win, so a user who names it hears it.
    let directives = format!("{},{level}", crate::quorum::QUIET_LOGS);
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        let origin = settings.origin("logging.level");
        Failure::Usage(format!("{origin}: logging.level = {level}: {error}; such as info, or warn,ottla::log=debug"))
    })?;
    let (filter, reload) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.get_str("logging.format") {
        // Fields stand beside the message: collectors look for `message` at the top.
        "json" => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        _ => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    Registry::default().with(filter).with(lines).init();
    Ok(Arc::new(Loggers::new(&directives, move |directives| {
        let replaced = EnvFilter::try_new(directives).map_err(|error| error.to_string());
        match replaced.and_then(|filter| reload.reload(filter).map_err(|error| error.to_string())) {
            Ok(()) => tracing::info!(directives, "levels of loggers changed"),
            Err(error) => tracing::error!(directives, error, "levels of loggers cannot be changed"),
        }
    })))
}
