//! Log lines go to standard error, as text for people or JSON for machines. Standard output holds the ready line alone.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::config::Settings;

/// Sets up logging for the whole process. Errors: `logging.level` is no filter.
pub(super) fn start(settings: &Settings) -> Result<(), Failure> {
    let level = settings.get_str("logging.level");
    // The consensus library tells its life at this level. Later directives win, so a user who names it hears it.
    let filter = EnvFilter::try_new(format!("{},{level}", crate::quorum::QUIET_LOGS)).map_err(|error| {
        let origin = settings.origin("logging.level");
        Failure::Usage(format!("{origin}: logging.level = {level}: {error}; such as info, or warn,ottla::log=debug"))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.get_str("logging.format") {
        "json" => builder.json().init(),
        _ => builder.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}
