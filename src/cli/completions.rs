//! `ottla completions`: what a shell needs to complete commands and flags.

use std::io;

use clap::{Arg, Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::{Arguments, Failure, table};

const NAME: &str = "ottla";

/// Shells whose completions are known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script of a shell.
pub(super) fn print(shell: KnownShell) -> Result<(), Failure> {
    match table::print(&script(shell)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Failure::Runtime(format!("cannot print: {error}"))),
    }
}

fn script(shell: KnownShell) -> String {
    let mut command = Arguments::command();
    let mut generate = |shell| {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, NAME, &mut script);
        String::from_utf8_lossy(&script).into_owned()
    };
    match shell {
        KnownShell::Bash => for_bash(&generate(Shell::Bash)),
        KnownShell::Zsh => for_zsh(&generate(Shell::Zsh)),
        KnownShell::Fish => {
            let script = generate(Shell::Fish);
            for_fish(&script, &command)
        }
    }
}

/// To bash `--flag=v` is three words, and the generator looks for the flag in the one before the last: it would offer files.
fn for_bash(script: &str) -> String {
    let before = "    prev=\"$3\"\n";
    let mended = "    if [[ \"${prev}\" == \"=\" ]]; then\n        prev=\"${COMP_WORDS[COMP_CWORD-2]}\"\n    fi\n";
    script.replacen(before, &format!("{before}{mended}"), 1)
}

/// The generator writes a name that may be repeated as `*::`, which tells zsh that a command line of its own begins there: it would
/// offer programs instead, and no flag after the first name.
fn for_zsh(script: &str) -> String {
    script.replace("\n'*::", "\n'*:")
}

/// The generator forgets what a word that is no flag may be, and offers nothing after `help`, since it looks for a line without that
/// word.
fn for_fish(script: &str, command: &Command) -> String {
    let mut mended = String::new();
    for line in script.lines() {
        let of_help = line.contains(&format!("__fish_{NAME}_using_subcommand help; and not "));
        mended.push_str(&if of_help { line.replacen(" help\" ", "\" ", 1) } else { line.to_owned() });
        mended.push('\n');
    }
    for subcommand in command.get_subcommands() {
        let possible = subcommand.get_positionals().flat_map(Arg::get_possible_values);
        let values: Vec<String> = possible.map(|value| value.get_name().to_owned()).collect();
        if !values.is_empty() {
            let condition = format!("__fish_{NAME}_using_subcommand {}", subcommand.get_name());
            mended.push_str(&format!("complete -c {NAME} -n \"{condition}\" -f -a \"{}\"\n", values.join(" ")));
        }
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zsh_offers_flags_after_names_that_may_be_repeated() {
        let script = script(KnownShell::Zsh);
        assert!(script.contains("\n'*:names"), "{script}");
        assert!(!script.contains("\n'*::"), "{script}");
        assert!(script.contains("\n\":: :_ottla_commands\""), "only names are changed: {script}");
    }

    #[test]
    fn fish_offers_commands_after_help_and_words_that_are_no_flags() {
        let script = script(KnownShell::Fish);
        let help = script.lines().filter(|line| line.contains("using_subcommand help; and not"));
        assert!(help.clone().count() > 5, "{script}");
        assert!(help.clone().all(|line| line.contains(" completions\" -f -a ")), "{script}");
        let shells = "complete -c ottla -n \"__fish_ottla_using_subcommand completions\" -f -a \"bash zsh fish\"\n";
        assert!(script.ends_with(shells), "{script}");
    }

    #[test]
    fn bash_completes_commands_flags_and_values() {
        let script = script(KnownShell::Bash);
        let tries = "\ntry() { COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _ottla ottla \"${@: -1}\" \"${@: -2:1}\"; echo ${COMPREPLY[*]}; }\n\
                     try ottla to; try ottla topics create --pa; \
                     try ottla produce --compression z; try ottla produce --compression = g; try ottla completions f\n";
        let ran = std::process::Command::new("bash").args(["-u", "-c", &(script + tries)]).output().expect("bash runs");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "topics\n--partitions\nzstd\ngzip\nfish\n");
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    }
}
