//! `/`: my links, my workspaces, and the next step.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect},
};
use broker::{AsUser, LinkState, LinkView, OfferedProvider, WorkspaceView};

use super::{Answer, Frame, show};
use crate::app::App;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    name: String,
    next: NextStep,
    links: Vec<LinkView>,
    workspaces: Vec<WorkspaceView>,
}

/// The one thing to do next.
struct NextStep {
    title: &'static str,
    text: String,
    command: Option<String>,
    link: Option<(&'static str, &'static str)>,
}

const LINKED_ACCOUNTS: &str = "/preferences/linked-accounts";

/// `GET /`.
pub async fn page(State(app): State<App>, user: AsUser, frame: Frame) -> Answer {
    let offered = user.offered().await?;
    let workspaces = user.workspaces().await?;
    let is_manager = user.site_manager().is_ok();
    let next = next_step(&app, &offered, &workspaces, is_manager);
    let links = offered
        .into_iter()
        .flat_map(|provider| provider.links)
        .collect();
    show(&HomePage {
        frame,
        name: user.user().name,
        next,
        links,
        workspaces,
    })
}

/// `GET /preferences`: the first of its pages.
pub async fn preferences(_user: AsUser) -> Answer {
    Ok(Redirect::to(LINKED_ACCOUNTS).into_response())
}

fn next_step(
    app: &App,
    offered: &[OfferedProvider],
    workspaces: &[WorkspaceView],
    is_manager: bool,
) -> NextStep {
    let step = |title, text: &str| NextStep {
        title,
        text: text.into(),
        command: None,
        link: None,
    };
    let links = || offered.iter().flat_map(|provider| &provider.links);
    if offered.is_empty() && is_manager {
        return NextStep {
            link: Some(("/manage/admin/git-oauth/add", "Add a provider")),
            ..step(
                "Add the first Git provider",
                "It takes two minutes; the page says what to enter where.",
            )
        };
    }
    if offered.is_empty() {
        return step(
            "Nothing to link yet",
            "A site manager has to add a Git provider first.",
        );
    }
    if let Some(dead) = links().find(|link| link.state == LinkState::Dead) {
        return NextStep {
            text: format!(
                "{} at {} no longer accepts the tokens it gave.",
                dead.login, dead.provider
            ),
            link: Some((LINKED_ACCOUNTS, "Linked accounts")),
            ..step("Link an account again", "")
        };
    }
    if let Some(open) = links().find(|link| link.state == LinkState::Unfinished) {
        return NextStep {
            text: format!(
                "{} at {} works over SSH; one more consent and HTTPS does too.",
                open.login, open.provider
            ),
            link: Some((LINKED_ACCOUNTS, "Linked accounts")),
            ..step("Finish a link", "")
        };
    }
    if links().next().is_none() && offered.iter().any(|provider| provider.linkable) {
        return NextStep {
            link: Some((LINKED_ACCOUNTS, "Link an account")),
            ..step(
                "Link your first account",
                "You are sent to the provider once, to agree.",
            )
        };
    }
    if workspaces.is_empty() {
        return NextStep {
            command: Some(format!("forgepass login {}", app.public_url_text())),
            ..step(
                "Sign a workspace in",
                "Run this in the workspace, then approve it here.",
            )
        };
    }
    step(
        "All is set",
        "Git works in your workspaces, over HTTPS and SSH.",
    )
}
