//! `/`: my links, my workspaces, and the next step.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect},
};
use broker::{AsUser, LinkState, LinkView, OfferedProvider, Role, WorkspaceView};

use super::{Answer, Frame, show};
use crate::app::App;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    name: String,
    next: NextStep,
    /// Each with the state to show.
    links: Vec<(&'static str, LinkView)>,
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
    let (offered, workspaces) = tokio::try_join!(user.offered(), user.workspaces())?;
    let next = next_step(&app, &offered, &workspaces, user.user().role);
    let links = offered.into_iter().flat_map(|provider| {
        let state = move |link: &LinkView| match provider.disabled {
            true => "off",
            false => link.state.as_str(),
        };
        let links = provider.links.into_iter();
        links.map(move |link| (state(&link), link))
    });
    show(&HomePage {
        frame,
        name: user.user().name,
        next,
        links: links.collect(),
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
    role: Role,
) -> NextStep {
    if offered.is_empty() {
        return add_provider(role);
    }
    let links = || offered.iter().flat_map(|provider| &provider.links);
    let on = offered.iter().filter(|provider| !provider.disabled);
    if let Some(step) = on.flat_map(|provider| &provider.links).find_map(mend) {
        return step;
    }
    if links().next().is_none() && offered.iter().any(|provider| provider.linkable) {
        return NextStep {
            link: Some((LINKED_ACCOUNTS, "Link an account")),
            ..NextStep::new(
                "Link your first account",
                "You are sent to the provider once, to agree.",
            )
        };
    }
    if workspaces.is_empty() {
        return NextStep {
            command: Some(format!("forgepass login {}", app.public_url_text())),
            ..NextStep::new(
                "Sign a workspace in",
                "Run this in the workspace, then approve it here.",
            )
        };
    }
    if let Some(off) = offered
        .iter()
        .find(|one| one.disabled && !one.links.is_empty())
    {
        return NextStep::new(
            "A provider is turned off",
            format!(
                "Git gets nothing for {} until a site manager turns it on again.",
                off.name
            ),
        );
    }
    NextStep::new(
        "All is set",
        "Git works in your workspaces, over HTTPS and SSH.",
    )
}

impl NextStep {
    fn new(title: &'static str, text: impl Into<String>) -> Self {
        Self {
            title,
            text: text.into(),
            command: None,
            link: None,
        }
    }
}

fn add_provider(role: Role) -> NextStep {
    if role != Role::SiteManager {
        return NextStep::new(
            "Nothing to link yet",
            "A site manager has to add a Git provider first.",
        );
    }
    NextStep {
        link: Some(("/manage/admin/git-oauth/add", "Add a provider")),
        ..NextStep::new(
            "Add the first Git provider",
            "It takes two minutes; the page says what to enter where.",
        )
    }
}

/// What a link that does not fully work needs.
fn mend(link: &LinkView) -> Option<NextStep> {
    let (login, provider) = (&link.login, &link.provider);
    let step = match link.state {
        LinkState::Linked => return None,
        LinkState::Dead => NextStep::new(
            "Link an account again",
            format!("{login} at {provider} no longer accepts the tokens it gave."),
        ),
        LinkState::Unfinished => NextStep::new(
            "Finish a link",
            format!("{login} at {provider} works over SSH; one more consent and HTTPS does too."),
        ),
    };
    Some(NextStep {
        link: Some((LINKED_ACCOUNTS, "Linked accounts")),
        ..step
    })
}
