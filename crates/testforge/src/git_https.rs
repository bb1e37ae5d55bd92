//! Git over HTTPS: `git http-backend` behind the credentials of the site.

use std::{process::Stdio, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State as Shared},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::{
    ask::{Authorization, Params},
    faults::forbids_app,
    git::{self, Access},
    github, lfs,
    reply::{self, Refusal, Remark as _},
    shape::{Shape, Software},
    state::{Account, Repository, Site, Standing, State, Token, TokenSort},
};

/// Everything that no other route takes: Git, or a page that does not exist.
pub(crate) async fn serve(Shared(site): Shared<Arc<Site>>, request: Request) -> Response {
    if let Some(ask) = lfs::Ask::of(&site, &request) {
        return lfs::serve(&site, ask, request).await;
    }
    let Some(wish) = Wish::of(&site, &request) else {
        return no_page(&site);
    };
    let admitted = admit(&site, &site.lock(), &authorization(&request), &wish);
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response(),
    };
    let login = admitted.login.clone();
    let response = match backend(&site, admitted, &wish, request).await {
        Ok(response) => response,
        Err(problem) => StatusCode::INTERNAL_SERVER_ERROR
            .into_response()
            .because(problem.to_string()),
    };
    match login {
        Some(login) => response.by(&login),
        None => response,
    }
}

/// The credential that a request brings.
pub(crate) fn authorization(request: &Request) -> Authorization {
    Authorization::parse(&header_text(request.headers(), &header::AUTHORIZATION))
}

fn no_page(site: &Site) -> Response {
    match site.shape {
        // Azure answers with its sign-in page and a status of success.
        Shape::Azure => {
            let status = StatusCode::NON_AUTHORITATIVE_INFORMATION;
            reply::page(status, "Sign in to your account", "").because("sign-in page")
        }
        _ => reply::page(StatusCode::NOT_FOUND, "404", "<p>Not found.</p>").because("no such page"),
    }
}

/// What a Git client wants.
pub(crate) struct Wish {
    owner: String,
    name: String,
    access: Access,
    /// `/info/refs`, `/git-upload-pack` or `/git-receive-pack`.
    service: &'static str,
    query: String,
}

impl Wish {
    /// What goes beside Git itself, with the same rights.
    pub(crate) fn beside(owner: &str, name: &str, access: Access) -> Self {
        Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            access,
            service: "",
            query: String::new(),
        }
    }

    fn of(site: &Site, request: &Request) -> Option<Self> {
        const SERVICES: [&str; 3] = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
        let path = request.uri().path();
        let service = SERVICES
            .into_iter()
            .find(|service| path.ends_with(service))?;
        let (owner, name) = git::parse_https(site.shape.software(), path.strip_suffix(service)?)?;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let asked = Params::parse(query.as_bytes());
        let program = match service {
            "/info/refs" => asked.get("service")?,
            other => &other[1..],
        };
        let access = match program {
            "git-upload-pack" => Access::Read,
            "git-receive-pack" => Access::Write,
            _ => return None,
        };
        Some(Self {
            owner,
            name,
            access,
            service,
            query,
        })
    }
}

/// A request that may go on.
pub(crate) struct Admitted {
    pub(crate) folder: String,
    pub(crate) login: Option<String>,
}

/// Checks the credential and the rights behind it.
pub(crate) fn admit(
    site: &Site,
    state: &State,
    authorization: &Authorization,
    wish: &Wish,
) -> Result<Admitted, Refusal> {
    let repository = state.repository(&wish.owner, &wish.name);
    let open = repository.filter(|known| known.public && wish.access == Access::Read);
    if *authorization == Authorization::Missing {
        return match open {
            Some(known) => Ok(Admitted {
                folder: known.folder.clone(),
                login: None,
            }),
            None => Err(ask_for_credential(site, "no credential").into()),
        };
    }
    let Some((account, token)) = signed_in(site.shape, state, authorization) else {
        let reason = "the credential is wrong or its token is not alive";
        return Err(ask_for_credential(site, reason).into());
    };
    let refuse = |status: StatusCode, text: String| {
        let response = reply::text(status, text.clone()).because(text);
        Err(response.by(&account.login).into())
    };
    if account.suspended {
        return refuse(
            StatusCode::FORBIDDEN,
            "Your account is suspended.".to_owned(),
        );
    }
    let Some(known) = repository.filter(|known| known.public || git::is_member(known, account))
    else {
        return refuse(
            StatusCode::NOT_FOUND,
            not_found(site.shape.software()).to_owned(),
        );
    };
    if wish.access == Access::Write && !git::is_member(known, account) {
        let text = format!(
            "Permission to {}/{} denied to {}.",
            wish.owner, wish.name, account.login
        );
        return refuse(StatusCode::FORBIDDEN, text);
    }
    if let Some(token) = token {
        if open.is_none() && !may(site.shape.software(), token, known, wish.access) {
            let text = format!(
                "The token's scopes do not allow this for {}.",
                account.login
            );
            return refuse(StatusCode::FORBIDDEN, text);
        }
        if let Some(text) = organisation_objects(state, known, token) {
            return refuse(StatusCode::FORBIDDEN, text);
        }
    }
    Ok(Admitted {
        folder: known.folder.clone(),
        login: Some(account.login.clone()),
    })
}

fn ask_for_credential(site: &Site, reason: &str) -> Response {
    reply::text(StatusCode::UNAUTHORIZED, "Authentication is required.\n")
        .with(
            "www-authenticate",
            &format!("Basic realm=\"{}\"", site.shape.realm()),
        )
        .because(reason)
}

fn not_found(software: Software) -> &'static str {
    match software {
        Software::GitLab => {
            "The project you were looking for could not be found or you don't have permission to \
             view it."
        }
        _ => "Repository not found.",
    }
}

/// The account behind a credential, and its token where it is one.
fn signed_in<'a>(
    shape: Shape,
    state: &'a State,
    authorization: &Authorization,
) -> Option<(&'a Account, Option<&'a Token>)> {
    let software = shape.software();
    let (username, secret) = match authorization {
        Authorization::Basic { username, password } => (Some(username.as_str()), password.as_str()),
        Authorization::Bearer(access) => (None, access.as_str()),
        _ => return None,
    };
    if matches!(software, Software::Plain | Software::Azure) {
        let account = state.account_by_login(username?)?;
        return (account.password.as_deref() == Some(secret)).then_some((account, None));
    }
    let secret = match (software, username) {
        // GitHub takes the token as the user name too, and knows no Bearer here.
        (Software::GitHub, Some(username)) if secret == "x-oauth-basic" => username,
        (Software::GitHub, None | Some("")) => return None,
        _ => secret,
    };
    let token = state
        .token(secret)
        .filter(|t| t.standing(state.now()) == Standing::Alive)?;
    let account = state.account(token.account)?;
    let named = match (&token.sort, software, username) {
        // Each request would need a signature.
        (TokenSort::OAuth1 { .. }, ..) => false,
        (TokenSort::Minted { .. }, _, Some(username)) => username == account.login,
        (_, Software::GitLab, Some(username)) => username == "oauth2",
        (_, _, Some(username)) => !username.is_empty(),
        (_, _, None) => true,
    };
    named.then_some((account, Some(token)))
}

/// Whether a token's scopes open a repository.
fn may(software: Software, token: &Token, repository: &Repository, access: Access) -> bool {
    let any = |scopes: &[&str]| scopes.iter().any(|scope| token.has_scope(scope));
    match (software, access) {
        (Software::GitHub, _) if repository.public => github::covers(&token.scopes, "public_repo"),
        (Software::GitHub, _) => github::covers(&token.scopes, "repo"),
        (Software::GitLab, Access::Read) => any(&["api", "read_repository", "write_repository"]),
        (Software::GitLab, Access::Write) => any(&["api", "write_repository"]),
        (Software::Bitbucket, Access::Read) => any(&["REPO_READ", "REPO_WRITE", "REPO_ADMIN"]),
        (Software::Bitbucket, Access::Write) => any(&["REPO_WRITE", "REPO_ADMIN"]),
        (Software::Azure | Software::Plain, _) => false,
    }
}

/// Why the organisation that owns a repository refuses a token.
fn organisation_objects(state: &State, repository: &Repository, token: &Token) -> Option<String> {
    let organisation = git::organisation(state, repository)?;
    let name = &organisation.name;
    if token
        .client_id
        .as_ref()
        .is_some_and(|id| organisation.forbidden_apps.contains(id))
    {
        return Some(forbids_app(name));
    }
    let authorised = organisation.authorised.contains(&token.id.to_string());
    (organisation.saml && !authorised).then(|| {
        format!(
            "The '{name}' organization has enabled or enforced SAML SSO. To access this \
             repository, you must re-authorize the OAuth Application."
        )
    })
}

/// Runs `git http-backend` (RFC 3875 CGI) on a request, streaming both ways.
async fn backend(
    site: &Site,
    admitted: Admitted,
    wish: &Wish,
    request: Request,
) -> anyhow::Result<Response> {
    let mut command = Command::from(git::git());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &site.repositories)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}{}", admitted.folder, wish.service))
        .env("QUERY_STRING", &wish.query)
        .env("REQUEST_METHOD", request.method().as_str())
        .env("REMOTE_ADDR", "127.0.0.1")
        // A named user is what makes the backend take pushes.
        .envs(admitted.login.map(|login| ("REMOTE_USER", login)))
        .envs(request_environment(request.headers()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let has_body = request.method() == Method::POST;
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take()
        && has_body
    {
        let mut body = request.into_body().into_data_stream();
        // The backend may answer before it has read everything, so this runs beside it.
        tokio::spawn(async move {
            while let Some(Ok(chunk)) = body.next().await {
                if stdin.write_all(&chunk).await.is_err() {
                    break;
                }
            }
        });
    }
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| anyhow::anyhow!("no output of git"))?;
    answer(child, BufReader::new(stdout)).await
}

fn request_environment(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    [
        ("CONTENT_TYPE", "content-type"),
        ("CONTENT_LENGTH", "content-length"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ]
    .into_iter()
    .filter_map(|(name, header)| Some((name, headers.get(header)?.to_str().ok()?.to_owned())))
    .collect()
}

/// Reads the CGI headers, then passes the rest on as it comes.
async fn answer(child: Child, mut stdout: BufReader<ChildStdout>) -> anyhow::Result<Response> {
    let mut response = Response::builder();
    loop {
        let mut line = String::new();
        anyhow::ensure!(
            stdout.read_line(&mut line).await? > 0,
            "git http-backend said nothing"
        );
        let line = line.trim_end();
        let Some((name, value)) = line.split_once(": ") else {
            anyhow::ensure!(
                line.is_empty(),
                "git http-backend sent no header but {line}"
            );
            break;
        };
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap_or(value)),
            _ => response.header(name, value),
        };
    }
    // The child lives in the stream: a client that goes away ends it.
    let stream = futures_util::stream::try_unfold((stdout, child), |(mut stdout, child)| async {
        let mut chunk = vec![0; 64 * 1024];
        let read = stdout.read(&mut chunk).await?;
        chunk.truncate(read);
        std::io::Result::Ok((read > 0).then_some((chunk, (stdout, child))))
    });
    Ok(response.body(Body::from_stream(stream))?)
}

fn header_text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}
