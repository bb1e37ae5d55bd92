//! `/manage/admin/git-oauth/{id}`: settings of one provider, with what a change does said before it is done.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use axum_extra::extract::Form;
use broker::{AsSiteManager, Force, KindView, ProviderId, ProviderView, TestReport};
use serde::Deserialize;

use super::{
    Answer, Frame, done,
    git_oauth::{GIT_OAUTH, ProviderForm},
    show, show_as,
};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "git_oauth_edit.html")]
struct EditPage {
    frame: Frame,
    fault: Option<Failure>,
    provider: ProviderView,
    kind: KindView,
    form: ProviderForm,
    report: Option<TestReport>,
    /// What the change does to existing links, once it was asked for and not yet confirmed.
    consequences: Option<Vec<String>>,
    has_client_secret: bool,
}

impl EditPage {
    async fn of(manager: &AsSiteManager, frame: Frame, id: &ProviderId) -> Result<Self, Failure> {
        let provider = manager.provider(id).await?;
        let kinds = manager.kinds(None).await?;
        let kind = kinds.into_iter().find(|kind| kind.id == provider.kind);
        let mut kind = kind.ok_or_else(Failure::not_found)?;
        kind.guide = provider.guide.clone();
        Ok(Self {
            form: ProviderForm::of(&provider),
            has_client_secret: provider.has_client_secret,
            frame,
            fault: None,
            provider,
            kind,
            report: None,
            consequences: None,
        })
    }
}

/// `GET /manage/admin/git-oauth/{id}`.
pub async fn form(manager: AsSiteManager, frame: Frame, Path(id): Path<String>) -> Answer {
    show(&EditPage::of(&manager, frame, &ProviderId(id)).await?)
}

/// `POST /manage/admin/git-oauth/{id}`: asks back where links are touched, else saves.
pub async fn submit(
    State(app): State<App>,
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
    Form(form): Form<ProviderForm>,
) -> Answer {
    let id = ProviderId(id);
    let mut page = EditPage::of(&manager, frame, &id).await?;
    let input = form.input(None);
    page.form = form;
    let fault = match manager.preview_change(&id, &input).await {
        Ok(found) if found.needs_confirm && !input.confirm => {
            page.consequences = Some(found.text);
            return show_as(StatusCode::CONFLICT, &page);
        }
        Ok(_) => match manager.change_provider(&id, input).await {
            Ok(provider) => {
                return Ok(done(
                    &app,
                    GIT_OAUTH,
                    &format!("{} is saved.", provider.name),
                ));
            }
            Err(refused) => Failure::from(refused).mendable()?,
        },
        Err(refused) => Failure::from(refused).mendable()?,
    };
    let status = fault.status;
    page.fault = Some(fault);
    show_as(status, &page)
}

/// `POST /manage/admin/git-oauth/{id}/test`: tests what is stored.
pub async fn test(manager: AsSiteManager, frame: Frame, Path(id): Path<String>) -> Answer {
    let id = ProviderId(id);
    let report = manager.test_provider(&id).await?;
    let mut page = EditPage::of(&manager, frame, &id).await?;
    page.report = Some(report);
    show(&page)
}

#[derive(Template)]
#[template(path = "git_oauth_delete.html")]
struct DeletePage {
    frame: Frame,
    fault: Option<Failure>,
    provider: ProviderView,
}

/// `GET /manage/admin/git-oauth/{id}/delete`: says how many links end.
pub async fn confirm_delete(
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
) -> Answer {
    let provider = manager.provider(&ProviderId(id)).await?;
    show(&DeletePage {
        frame,
        fault: None,
        provider,
    })
}

/// The form of the page above.
#[derive(Debug, Deserialize)]
pub struct Deletion {
    force: Option<String>,
}

/// `POST /manage/admin/git-oauth/{id}/delete`.
pub async fn delete(
    State(app): State<App>,
    manager: AsSiteManager,
    frame: Frame,
    Path(id): Path<String>,
    Form(form): Form<Deletion>,
) -> Answer {
    let id = ProviderId(id);
    let force = if form.force.is_some() {
        Force::Yes
    } else {
        Force::No
    };
    if let Err(refused) = manager.delete_provider(&id, force).await {
        let failure = Failure::from(refused).mendable()?;
        let (status, fault) = (failure.status, Some(failure));
        let provider = manager.provider(&id).await?;
        return show_as(
            status,
            &DeletePage {
                frame,
                fault,
                provider,
            },
        );
    }
    Ok(done(&app, GIT_OAUTH, "The provider is deleted."))
}
