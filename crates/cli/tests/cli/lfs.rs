//! Git LFS: its transfers ask the same helper, and may take longer than a token lives.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use testforge::{Endpoint, Entry, Fault};

use crate::network::Net;
use crate::server::credential;
use crate::world::{assert_success, until};

const OBJECTS: usize = 6;

/// A clone whose `*.bin` files are objects of the store, one transferred after the other.
fn cloned() -> Net {
    let net = Net::new();
    assert_success(&net.clone("git".as_ref(), &net.urls.https, "clone"));
    for args in [
        ["lfs", "install", "--local"],
        ["lfs", "track", "*.bin"],
        ["config", "lfs.concurrenttransfers", "1"],
        // What the tests are not about, and what the store does not have.
        ["config", "lfs.locksverify", "false"],
        ["config", "lfs.activitytimeout", "20"],
    ] {
        in_clone(&net, &args);
    }
    for number in 0..OBJECTS {
        let text = format!("object {number}").repeat(20_000);
        fs::write(net.world.path(&format!("clone/{number}.bin")), text).unwrap();
    }
    in_clone(&net, &["add", "."]);
    in_clone(&net, &["commit", "-q", "-m", "objects"]);
    net
}

#[track_caller]
fn in_clone(net: &Net, args: &[&str]) {
    let folder = net.world.path("clone");
    let mut all = vec!["-C", folder.to_str().unwrap()];
    all.extend(args);
    assert_success(&net.git("git".as_ref(), &all));
}

/// How many objects went by, with this method.
fn transferred(net: &Net, method: &str) -> usize {
    let log = net.forge.log();
    log.iter().filter(|entry| moved(entry, method)).count()
}

fn moved(entry: &Entry, method: &str) -> bool {
    let is_object = entry.path.contains("/info/lfs/objects/") && !entry.path.ends_with("/batch");
    entry.method == method && entry.status == 200 && is_object
}

/// Ends the token as soon as `method` has moved one object, and has the server give another.
fn end_the_token_after_the_first<'a>(net: &'a Net, method: &'a str) -> impl FnOnce() + Send + 'a {
    // Slow enough that objects are left when the token ends.
    net.forge
        .fail_times(Endpoint::Any, Fault::Slow { ms: 150 }, 200);
    move || {
        until("one object is there", || transferred(net, method) > 0);
        net.forge.set_password("ann", "newer").unwrap();
        net.world.server.state().credentials = [Ok(credential("newer"))].into();
    }
}

/// A second clone that has the pointers of the objects and not yet the objects.
fn with_pointers(net: &Net) -> PathBuf {
    let again = net.world.path("again");
    let mut clone = net.world.command("git");
    clone.args(["clone", "-q", &net.urls.https]).arg(&again);
    assert_success(&clone.env("GIT_LFS_SKIP_SMUDGE", "1").output().unwrap());
    for args in [
        ["lfs", "install", "--local"],
        ["config", "lfs.concurrenttransfers", "1"],
    ] {
        let mut git = net.world.command("git");
        assert_success(&git.args(args).current_dir(&again).output().unwrap());
    }
    again
}

#[track_caller]
fn pull(net: &Net, again: &Path) {
    let mut pull = net.world.command("git");
    pull.args(["lfs", "pull"]).current_dir(again);
    assert_success(&pull.output().unwrap());
    let object = fs::read_to_string(again.join("3.bin")).unwrap();
    assert!(object == "object 3".repeat(20_000), "{object:.80}");
}

#[test]
fn pushes_and_fetches_objects() {
    let net = cloned();
    in_clone(&net, &["push", "-q", "origin", "HEAD"]);
    assert_eq!(transferred(&net, "PUT"), OBJECTS);
    pull(&net, &with_pointers(&net));
    assert_eq!(transferred(&net, "GET"), OBJECTS);
}

#[test]
fn a_push_of_objects_outlives_its_first_token() {
    let net = cloned();
    thread::scope(|scope| {
        scope.spawn(end_the_token_after_the_first(&net, "PUT"));
        in_clone(&net, &["push", "-q", "origin", "HEAD"]);
    });
    assert_eq!(transferred(&net, "PUT"), OBJECTS);
    assert_refused_in_the_middle(&net, "PUT");
}

#[test]
fn a_fetch_of_objects_outlives_its_first_token() {
    let net = cloned();
    in_clone(&net, &["push", "-q", "origin", "HEAD"]);
    let again = with_pointers(&net);
    thread::scope(|scope| {
        scope.spawn(end_the_token_after_the_first(&net, "GET"));
        pull(&net, &again);
    });
    assert_eq!(transferred(&net, "GET"), OBJECTS);
    assert_refused_in_the_middle(&net, "GET");
}

/// Between two objects the first token was refused.
#[track_caller]
fn assert_refused_in_the_middle(net: &Net, method: &str) {
    let log = net.forge.log();
    let first = log
        .iter()
        .position(|entry| moved(entry, method))
        .expect("an object was moved");
    let last = log
        .iter()
        .rposition(|entry| moved(entry, method))
        .expect("an object was moved");
    let refused = |entry: &Entry| entry.status == 401 && entry.path.contains("/lfs/");
    assert!(log[first..last].iter().any(refused), "{log:#?}");
}
