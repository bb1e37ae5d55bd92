//! `/manage/admin/security/ssh`: the algorithm of new keys, and what providers accept.

use askama::Template;
use axum::extract::State;
use axum_extra::extract::Form;
use broker::{Algorithm, AsSiteManager, Exception, KindView, SSH_ALGORITHMS};
use serde::Deserialize;

use super::{Answer, Frame, done, show, text};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "security_ssh.html")]
struct SecuritySshPage {
    frame: Frame,
    fault: Option<Failure>,
    algorithm: &'static str,
    /// Enabled providers that do not accept the algorithm in force.
    exceptions: Vec<Exception>,
    choices: Vec<Choice>,
    kinds: Vec<KindView>,
    counts: Vec<(String, i64)>,
}

/// One algorithm to choose.
struct Choice {
    id: &'static str,
    hint: &'static str,
    /// Enabled providers that do not accept it, with what is used there.
    exceptions: Vec<Exception>,
}

/// `GET /manage/admin/security/ssh`.
pub async fn page(manager: AsSiteManager, frame: Frame) -> Answer {
    let (exceptions, algorithm, counts) = tokio::try_join!(
        manager.algorithm_exceptions(SSH_ALGORITHMS),
        manager.ssh_algorithm(),
        manager.key_counts(),
    )?;
    let choices = SSH_ALGORITHMS.iter().zip(exceptions);
    let choices = choices.map(|(algorithm, exceptions)| Choice {
        id: algorithm.as_str(),
        hint: hint(algorithm.as_str()),
        exceptions,
    });
    let (choices, algorithm) = (choices.collect::<Vec<_>>(), algorithm.as_str());
    let in_force = choices.iter().find(|choice| choice.id == algorithm);
    show(&SecuritySshPage {
        frame,
        fault: None,
        algorithm,
        exceptions: in_force.map_or_else(Vec::new, |choice| choice.exceptions.clone()),
        choices,
        kinds: manager.kinds()?,
        counts,
    })
}

fn hint(id: &str) -> &'static str {
    match id {
        "ed25519" => "Small, fast, accepted by nearly every server. The default.",
        "ecdsa-p256" => "For sites that must use NIST curves.",
        _ => "For old servers. Making a key takes seconds.",
    }
}

/// The form.
#[derive(Debug, Deserialize)]
pub struct Chosen {
    algorithm: String,
}

/// `POST /manage/admin/security/ssh`.
pub async fn submit(
    State(app): State<App>,
    manager: AsSiteManager,
    Form(form): Form<Chosen>,
) -> Answer {
    let algorithm = algorithm(&form.algorithm)?;
    manager.set_ssh_algorithm(algorithm).await?;
    let notice = format!(
        "New keys are {} from now on.",
        text::algorithm(algorithm.as_str())
    );
    Ok(done(&app, "/manage/admin/security/ssh", &notice))
}

/// The algorithm of a form or an API call.
pub(crate) fn algorithm(word: &str) -> Result<Algorithm, Failure> {
    word.parse().map_err(|_| {
        let known = SSH_ALGORITHMS.map(Algorithm::as_str).join(", ");
        Failure::invalid(format!("algorithm: {word:?} is none of {known}"))
    })
}
