//! `windrow completions`: what a shell needs to complete commands and flags.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::Cli;
use crate::console::{Outcome, Stdout};

/// Print shell completions
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  windrow completions bash > ~/.local/share/bash-completion/completions/windrow
  windrow completions zsh > ~/.zfunc/_windrow")]
pub struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    /// Prints the completion script.
    pub fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "windrow", &mut script);
        let mut out = Stdout::new();
        out.write_bytes(&script)?;
        out.finish()
    }
}
