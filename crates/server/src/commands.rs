//! The server's own command line, for the owner of the machine.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use broker::{Broker, Role};
use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret;

use crate::{
    api, app,
    config::{Config, Environment},
    logs, serve, start,
};

/// Self-hosted Git identity for development environments.
#[derive(Debug, Parser)]
#[command(name = "forgepass-server", version, about)]
pub struct Arguments {
    /// Configuration file; without it `forgepass.toml` in the current folder, if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the console and the API (the default).
    Serve,
    /// Check configuration, database and each provider; exit 1 if something is not well.
    Check,
    /// Manage users without the console.
    #[command(subcommand)]
    User(UserCommand),
    /// Manage the keys that seal secrets.
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user; prints their one-time link.
    Add {
        /// Sign-in name.
        name: String,
        /// E-mail address.
        #[arg(long)]
        email: Option<String>,
        /// `member`, `auditor` or `site-manager`.
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// List users, tab-separated: name, role, state, e-mail address.
    List,
    /// Make an API token; prints it.
    Token(TokenArguments),
    /// Make a new one-time link, for a lost invitation or a forgotten password; prints it.
    Invite {
        /// Sign-in name.
        name: String,
    },
    /// Give a user another role.
    Role {
        /// Sign-in name.
        name: String,
        /// `member`, `auditor` or `site-manager`.
        role: String,
    },
}

#[derive(Debug, Args)]
struct TokenArguments {
    /// Whose token.
    user: String,
    /// What it is for.
    #[arg(long)]
    name: String,
    /// How long it lives: a number and `s`, `m`, `h` or `d`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    ttl: i64,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Make a key file for the setting `server.key_file`, where there is none yet.
    NewKeyFile {
        /// Where to write it.
        path: PathBuf,
    },
}

/// Does what the arguments ask.
///
/// # Errors
/// What went wrong, in words for a terminal.
pub async fn run(arguments: Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let command = arguments.command.unwrap_or(Command::Serve);
    match &command {
        Command::Openapi => {
            println!("{}", api::document().to_pretty_json()?);
            return Ok(ExitCode::SUCCESS);
        }
        Command::Secrets(SecretsCommand::NewKeyFile { path }) => {
            start::new_key_file(path)?;
            eprintln!(
                "wrote {}; back it up: without it no stored secret can be opened",
                path.display()
            );
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let config = Config::load(arguments.config.as_deref(), environment)?;
    logs::start(&config.log)?;
    match command {
        Command::Serve => serve::run(config).await.map(|()| ExitCode::SUCCESS),
        Command::Check => check(&config).await,
        Command::User(command) => user(&open(&config).await?, command).await,
        Command::Secrets(_) | Command::Openapi => Ok(ExitCode::SUCCESS),
    }
}

/// The broker of a command that does not listen.
async fn open(config: &Config) -> anyhow::Result<Broker> {
    start::broker(config, config.public_url(config.listen)).await
}

async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    println!("ok    configuration");
    let broker = open(config).await?;
    start::declare(&broker, config).await?;
    let mut well = true;
    for found in broker.check().await.map_err(app::worded)? {
        let word = if found.ok { "ok   " } else { "FAULT" };
        println!("{word} {}: {}", found.name, found.detail);
        well &= found.ok;
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn user(broker: &Broker, command: UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Add { name, email, role } => {
            let added = broker
                .add_user_as_owner(&name, email.as_deref(), parse_role(&role)?)
                .await;
            println!("{}", added.map_err(app::worded)?.url.expose_secret());
        }
        UserCommand::List => list(broker).await?,
        UserCommand::Token(TokenArguments { user, name, ttl }) => {
            let user = broker.user_by_name(&user).await.map_err(app::worded)?;
            let new = user.add_api_token(&name, ttl).await.map_err(app::worded)?;
            println!("{}", new.token.expose_secret());
        }
        UserCommand::Invite { name } => {
            let invitation = broker.reinvite_as_owner(&name).await.map_err(app::worded)?;
            println!("{}", invitation.url.expose_secret());
        }
        UserCommand::Role { name, role } => {
            let user = broker.set_role_as_owner(&name, parse_role(&role)?).await;
            let user = user.map_err(app::worded)?;
            eprintln!("{} is now: {}", user.name, user.role);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(broker: &Broker) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let users = broker
            .users_as_owner(after.as_deref())
            .await
            .map_err(app::worded)?;
        for user in &users {
            let state = match (user.suspended_at, user.active) {
                (Some(_), _) => "suspended",
                (None, true) => "active",
                (None, false) => "invited",
            };
            let email = user.email.as_deref().unwrap_or_default();
            println!("{}\t{}\t{state}\t{email}", user.name, user.role);
        }
        match users.into_iter().next_back() {
            Some(last) => after = Some(last.name),
            None => return Ok(()),
        }
    }
}

fn parse_role(word: &str) -> anyhow::Result<Role> {
    match Role::from_word(word) {
        Some(role) => Ok(role),
        None => bail!("{word:?} is no role; use member, auditor or site-manager"),
    }
}

/// `90s`, `15m`, `12h` or `1d` in seconds.
fn seconds(text: &str) -> anyhow::Result<i64> {
    let unit = text.chars().next_back().unwrap_or_default();
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => bail!("write a number and s, m, h or d, such as 1d"),
    };
    let number = text.trim_end_matches(unit);
    let number: i64 = number
        .parse()
        .with_context(|| format!("{number:?} is no number"))?;
    number
        .checked_mul(factor)
        .filter(|seconds| *seconds > 0)
        .context("out of bounds")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lives_are_read_with_their_unit() {
        assert_eq!(seconds("90s").unwrap(), 90);
        assert_eq!(seconds("15m").unwrap(), 900);
        assert_eq!(seconds("1d").unwrap(), 86_400);
        for wrong in ["", "1", "d", "-1d", "0s", "1w", "99999999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
