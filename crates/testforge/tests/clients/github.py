"""GitHub.com and GitHub Enterprise Server."""

import json

import requests
from requests_oauthlib import OAuth2Session

from site_under_test import CALLBACK, done, parameters, refused

MANAGE = ["read:user", "user:email", "admin:public_key", "admin:ssh_signing_key"]
GIT = ["repo", "workflow"]


def link(site, app, scopes, login="ann"):
    """The whole flow by requests-oauthlib with PKCE; gives the session."""
    session = OAuth2Session(app[0], redirect_uri=CALLBACK, scope=scopes, pkce="S256")
    url, state = session.authorization_url(f"{site.url}/login/oauth/authorize")
    back = site.press(url, login)
    assert back.startswith(CALLBACK + "?"), back
    assert parameters(back)["state"] == state
    session.fetch_token(
        f"{site.url}/login/oauth/access_token",
        authorization_response=back,
        client_secret=app[1],
        include_client_id=True,
    )
    return session


def run(site):
    site.add_account("ann")
    site.add_account("bob")
    app = site.add_app()
    urls = site.add_repository("ann", "app")
    manage = link(site, app, MANAGE)
    git = link(site, app, GIT)
    assert git.token["token_type"] == "bearer" and "refresh_token" not in git.token, git.token
    whole_flow(site, manage, git, urls)
    codes(site, app)
    redirects(site, app)
    key_rights(site, manage, git)
    key_lists(site, manage)
    git_rights(site, app, manage, git, urls)
    expiring_app(site)
    revocation(site, app, manage)


def whole_flow(site, manage, git, urls):
    user = manage.get(f"{site.api}/user")
    assert user.json()["login"] == "ann" and isinstance(user.json()["id"], int), user.text
    assert user.headers["x-oauth-scopes"] == ", ".join(MANAGE), user.headers
    emails = manage.get(f"{site.api}/user/emails").json()
    assert emails[0]["email"] == "ann@example.com" and emails[0]["verified"], emails
    file, line = site.new_key()
    for path in ("keys", "ssh_signing_keys"):
        answer = manage.post(f"{site.api}/user/{path}", json={"title": "key", "key": line})
        assert answer.status_code == 201, answer.text
        # The comment does not survive.
        assert answer.json()["key"] == " ".join(line.split()[:2]), answer.text
    token = git.token["access_token"]
    https = site.with_credential(urls["https"], "x-access-token", token)
    site.clone_and_push(https, "over-https")
    done("OAuth with PKCE, user, keys, clone and push over HTTPS")
    site.over_ssh(urls, file, site.new_key()[0])
    greeting = site.ssh(file)
    assert greeting.returncode == 1 and "Hi ann!" in greeting.stderr, greeting


def token_error(site, form, *options):
    """Asks for a token with curl; errors come with status 200."""
    data = [part for name, value in form.items() for part in ("--data-urlencode", f"{name}={value}")]
    url = f"{site.url}/login/oauth/access_token"
    status, _, body = site.curl(url, *data, "-H", "Accept: application/json", *options)
    assert status == 200, f"{status} {body}"
    return json.loads(body).get("error")


def new_code(site, app, **query):
    session = OAuth2Session(app[0], redirect_uri=CALLBACK, scope=GIT)
    url, _ = session.authorization_url(f"{site.url}/login/oauth/authorize", **query)
    return parameters(site.press(url, "ann"))["code"]


def codes(site, app):
    def form(**change):
        return {"client_id": app[0], "client_secret": app[1], **change}

    code = new_code(site, app)
    assert token_error(site, form(code=code, client_secret="wrong")) == "incorrect_client_credentials"
    refused("a wrong client secret")
    basic = token_error(site, {"code": code}, "--user", ":".join(app))
    assert basic == "incorrect_client_credentials"
    refused("client credentials by Basic")
    assert token_error(site, form(code=code)) is None
    assert token_error(site, form(code=code)) == "bad_verification_code"
    refused("a code used twice")
    code = new_code(site, app)
    site.control("clock", {"advance_s": 601})
    assert token_error(site, form(code=code)) == "bad_verification_code"
    refused("a code older than ten minutes")
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}
    code = new_code(site, app, **challenge, code_challenge_method="S256")
    assert token_error(site, form(code=code, code_verifier="x" * 43)) == "bad_verification_code"
    code = new_code(site, app, **challenge, code_challenge_method="S256")
    assert token_error(site, form(code=code)) == "bad_verification_code"
    refused("a wrong and a missing PKCE verifier")
    code = new_code(site, app)
    other = form(code=code, redirect_uri=CALLBACK + "/other")
    assert token_error(site, other) == "redirect_uri_mismatch"
    refused("another redirect URI at the exchange")
    assert token_error(site, form(grant_type="refresh_token", refresh_token="x")) == "bad_refresh_token"


def redirects(site, app):
    url = f"{site.url}/login/oauth/authorize?client_id={app[0]}&state=s1&scope=repo"
    back = site.press(url + "&redirect_uri=https://evil.example.org/oauth/callback", "ann")
    assert back.startswith(CALLBACK + "?"), back
    assert parameters(back)["error"] == "redirect_uri_mismatch" and parameters(back)["state"] == "s1"
    refused("a redirect URI on another host, told to the registered one")
    back = parameters(site.press(url, "ann", "deny"))
    assert back["error"] == "access_denied" and back["state"] == "s1", back
    refused("by the person")
    back = parameters(site.press(url + "+no:such:scope", "ann"))
    assert back["error"] == "invalid_scope", back
    site.error_page(f"{site.url}/login/oauth/authorize?client_id=unknown")
    refused("an unknown application, without a redirect")
    plain = url + "&code_challenge=" + "x" * 43 + "&code_challenge_method=plain"
    assert parameters(site.press(plain, "ann"))["error"] == "invalid_request"
    refused("PKCE by plain")


def key_rights(site, manage, git):
    line = site.new_key()[1]
    url = f"{site.api}/user/keys"
    bearer = f"Authorization: Bearer {git.token['access_token']}"
    status, headers, _ = site.curl(url, "-H", bearer, "-d", json.dumps({"title": "x", "key": line}))
    # Without the scope the endpoint seems not to exist; the headers tell why.
    assert status == 404 and headers["x-accepted-oauth-scopes"] == "write:public_key", headers
    assert headers["x-oauth-scopes"] == "repo, workflow", headers
    for path in ("keys", "ssh_signing_keys"):
        assert git.get(f"{site.api}/user/{path}").status_code == 404
        own = manage.get(f"{site.api}/user/{path}").json()[0]["id"]
        assert git.delete(f"{site.api}/user/{path}/{own}").status_code == 404
    refused("keys to the token for Git")
    status, _, body = site.curl(f"{site.api}/user", "-H", bearer, "-H", "User-Agent:")
    assert status == 403 and "User-Agent" in body, body
    refused("a request without User-Agent")
    assert requests.get(f"{site.api}/user").status_code == 401
    bad = requests.get(f"{site.api}/user", headers={"Authorization": "Bearer gho_unknown"})
    assert bad.status_code == 401 and bad.json()["message"] == "Bad credentials", bad.text
    refused("an unknown token")


def key_lists(site, manage):
    url = f"{site.api}/user/keys"
    line = site.new_key()[1]
    assert manage.post(url, json={"title": "one", "key": line}).status_code == 201
    again = manage.post(url, json={"title": "two", "key": line})
    assert again.status_code == 422, again.text
    error = again.json()["errors"][0]
    assert (error["field"], error["message"]) == ("key", "key is already in use"), again.text
    refused("the same key twice")
    broken = manage.post(url, json={"title": "x", "key": "ssh-ed25519 nonsense"})
    weak = manage.post(url, json={"title": "x", "key": site.new_key("rsa", 1024)[1]})
    assert broken.status_code == weak.status_code == 422
    refused("a broken key and a short one")
    site.control("knobs", {"page_size": 1})
    seen, page = [], f"{url}?per_page=100"
    while page:
        answer = manage.get(page)
        seen += answer.json()
        page = answer.links.get("next", {}).get("url")
    site.control("knobs", {"page_size": None})
    assert len(seen) == 2 and len({key["id"] for key in seen}) == 2, seen
    done("a list over several pages")
    assert manage.delete(f"{url}/{seen[-1]['id']}").status_code == 204
    assert manage.delete(f"{url}/{seen[-1]['id']}").status_code == 404


def git_rights(site, app, manage, git, urls):
    token = git.token["access_token"]
    status, headers, _ = site.curl(urls["https"] + "/info/refs?service=git-upload-pack")
    assert status == 401 and headers["www-authenticate"] == 'basic realm="github"', headers
    refused("Git without a credential")
    bearer = ["-H", f"Authorization: Bearer {token}"]
    status, _, _ = site.curl(urls["https"] + "/info/refs?service=git-upload-pack", *bearer)
    assert status == 401
    refused("Git by Bearer")
    def as_basic(token):
        return site.with_credential(urls["https"], "x-access-token", token)
    assert "403" in site.cannot_clone(as_basic(manage.token["access_token"]))
    refused("Git to the token for keys")
    stranger = link(site, app, GIT, "bob").token["access_token"]
    assert "not found" in site.cannot_clone(as_basic(stranger))
    refused("another person's repository")
    shared = site.add_repository("acme", "app")
    site.control("organisations", {"name": "acme", "forbid_app": app[0]})
    forbidden = site.with_credential(shared["https"], "x-access-token", token)
    assert "OAuth App access restrictions" in site.cannot_clone(forbidden)
    refused("an organisation that forbids the application")
    public = site.add_repository("bob", "open", public=True)
    assert site.run("git", "clone", "--quiet", public["https"], "public").returncode == 0
    pushed = site.run("git", "-C", "public", "push", "origin", "HEAD:new")
    assert pushed.returncode != 0
    refused("an anonymous push to a public repository")


def expiring_app(site):
    """A GitHub App: tokens end, refresh tokens are good for one use."""
    app = site.add_app(github_app=True, scopes=["repo", "read:public_key"])
    session = link(site, app, None)
    first = dict(session.token)
    assert first["expires_in"] == 28800 and first["refresh_token"].startswith("ghr_"), first
    url = f"{site.url}/login/oauth/access_token"
    session.refresh_token(url, client_id=app[0], client_secret=app[1])
    assert session.token["access_token"] != first["access_token"]
    old = requests.get(f"{site.api}/user", headers={"Authorization": f"Bearer {first['access_token']}"})
    assert old.status_code == 401
    done("refresh of an expiring token")
    form = {"client_id": app[0], "client_secret": app[1], "grant_type": "refresh_token"}
    assert token_error(site, {**form, "refresh_token": first["refresh_token"]}) == "bad_refresh_token"
    refused("a refresh token used twice")


def revocation(site, app, manage):
    tokens = [link(site, app, GIT).token["access_token"] for _ in range(11)]

    def check(token):
        return requests.get(f"{site.api}/user", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (check(tokens[0]), check(tokens[1]), check(tokens[10])) == (401, 200, 200)
    refused("the oldest of eleven tokens")
    url = f"{site.api}/applications/{app[0]}"
    body = {"access_token": tokens[10]}
    assert requests.delete(f"{url}/token", auth=(app[0], "wrong"), json=body).status_code == 404
    refused("a revocation by the wrong secret")
    assert requests.delete(f"{url}/token", auth=app, json=body).status_code == 204
    assert (check(tokens[9]), check(tokens[10])) == (200, 401)
    assert requests.post(f"{url}/token", auth=app, json=body).status_code == 404
    keys = {key["login"] for key in site.control("keys", method="GET")}
    assert keys == {"ann"}, keys
    body = {"access_token": tokens[9]}
    assert requests.delete(f"{url}/grant", auth=app, json=body).status_code == 204
    assert check(manage.token["access_token"]) == 401
    # The whole authorization takes the keys along that the application made.
    assert site.control("keys", method="GET") == []
    done("revocation of a token and of the whole authorization")
