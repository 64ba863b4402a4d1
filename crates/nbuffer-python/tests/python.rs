//! The Python package as a user gets it: installed by pip into an environment of its own, then its tests, its types and its
//! stubs. Needs the package index; without a Python there is nothing to test, which `NBUFFER_REQUIRE_PYTHON` makes an error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Python the package is for.
const OLDEST: &str = "import sys; sys.exit(sys.version_info < (3, 10))";

#[test]
fn the_package_installs_and_its_own_tests_pass() {
    let Some(python) = python() else {
        let why = "no Python of version 3.10 or newer; name one in NBUFFER_PYTHON";
        assert!(std::env::var_os("NBUFFER_REQUIRE_PYTHON").is_none(), "{why}");
        eprintln!("skipped: {why}");
        return;
    };
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    check(&python, [OsStr::new("-m"), OsStr::new("venv"), environment.as_os_str()]);
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    check(&python, ["-m", "pip", "install", "--quiet", ".[ort,test]"]);
    check(&python, ["-m", "pytest", "-q"]);
    check(&python, ["-m", "mypy", "--strict", "-p", "nbuffer"]);
    check(&python, ["-m", "mypy", "--strict", "python/tests/consumer.py"]);
    check(&python, ["-m", "mypy.stubtest", "--ignore-disjoint-bases", "nbuffer"]);
}

/// A Python that is new enough.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("NBUFFER_PYTHON").map(PathBuf::from);
    let candidates = named.map_or_else(|| vec!["python3".into(), "python".into()], |named| vec![named]);
    candidates.into_iter().find(|python| {
        Command::new(python).args(["-c", OLDEST]).output().is_ok_and(|output| output.status.success())
    })
}

/// Runs Python at the root of the repository. It must succeed.
fn check<A: AsRef<OsStr>>(python: &Path, args: impl IntoIterator<Item = A>) {
    let mut command = Command::new(python);
    command.args(args).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    // The build that these tests belong to is there already; a release build is for users.
    command.env("MATURIN_PEP517_ARGS", "--profile dev").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let output = command.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
    println!("{command:?}\n{stdout}{stderr}");
    assert!(output.status.success(), "{command:?} ended with {}:\n{stdout}\n{stderr}", output.status);
}
