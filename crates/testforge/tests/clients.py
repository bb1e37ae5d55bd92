"""Drives one running stand-in with clients that are not ours; see clients.rs.

Usage: clients.py ADDRESSES, where ADDRESSES is the JSON that the stand-in describes itself with.
Prints a line `done: …` for each success and `refused: …` for each refusal; fails loudly.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "clients"))

import bitbucket
import github
import gitlab
import plain
from site_under_test import Site

SCENARIOS = {
    "github-com": github.run,
    "github-enterprise": github.run,
    "gitlab": gitlab.run,
    "gitlab-sub-path": gitlab.run,
    "bitbucket-server": bitbucket.run_oauth2,
    "bitbucket-server-oauth1": bitbucket.run_oauth1,
    "azure": plain.run_azure,
    "other-git": plain.run_other_git,
    "anonymous": plain.run_anonymous,
}

if __name__ == "__main__":
    site = Site(json.loads(sys.argv[1]))
    SCENARIOS[site.shape](site)
