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
    kinds: Vec<KindView>,
}

/// `GET /manage/admin/git-oauth/add`.
pub async fn choose(manager: AsSiteManager, frame: Frame) -> Answer {
    let mut kinds = manager.kinds()?;
    // The first of two ways to register at one software stands for both.
    let all: Vec<&str> = kinds.iter().map(|kind| kind.id).collect();
    kinds.retain(|kind| {
        let place = |id| all.iter().position(|known| *known == id);
        kind.sibling
            .is_none_or(|sibling| place(kind.id) < place(sibling))
    });
    show(&ChoosePage { frame, kinds })
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
pub(super) struct AddPage {
    frame: Frame,
    fault: Option<Failure>,
    draft: String,
    kind: KindView,
    form: ProviderForm,
    report: Option<TestReport>,
    /// What the installation answered when it was asked which kind it is.
    pub(super) found: Option<String>,
    has_client_secret: bool,
}

impl AddPage {
    /// The page of a draft for the provider at `url`, with nothing entered but what is proposed.
    pub(super) async fn of(
        manager: &AsSiteManager,
        frame: Frame,
        draft: &DraftId,
        url: &str,
    ) -> Result<Self, Failure> {
        let kind = manager.kind_of_draft(draft, url).await?;
        let mut form = ProviderForm {
            kind: kind.id.to_owned(),
            name: kind.usual_url.map_or("", |_| kind.name).to_owned(),
            url: kind.usual_url.unwrap_or_default().to_owned(),
            ..ProviderForm::default()
        };
        if kind.auth == "oauth1" {
            form.client_id = kind.consumer_key.clone();
            form.consumer_name = frame.site_name().to_owned();
        }
        let draft = draft.to_string();
        Ok(Self {
            frame,
            fault: None,
            draft,
            kind,
            form,
            report: None,
            found: None,
            has_client_secret: false,
        })
    }

    /// Fills in where the provider is.
    pub(super) fn place(&mut self, asked: ProviderForm) {
        self.form.url = asked.url;
        self.form.ca_pem = asked.ca_pem;
        self.form.internal = asked.internal;
    }
}

/// `GET /manage/admin/git-oauth/add/{draft}`.
pub async fn form(manager: AsSiteManager, frame: Frame, Path(draft): Path<String>) -> Answer {
    show(&AddPage::of(&manager, frame, &DraftId(draft), "").await?)
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
    let mut page = AddPage::of(&manager, frame, &draft, &form.url).await?;
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
