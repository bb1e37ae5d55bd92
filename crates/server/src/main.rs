//! `forgepass-server`: arguments in, exit code out. What it does stands in the library.

use std::process::ExitCode;

use clap::Parser;
use server::{
    commands::{self, Arguments},
    config,
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments, &config::environment()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("forgepass-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
