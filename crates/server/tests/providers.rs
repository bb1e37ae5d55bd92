//! What the site manager is told about providers, and how a provider is changed, by the pages alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use axum::http::StatusCode;
use broker::Role;
use common::{
    Answer, Browser,
    stage::{GITLAB, LINKED_ACCOUNTS, Stage, add, provider_id},
};
use testforge::{AppSpec, Endpoint, Fault, Shape};

#[tokio::test]
async fn a_provider_that_refuses_the_chosen_algorithm_is_named_with_what_it_gets() {
    let stage = Stage::new(Shape::Azure).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let path = "/manage/admin/security/ssh";
    let warning = "Not every provider accepts Ed25519.";
    assert!(!ann.get(path).await.text.contains(warning), "none is there");
    add(&mut ann, "azure-repos", &stage.fields(None)).await;
    let page = ann.get(path).await.text;
    assert!(page.contains(warning), "{page}");
    assert!(page.contains(">Forge</a> does not: new keys there are RSA 3072 instead."));
    assert!(page.contains("Not accepted by Forge: its keys are RSA 3072."));
    ann.get("/preferences/ssh-keys").await;
    let counts = ann.get(path).await.text;
    assert!(counts.contains("<td>RSA 3072</td><td class=\"number\">1</td>"));

    let id = provider_id(&mut ann).await;
    let mut fields = stage.fields(None);
    fields.extend(
        [
            ("kind", "azure-repos"),
            ("disabled", "yes"),
            ("confirm", "yes"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let form: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let saved = ann
        .post(&format!("/manage/admin/git-oauth/{id}"), &form)
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert!(!ann.get(path).await.text.contains(warning), "it is off");
}

#[tokio::test]
async fn the_list_says_how_each_provider_stands() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let list = "/manage/admin/git-oauth";
    let unused = ann.get(list).await.text;
    assert!(unused.contains("Not used yet") && unused.contains("no success yet"));

    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let working = ann.get(list).await.text;
    assert!(working.contains("Working") && working.contains("1 link · 1 key · last success"));
    assert!(!working.contains("Last error"));

    stage.site.store.advance(100).await.unwrap();
    stage.forge.fail_next(Endpoint::Keys, Fault::ServerError);
    let script = stage.site.script("ann").await;
    let key = script.get("/api/v1/keys").await;
    let key = key.json::<Vec<::api::Key>>().remove(0);
    let regenerate = format!("/preferences/ssh-keys/{}/regenerate", key.id);
    ann.post(&regenerate, &[]).await;
    for page in [list, &format!("{list}/{id}")] {
        let away = ann.get(page).await.text;
        assert!(away.contains("Not answering"), "{away}");
        assert!(
            away.contains(": It did not answer as it should: "),
            "{away}"
        );
    }
    assert!(
        ann.get("/manage/overview")
            .await
            .text
            .contains("<strong>1</strong><span class=\"muted small\">provider not working")
    );
}

/// The value of the page's hidden field of this name.
fn hidden(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("type=\"hidden\" name=\"{name}\" value=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// A change of the client that has to be confirmed, asked about: the provider's page and the form.
async fn asked<'a>(
    stage: &Stage,
    ann: &mut Browser<'_>,
    fields: &'a [(&'static str, String)],
) -> (String, Vec<(&'a str, &'a str)>, String) {
    let id = stage.register(ann, "gitlab").await;
    let url = stage.begin(ann, &id).await;
    stage.approve(ann, &url).await;
    let path = format!("/manage/admin/git-oauth/{id}");
    let form: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let asked = ann.post(&path, &form).await;
    assert_eq!(asked.status, StatusCode::CONFLICT, "{}", asked.text);
    let kept = hidden(&asked.text, "kept").expect("the secret is kept");
    assert!(!asked.text.contains("another-secret") && !kept.contains("another-secret"));
    let rest = form
        .into_iter()
        .filter(|(name, _)| *name != "client_secret");
    let mut confirmed: Vec<_> = rest.collect();
    confirmed.push(("confirm", "yes"));
    (path, confirmed, kept)
}

fn another_client(stage: &Stage) -> Vec<(&'static str, String)> {
    let client = ("another-id".to_owned(), "another-secret".to_owned());
    let mut fields = stage.fields(Some(client));
    fields.push(("kind", "gitlab".to_owned()));
    fields
}

#[tokio::test]
async fn a_confirmed_change_asks_for_the_client_secret_once() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let app = AppSpec::new("http://localhost:7080/oauth/callback");
    let (id, secret) = stage.forge.register_app(app).unwrap();
    let mut fields = another_client(&stage);
    for (name, value) in &mut fields {
        match *name {
            "client_id" => value.clone_from(&id),
            "client_secret" => value.clone_from(&secret),
            _ => {}
        }
    }
    let (path, mut form, kept) = asked(&stage, &mut ann, &fields).await;
    form.push(("kept", &kept));
    let saved = ann.post(&path, &form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);

    // Only the right secret exchanges a code.
    let url = stage
        .begin(&mut ann, path.rsplit('/').next().unwrap())
        .await;
    let done = stage.approve(&mut ann, &url).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
}

#[tokio::test]
async fn a_kept_secret_is_for_one_person_one_form_one_address_and_ten_minutes() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let mut eve = stage.site.signed_in("eve", Role::SiteManager).await;
    let fields = another_client(&stage);
    let (path, mut form, kept) = asked(&stage, &mut ann, &fields).await;
    let later = kept.split_once(' ').unwrap();
    let put_off = format!("{} {}", later.0.parse::<i64>().unwrap() + 600, later.1);
    form.push(("kept", &kept));
    let refused = |answer: &Answer| {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert!(
            answer
                .text
                .contains("it was entered too long ago or for other addresses")
        );
        assert!(
            hidden(&answer.text, "kept").is_none(),
            "it is asked for again"
        );
    };
    refused(&eve.post(&path, &form).await);
    let moved: Vec<_> = form
        .iter()
        .map(|(name, value)| match *name {
            "git_url" | "url" => (*name, "https://evil.example.com"),
            _ => (*name, *value),
        })
        .collect();
    refused(&ann.post(&path, &moved).await);
    let mut forged = form.clone();
    forged.retain(|(name, _)| *name != "kept");
    forged.push(("kept", &put_off));
    refused(&ann.post(&path, &forged).await);

    let kind = [("kind", "gitlab")];
    let draft = ann.post("/manage/admin/git-oauth/add", &kind).await;
    refused(&ann.post(draft.location(), &form).await);
    stage.site.store.advance(600).await.unwrap();
    refused(&ann.post(&path, &form).await);
}

#[tokio::test]
async fn a_secret_entered_to_test_the_connection_need_not_be_entered_to_save() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let app = AppSpec::new("http://localhost:7080/oauth/callback");
    let client = stage.forge.register_app(app).unwrap();
    let mut fields = stage.fields(Some(client));
    fields[0].1 = "test".to_owned();
    let kind = [("kind", "gitlab")];
    let draft = ann.post("/manage/admin/git-oauth/add", &kind).await;
    let path = draft.location().to_owned();
    let form: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let tested = ann.post(&path, &form).await;
    let kept = hidden(&tested.text, "kept").expect("the secret is kept");
    let mut save: Vec<_> = form
        .into_iter()
        .filter(|(name, _)| !matches!(*name, "client_secret" | "do"))
        .collect();
    save.extend([("do", "save"), ("kept", kept.as_str())]);
    let saved = ann.post(&path, &save).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
}

/// A form's fields without some of them.
fn without<'a>(fields: &'a [(&'static str, String)], names: &[&str]) -> Vec<(&'a str, &'a str)> {
    let kept = fields.iter().filter(|(name, _)| !names.contains(name));
    kept.map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn an_installation_is_asked_which_way_to_register_suits_its_version() {
    let stage = Stage::new(Shape::BitbucketServerOAuth1).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let choose = ann.get("/manage/admin/git-oauth/add").await.text;
    assert_eq!(choose.matches("Bitbucket Server").count(), 1, "one tile");
    let path = "/manage/admin/git-oauth/add/version";
    let ask = ann.get(&format!("{path}?kind=bitbucket-server")).await.text;
    assert!(ask.contains("7.20 and later") && ask.contains("Older than 7.20"));
    let other = ann.get(&format!("{path}?kind=gitlab")).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND, "it is one of a kind");

    let fields = stage.fields(None);
    let mut form = without(&fields, &["do", "name", "client_id", "client_secret"]);
    form.push(("kind", "bitbucket-server"));
    let proposed = ann.post(path, &form).await;
    assert_eq!(proposed.status, StatusCode::OK, "{}", proposed.text);
    assert!(proposed.text.contains("OAuth 1.0a application link it is."));
    assert!(
        proposed.text.contains("BEGIN PUBLIC KEY"),
        "to be pasted there"
    );
    let url = format!("name=\"url\" type=\"url\" value=\"{}\"", stage.forge.url());
    assert!(proposed.text.contains(&url), "{}", proposed.text);
    assert!(
        proposed.text.contains("value=\"Forgepass\""),
        "the consumer key"
    );

    form.retain(|(name, _)| *name != "internal");
    let refused = ann.post(path, &form).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("choose by the version yourself"));
    assert!(refused.text.contains(&url), "what was entered is kept");
}

#[tokio::test]
async fn host_keys_that_a_test_read_are_pinned_once_they_are_ticked() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let app = AppSpec::new("http://localhost:7080/oauth/callback");
    let mut fields = stage.fields(Some(stage.forge.register_app(app).unwrap()));
    let draft = ann
        .post("/manage/admin/git-oauth/add", &[("kind", "gitlab")])
        .await;
    let path = draft.location().to_owned();

    fields[0].1 = "test".to_owned();
    let tested = ann
        .post(&path, &without(&fields, &["host_keys"]))
        .await
        .text;
    let key = stage.forge.ssh_host_key();
    let tick = format!("name=\"pin\" value=\"{key}\" form=\"settings\"");
    assert!(tested.contains(&tick), "{tested}");
    assert!(
        !tested.contains(&format!("{tick} checked")),
        "nobody but a person trusts a key"
    );

    fields[0].1 = "save".to_owned();
    let mut form = without(&fields, &["host_keys"]);
    form.push(("pin", key));
    let saved = ann.post(&path, &form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let id = provider_id(&mut ann).await;
    let again = format!("/manage/admin/git-oauth/{id}/test");
    let pinned = ann.post(&again, &[]).await.text;
    assert!(pinned.contains("pinned already") && !pinned.contains("name=\"pin\""));
}

#[tokio::test]
async fn home_says_that_a_linked_provider_is_turned_off() {
    let stage = Stage::new(GITLAB).await;
    let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
    let id = stage.register(&mut ann, "gitlab").await;
    let url = stage.begin(&mut ann, &id).await;
    stage.approve(&mut ann, &url).await;
    let script = stage.site.script("ann").await;
    script
        .post("/api/v1/workspaces", &serde_json::json!({"name": "box"}))
        .await;
    let home = ann.get("/").await.text;
    assert!(
        home.contains("All is set") && home.contains("Linked"),
        "{home}"
    );

    let fields = stage.fields(None);
    let mut form = without(&fields, &["do", "client_id", "client_secret"]);
    let page = format!("/manage/admin/git-oauth/{id}");
    let client = ann.get(&page).await.text;
    let client = client.split("name=\"client_id\" value=\"").nth(1).unwrap();
    let client = client.split('"').next().unwrap().to_owned();
    form.extend([
        ("kind", "gitlab"),
        ("client_id", client.as_str()),
        ("disabled", "yes"),
    ]);
    let asked = ann.post(&page, &form).await;
    assert_eq!(asked.status, StatusCode::CONFLICT, "it asks back first");
    form.push(("confirm", "yes"));
    let saved = ann.post(&page, &form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let home = ann.get("/").await.text;
    assert!(home.contains("Git gets nothing for Forge until"), "{home}");
    assert!(!home.contains("badge good"), "{home}");
}

#[tokio::test]
async fn a_key_on_its_way_is_marked_to_be_looked_at_again() {
    for (fails, state) in [(9, "Not known"), (0, "At the provider")] {
        let stage = Stage::new(GITLAB).await;
        let mut ann = stage.site.signed_in("ann", Role::SiteManager).await;
        let id = stage.register(&mut ann, "gitlab").await;
        let (key, fault) = (Endpoint::AddKey, Fault::ServerError);
        stage.forge.fail_times(key, fault, fails);
        let url = stage.begin(&mut ann, &id).await;
        stage.approve(&mut ann, &url).await;
        for page in [LINKED_ACCOUNTS, "/preferences/ssh-keys"] {
            let shown = ann.get(page).await.text;
            assert!(shown.contains(state), "{shown}");
            assert_eq!(shown.contains(" data-live"), fails > 0, "{shown}");
        }
    }
}
