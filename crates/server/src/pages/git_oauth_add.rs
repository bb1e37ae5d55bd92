//! `/manage/admin/git-oauth/add`: choose a kind, follow its guide, fill in the form, test, save.
//!
//! The draft's id stands in the address, so going back and loading again keep what was prepared:
//! an OAuth 1.0a kind's public key has to be pasted at the provider before anything is saved.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::Form;
use broker::{AsSiteManager, DraftId, KindView, TestReport};
use serde::Deserialize;

use super::{
    Answer, Frame, done,
    git_oauth::{GIT_OAUTH, ProviderForm},
    show, show_as,
};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "git_oauth_choose.html")]
struct ChoosePage {
    frame: Frame,
    fault: Option<Failure>,
    kinds: Vec<KindView>,
}

/// `GET /manage/admin/git-oauth/add`.
pub async fn choose(manager: AsSiteManager, frame: Frame) -> Answer {
    show(&ChoosePage {
        frame,
        fault: None,
        kinds: manager.kinds(None).await?,
    })
}

/// The kind that was chosen.
#[derive(Debug, Deserialize)]
pub struct Chosen {
    kind: String,
}

/// `POST /manage/admin/git-oauth/add`: prepares the kind and leads to its form.
pub async fn chosen(manager: AsSiteManager, Form(form): Form<Chosen>) -> Answer {
    let draft = manager.make_draft(&form.kind).await?;
    Ok(Redirect::to(&format!("{GIT_OAUTH}/add/{}", draft.id)).into_response())
}

#[derive(Template)]
#[template(path = "git_oauth_add.html")]
struct AddPage {
    frame: Frame,
    fault: Option<Failure>,
    draft: String,
    kind: KindView,
    form: ProviderForm,
    report: Option<TestReport>,
    has_client_secret: bool,
}

impl AddPage {
    async fn of(manager: &AsSiteManager, frame: Frame, draft: &DraftId) -> Result<Self, Failure> {
        let found = manager.draft(draft).await?;
        let kinds = manager.kinds(Some(draft)).await?;
        let kind = kinds.into_iter().find(|kind| kind.id == found.kind);
        let kind = kind.ok_or_else(Failure::not_found)?;
        let form = ProviderForm {
            kind: found.kind,
            ..ProviderForm::default()
        };
        let draft = draft.to_string();
        Ok(Self {
            frame,
            fault: None,
            draft,
            kind,
            form,
            report: None,
            has_client_secret: false,
        })
    }
}

/// `GET /manage/admin/git-oauth/add/{draft}`.
pub async fn form(manager: AsSiteManager, frame: Frame, Path(draft): Path<String>) -> Answer {
    let mut page = AddPage::of(&manager, frame, &DraftId(draft)).await?;
    if page.kind.auth == "oauth1" {
        page.form.client_id = page.kind.consumer_key.clone();
        page.form.consumer_name = page.frame.site_name().to_owned();
    }
    show(&page)
}

/// `POST /manage/admin/git-oauth/add/{draft}`: tests the connection or saves.
pub async fn submit(
    State(app): State<App>,
    manager: AsSiteManager,
    frame: Frame,
    Path(draft): Path<String>,
    Form(form): Form<ProviderForm>,
) -> Answer {
    let draft = DraftId(draft);
    let mut page = AddPage::of(&manager, frame, &draft).await?;
    let kind = std::mem::take(&mut page.form.kind);
    page.form = ProviderForm { kind, ..form };
    let input = page
        .form
        .input_kept(&manager, draft.as_str(), Some(draft.clone()))
        .await;
    let input = match input {
        Ok(input) => input,
        Err(failure) => {
            let failure = failure.mendable()?;
            let status = failure.status;
            page.fault = Some(failure);
            return show_as(status, &page);
        }
    };
    if page.form.action == "test" {
        match manager.test_input(&input).await {
            Ok(report) => page.report = Some(report),
            Err(refused) => page.fault = Some(Failure::from(refused).mendable()?),
        }
    } else {
        match manager.add_provider(input).await {
            Ok(provider) => {
                let notice = format!(
                    "{} is saved. Developers can link their accounts now.",
                    provider.name
                );
                return Ok(done(&app, GIT_OAUTH, &notice));
            }
            Err(refused) => page.fault = Some(Failure::from(refused).mendable()?),
        }
    }
    let status = page
        .fault
        .as_ref()
        .map_or(StatusCode::OK, |failure| failure.status);
    show_as(status, &page)
}
