//! `/manage/admin/security/ssh`: the algorithm of new keys, and what providers accept.

use askama::Template;
use axum::extract::State;
use axum_extra::extract::Form;
use broker::{Algorithm, AsSiteManager, KindView, SSH_ALGORITHMS};
use serde::Deserialize;

use super::{Answer, Frame, done, show, text};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "security_ssh.html")]
struct SecuritySshPage {
    frame: Frame,
    fault: Option<Failure>,
    algorithm: &'static str,
    choices: Vec<Choice>,
    kinds: Vec<KindView>,
    counts: Vec<(String, i64)>,
}

/// One algorithm to choose.
struct Choice {
    id: &'static str,
    hint: &'static str,
    /// Configured providers whose kind does not accept it, though it leaves a choice.
    refused_by: Vec<String>,
}

/// `GET /manage/admin/security/ssh`.
pub async fn page(manager: AsSiteManager, frame: Frame) -> Answer {
    let (kinds, providers) = (manager.kinds(None).await?, manager.providers().await?);
    let refuses =
        |kind: &KindView, id: &str| kind.algorithms.len() > 1 && !kind.algorithms.contains(&id);
    let choices = SSH_ALGORITHMS.map(|algorithm| {
        let id = algorithm.as_str();
        let refused = providers.iter().filter(|provider| {
            kinds
                .iter()
                .any(|kind| kind.id == provider.kind && refuses(kind, id))
        });
        let refused_by = refused.map(|provider| provider.name.clone()).collect();
        Choice {
            id,
            hint: hint(id),
            refused_by,
        }
    });
    let counts = manager.key_counts().await?;
    let page = SecuritySshPage {
        frame,
        fault: None,
        algorithm: manager.ssh_algorithm().await?.as_str(),
        choices: choices.into(),
        kinds,
        counts: counts
            .into_iter()
            .map(|(algorithm, count)| (algorithm.to_string(), count))
            .collect(),
    };
    show(&page)
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
