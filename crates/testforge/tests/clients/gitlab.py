"""GitLab, at the root of its host or under a sub-path."""

import json

import requests
from requests_oauthlib import OAuth2Session

from site_under_test import CALLBACK, done, parameters, refused

GIT = ["read_user", "read_repository", "write_repository"]


def link(site, app, scopes, login="ann"):
    session = OAuth2Session(app[0], redirect_uri=CALLBACK, scope=scopes, pkce="S256")
    url, state = session.authorization_url(f"{site.url}/oauth/authorize")
    back = site.press(url, login)
    assert parameters(back)["state"] == state
    session.fetch_token(
        f"{site.url}/oauth/token",
        authorization_response=back,
        client_secret=app[1],
        include_client_id=True,
    )
    return session


def run(site):
    site.add_account("ann")
    site.add_account("bob")
    app = site.add_app(scopes=["api", *GIT])
    urls = site.add_repository("team/sub", "app")
    manage = link(site, app, ["api"])
    git = link(site, app, GIT)
    assert git.token["expires_in"] == 7200 and git.token["scope"] == GIT, git.token
    whole_flow(site, manage, git, urls)
    consent(site, app)
    codes(site, app)
    key_rights(site, manage, git)
    key_lists(site, manage)
    git_rights(site, manage, git, urls)
    rotation(site, app, manage)
    revocation(site, app)


def whole_flow(site, manage, git, urls):
    user = git.get(f"{site.api}/user").json()
    assert (user["username"], user["email"]) == ("ann", "ann@example.com"), user
    file, line = site.new_key()
    key = {"title": "key", "key": line, "usage_type": "auth_and_signing"}
    answer = manage.post(f"{site.api}/user/keys", json=key)
    assert answer.status_code == 201 and answer.json()["usage_type"] == "auth_and_signing", answer.text
    https = site.with_credential(urls["https"], "oauth2", git.token["access_token"])
    site.clone_and_push(https, "over-https")
    done("OAuth with PKCE, user, key, clone and push over HTTPS")
    site.over_ssh(urls, file, site.new_key()[0])
    assert "Welcome to GitLab, @ann!" in site.ssh(file).stderr


def consent(site, app):
    base = f"{site.url}/oauth/authorize?response_type=code&state=s1&client_id={app[0]}"
    back = parameters(site.press(f"{base}&scope=api&redirect_uri={CALLBACK}", "ann", "deny"))
    assert back["error"] == "access_denied" and back["state"] == "s1", back
    refused("by the person")
    page = site.error_page(f"{base}&scope=api&redirect_uri={CALLBACK}/below")
    assert "redirect URI" in page, page
    refused("a redirect URI below the registered one, without a redirect")
    narrow = site.add_app(scopes=["api"])
    url = f"{site.url}/oauth/authorize?response_type=code&client_id={narrow[0]}&redirect_uri={CALLBACK}"
    assert "scope" in site.error_page(f"{url}&scope=read_user+read_repository")
    refused("scopes that the application does not have, without a redirect")


def token(site, **form):
    data = [part for name, value in form.items() for part in ("--data-urlencode", f"{name}={value}")]
    status, headers, body = site.curl(f"{site.url}/oauth/token", *data)
    return status, headers, json.loads(body)


def new_code(site, app, **query):
    session = OAuth2Session(app[0], redirect_uri=CALLBACK, scope=["api"])
    url, _ = session.authorization_url(f"{site.url}/oauth/authorize", **query)
    return parameters(site.press(url, "ann"))["code"]


def codes(site, app):
    form = {
        "client_id": app[0],
        "client_secret": app[1],
        "grant_type": "authorization_code",
        "redirect_uri": CALLBACK,
    }
    code = new_code(site, app)
    status, headers, body = token(site, **{**form, "client_secret": "wrong"}, code=code)
    assert (status, body["error"]) == (401, "invalid_client"), body
    assert headers["www-authenticate"].startswith('bearer realm="doorkeeper"'), headers
    refused("a wrong client secret")
    assert token(site, **form, code=code)[0] == 200
    status, _, body = token(site, **form, code=code)
    assert (status, body["error"]) == (400, "invalid_grant"), body
    refused("a code used twice")
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}
    code = new_code(site, app, **challenge, code_challenge_method="S256")
    assert token(site, **form, code=code, code_verifier="x" * 43)[2]["error"] == "invalid_grant"
    code = new_code(site, app, **challenge, code_challenge_method="S256")
    assert token(site, **form, code=code)[2]["error"] == "invalid_request"
    refused("a wrong and a missing PKCE verifier")
    code = new_code(site, app)
    other = {**form, "redirect_uri": CALLBACK + "/other"}
    assert token(site, **other, code=code)[2]["error"] == "invalid_grant"
    refused("another redirect URI at the exchange")


def key_rights(site, manage, git):
    url = f"{site.api}/user/keys"
    own = git.get(url).json()[0]["id"]
    line = site.new_key()[1]
    for answer in (git.post(url, json={"title": "x", "key": line}), git.delete(f"{url}/{own}")):
        assert answer.status_code == 403, answer.text
        assert answer.json()["error"] == "insufficient_scope", answer.text
    refused("keys to the token for Git")
    status, _, body = site.curl(f"{site.api}/version")
    assert status == 401 and json.loads(body) == {"message": "401 Unauthorized"}, body
    refused("a request without a token")
    assert manage.get(f"{site.api}/version").json()["version"]


def key_lists(site, manage):
    url = f"{site.api}/user/keys"
    line = site.new_key()[1]
    answer = manage.post(url, data={"title": "two", "key": line, "expires_at": "2090-01-01"})
    assert answer.status_code == 201 and answer.json()["expires_at"].startswith("2090-01-01")
    again = manage.post(url, json={"title": "three", "key": line})
    assert again.status_code == 400, again.text
    assert again.json() == {"message": {"fingerprint_sha256": ["has already been taken"]}}, again.text
    refused("the same key twice")
    broken = manage.post(url, json={"title": "x", "key": "nonsense"})
    assert broken.status_code == 400 and "key" in broken.json()["message"], broken.text
    untitled = manage.post(url, json={"key": line})
    assert untitled.status_code == 400 and untitled.json() == {"error": "title is missing"}
    refused("a broken key and one without title")
    first = manage.get(url, params={"per_page": 1})
    assert first.headers["x-total"] == "2" and first.headers["x-next-page"] == "2", first.headers
    second = requests.get(first.links["next"]["url"], headers=first.request.headers)
    assert second.headers["x-next-page"] == "" and "next" not in second.links, second.headers
    done("a list over several pages")
    key = second.json()[0]["id"]
    assert manage.delete(f"{url}/{key}").status_code == 204
    assert manage.delete(f"{url}/{key}").json() == {"message": "404 Key Not Found"}


def git_rights(site, manage, git, urls):
    token = git.token["access_token"]
    refs = urls["https"] + "/info/refs?service=git-upload-pack"
    status, headers, _ = site.curl(refs)
    assert status == 401 and headers["www-authenticate"] == 'basic realm="gitlab"', headers
    refused("Git without a credential")
    assert site.curl(refs, "-H", f"Authorization: Bearer {token}")[0] == 200
    site.cannot_clone(site.with_credential(urls["https"], "ann", token))
    refused("a token under another user name than oauth2")
    reader = link(site, site.add_app(scopes=["read_repository"]), ["read_repository"])
    url = site.with_credential(urls["https"], "oauth2", reader.token["access_token"])
    assert site.run("git", "clone", "--quiet", url, "read-only").returncode == 0
    pushed = site.run("git", "-C", "read-only", "push", "origin", "HEAD:new")
    assert pushed.returncode != 0 and "403" in pushed.stderr, pushed.stderr
    refused("a push by a token that may read")


def rotation(site, app, manage):
    old = dict(manage.token)
    url = f"{site.url}/oauth/token"
    manage.refresh_token(
        url, client_id=app[0], client_secret=app[1], redirect_uri=CALLBACK)
    dead = requests.get(f"{site.api}/user", headers={"Authorization": f"Bearer {old['access_token']}"})
    assert dead.status_code == 401 and dead.json()["error"] == "invalid_token", dead.text
    assert "revoked" in dead.json()["error_description"], dead.text
    refused("the access token of before the refresh")
    form = {"grant_type": "refresh_token", "client_id": app[0], "client_secret": app[1]}
    used = {**form, "redirect_uri": CALLBACK, "refresh_token": old["refresh_token"]}
    status, _, body = token(site, **used)
    assert (status, body["error"]) == (400, "invalid_grant"), body
    refused("a refresh token used twice")
    status, _, body = token(site, **form, refresh_token=manage.token["refresh_token"])
    assert (status, body["error"]) == (400, "invalid_request"), body
    refused("a refresh without the redirect URI")
    assert manage.get(f"{site.api}/user").status_code == 200
    site.control("clock", {"advance_s": 7200})
    late = requests.get(
        f"{site.api}/user", headers={"Authorization": f"Bearer {manage.token['access_token']}"})
    assert late.status_code == 401 and "expired" in late.json()["error_description"], late.text
    refused("an access token older than two hours")


def revocation(site, app):
    session = link(site, app, ["api"])
    form = {"token": session.token["access_token"], "client_id": app[0], "client_secret": "wrong"}
    wrong = requests.post(f"{site.url}/oauth/revoke", data=form)
    assert wrong.status_code == 403 and wrong.json()["error"] == "unauthorized_client", wrong.text
    refused("a revocation by the wrong secret")
    form["client_secret"] = app[1]
    for token_text in (form["token"], "never issued"):
        answer = requests.post(f"{site.url}/oauth/revoke", data={**form, "token": token_text})
        assert answer.status_code == 200 and answer.json() == {}, answer.text
    assert requests.get(f"{site.url}/oauth/token/info", headers={
        "Authorization": f"Bearer {form['token']}"}).status_code == 401
    done("revocation")
