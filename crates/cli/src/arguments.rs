//! The command line's commands and options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::agent::{self, Attachment};
use crate::commands::{account, config, login, logout, rule, status};
use crate::credential::askpass;
use crate::credential::helper::{self, Chain};
use crate::doctor;
use crate::failure::{Failure, Result};
use crate::say;
use crate::setup::{self, Action, Scope, Signing};
use crate::signing;

/// One identity for Git everywhere: credentials and signatures without a token or key on this machine.
#[derive(Parser)]
#[command(name = "forgepass", version, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign this machine in: shows a code to approve in the browser, then sets Git up
    Login(Login),
    /// Sign this machine out: its token ends at once
    Logout {
        /// Restore Git's configuration too
        #[arg(long)]
        undo_setup: bool,
    },
    /// Show the sign-in, the linked accounts and what keeps Git from using them
    Status {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Find out why Git says no: walks the whole way of a remote and names the first broken part
    Doctor {
        /// A remote's name, a URL or a host; the repository's `origin` where none is given
        remote: Option<String>,
        /// As JSON, for support; holds no secret
        #[arg(long)]
        json: bool,
    },
    /// Make Git ask Forgepass
    Setup(SetupArgs),
    /// Link an account at a provider
    Link {
        /// The provider's name
        provider: String,
    },
    /// Unlink an account: its tokens are revoked and its keys deleted at the provider
    Unlink {
        /// The provider's name
        provider: String,
        /// The account's login, where several are linked
        #[arg(long)]
        account: Option<String>,
        /// Delete signing keys too; commits signed with them then show as unverified
        #[arg(long)]
        remove_signing_keys: bool,
    },
    /// Show or rotate an SSH key
    Key {
        #[command(subcommand)]
        action: KeyAction,
    },
    /// Choose between several accounts
    Account {
        #[command(subcommand)]
        part: AccountPart,
    },
    /// Change how this command line behaves
    Config {
        #[command(subcommand)]
        setting: ConfigSetting,
    },
    /// Answer Git's credential helper protocol
    Credential {
        /// For a host whose credentials other helpers may see
        #[arg(long, hide = true)]
        beside_others: bool,
        /// get, store, erase or capability
        operation: String,
    },
    /// Answer a GIT_ASKPASS prompt
    Askpass {
        /// The prompt, as Git gives it
        prompt: String,
    },
    /// Run the agent; Git starts it when it needs it
    Agent(AgentArgs),
    /// Run ssh with the keys of linked accounts
    Ssh {
        /// As for ssh
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Print the key that signs commits in this repository, for gpg.ssh.defaultKeyCommand
    SigningKey,
}

#[derive(Args)]
struct Login {
    /// The address of the Forgepass server
    url: String,
    /// A PEM file with the certificates that sign the server's own
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What to call this machine; its host name by default
    #[arg(long)]
    name: Option<String>,
    /// Leave Git's configuration alone
    #[arg(long)]
    no_setup: bool,
    /// Sign commits and tags
    #[arg(long, conflicts_with = "no_setup")]
    sign: bool,
}

#[derive(Args)]
struct SetupArgs {
    /// Show what would be written
    #[arg(long, conflicts_with = "undo")]
    print: bool,
    /// Restore the configuration as it was before
    #[arg(long)]
    undo: bool,
    /// Sign commits and tags
    #[arg(long, conflicts_with = "no_sign")]
    sign: bool,
    /// Stop signing commits and tags
    #[arg(long)]
    no_sign: bool,
    /// For every user of this machine; needs neither server nor sign-in
    #[arg(long)]
    system: bool,
    /// Where the files for every user lie
    #[arg(long, requires = "system", default_value = setup::SYSTEM_FOLDER)]
    folder: PathBuf,
}

#[derive(Subcommand)]
enum KeyAction {
    /// Print the public key, to paste where a provider has no API
    Show {
        /// The provider's name
        provider: String,
    },
    /// Make a new key; the old one works until the new one does
    Rotate {
        /// The provider's name
        provider: String,
        /// The account's login, where several are linked
        #[arg(long)]
        account: Option<String>,
    },
}

#[derive(Subcommand)]
enum AccountPart {
    /// Which account answers for which host, owner or path
    Rule {
        #[command(subcommand)]
        action: RuleAction,
    },
}

#[derive(Subcommand)]
enum RuleAction {
    /// Show the rules
    List,
    /// Let an account answer for a host (its default), an owner or a path; the most specific rule wins
    Add {
        /// HOST, HOST/OWNER or HOST/OWNER/REPOSITORY; * and ? are wildcards
        pattern: String,
        /// The account's login
        login: String,
        /// The provider's name, where the login is linked at several
        #[arg(long)]
        provider: Option<String>,
    },
    /// Remove a rule
    Remove {
        /// As `list` shows it
        pattern: String,
    },
}

#[derive(Subcommand)]
enum ConfigSetting {
    /// Whether `git clone` of a host without a link waits until the account is linked
    WaitForLink {
        /// on or off
        value: Switch,
    },
}

/// On or off.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

#[derive(Args)]
struct AgentArgs {
    /// Stay at the terminal and say what goes wrong; the default
    #[arg(long)]
    foreground: bool,
    #[arg(long, hide = true, conflicts_with = "foreground")]
    detached: bool,
    /// End the running agent
    #[arg(long, conflicts_with_all = ["foreground", "detached"])]
    stop: bool,
    /// End after so many seconds without use
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    idle_s: u64,
}

/// Parses `args` and runs the command.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let command = match CommandLine::try_parse_from(args) {
        Ok(parsed) => parsed.command,
        Err(error) if error.use_stderr() => {
            say::err(error.render().to_string().trim_end());
            say::err("hint: `forgepass --help` lists the commands");
            return ExitCode::from(2);
        }
        Err(help) => {
            say::out(help.render().to_string().trim_end());
            return ExitCode::SUCCESS;
        }
    };
    match command {
        Command::Credential {
            beside_others,
            operation,
        } => helper::run(
            &operation,
            if beside_others {
                Chain::Shared
            } else {
                Chain::Ours
            },
        ),
        Command::Ssh { args } => crate::ssh_command::run(&args),
        Command::Doctor { remote, json } => examine(remote.as_deref(), json),
        other => match perform(other) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                say::err(&failure);
                failure.exit_code()
            }
        },
    }
}

fn examine(remote: Option<&str>, json: bool) -> ExitCode {
    let form = if json {
        doctor::Form::Json
    } else {
        doctor::Form::Text
    };
    match doctor::run(remote, form) {
        Ok(doctor::Outcome::Well) => ExitCode::SUCCESS,
        Ok(doctor::Outcome::Broken) => ExitCode::FAILURE,
        Err(failure) => {
            say::err(&failure);
            failure.exit_code()
        }
    }
}

fn perform(command: Command) -> Result<()> {
    match command {
        Command::Login(login) => login.run(),
        Command::Logout { undo_setup } => logout::run(if undo_setup {
            logout::Setup::Undo
        } else {
            logout::Setup::Keep
        }),
        Command::Status { json } => status::run(if json {
            status::Form::Json
        } else {
            status::Form::Text
        }),
        Command::Setup(args) => args.run(),
        Command::Link { provider } => account::link(&provider),
        Command::Unlink {
            provider,
            account,
            remove_signing_keys,
        } => account::unlink(
            &provider,
            account.as_deref(),
            api::Unlink {
                remove_signing_keys,
            },
        ),
        Command::Key { action } => action.run(),
        Command::Account {
            part: AccountPart::Rule { action },
        } => action.run(),
        Command::Config {
            setting: ConfigSetting::WaitForLink { value },
        } => config::wait_for_link(value),
        Command::Askpass { prompt } => askpass::run(&prompt),
        Command::Agent(args) => args.run(),
        Command::SigningKey => signing::print_key(),
        Command::Credential { .. } | Command::Ssh { .. } | Command::Doctor { .. } => {
            Err(Failure::usage("this command runs elsewhere", "report this"))
        }
    }
}

impl Login {
    fn run(self) -> Result<()> {
        login::run(&login::Options {
            url: self.url,
            ca: self.ca,
            name: self.name,
            setup: (!self.no_setup).then_some(setup::Options {
                action: Action::Write,
                signing: self.sign.then_some(Signing::On),
                scope: Scope::User,
            }),
        })
    }
}

impl KeyAction {
    fn run(self) -> Result<()> {
        match self {
            Self::Show { provider } => account::show_key(&provider),
            Self::Rotate { provider, account } => {
                account::rotate_key(&provider, account.as_deref())
            }
        }
    }
}

impl RuleAction {
    fn run(self) -> Result<()> {
        match self {
            Self::List => rule::list(),
            Self::Add {
                pattern,
                login,
                provider,
            } => rule::add(&pattern, &login, provider.as_deref()),
            Self::Remove { pattern } => rule::remove(&pattern),
        }
    }
}

impl SetupArgs {
    fn run(self) -> Result<()> {
        let action = match (self.print, self.undo) {
            (_, true) => Action::Undo,
            (true, false) => Action::Print,
            (false, false) => Action::Write,
        };
        let signing = match (self.sign, self.no_sign) {
            (true, _) => Some(Signing::On),
            (false, true) => Some(Signing::Off),
            (false, false) => None,
        };
        let scope = if self.system {
            Scope::System(self.folder)
        } else {
            Scope::User
        };
        setup::run(&setup::Options {
            action,
            signing,
            scope,
        })
    }
}

impl AgentArgs {
    fn run(self) -> Result<()> {
        if self.stop {
            return agent::stop();
        }
        let attachment = if self.detached {
            Attachment::Detached
        } else {
            Attachment::Foreground
        };
        agent::run(&agent::Options {
            attachment,
            idle: Duration::from_secs(self.idle_s.max(1)),
        })
    }
}
