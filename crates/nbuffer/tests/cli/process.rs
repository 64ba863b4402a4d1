//! The program under test as a process: started, read, and never waited for without end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A run that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The same run, which must have ended with this exit status.
    #[track_caller]
    pub(crate) fn exit(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "of {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// The results on stdout: file and answer.
    pub(crate) fn results(&self) -> Vec<(&str, &str)> {
        self.stdout.lines().map(|line| line.split_once('\t').expect("a tab follows the file")).collect()
    }
}

/// The program with these arguments, without any library of the machine it runs on.
pub(crate) fn nbuffer(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbuffer"));
    command.args(args).env_remove("ORT_DYLIB_PATH");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    Process::start(&mut nbuffer(args)).finish()
}

/// A list of arguments of different types.
macro_rules! args {
    ($($arg:expr),* $(,)?) => {
        [$(std::ffi::OsStr::new(&$arg).to_owned()),*]
    };
}
pub(crate) use args;

/// A run that is going on. Dropped before its end, it is killed.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    notes: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let mut readers = Vec::new();
        let mut lines = |pipe: Option<Box<dyn Read + Send>>| {
            let (sender, receiver) = channel();
            readers.push(std::thread::spawn(move || {
                for line in pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
                    // Whoever does not want the lines does not keep the program from writing them.
                    let _ = sender.send(line.expect("the program writes text"));
                }
            }));
            receiver
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = lines(stdout.map(|pipe| Box::new(pipe) as _));
        let stderr = lines(stderr.map(|pipe| Box::new(pipe) as _));
        Process { stdin: child.stdin.take(), child, lines: stdout, notes: stderr, readers }
    }

    /// The next line on its stdout, waited for.
    #[track_caller]
    pub(crate) fn next_line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line on stdout")
    }

    /// The next line on its stderr, waited for.
    #[track_caller]
    pub(crate) fn next_note(&self) -> String {
        self.notes.recv_timeout(LIMIT).expect("a line on stderr")
    }

    /// Gives it a line on stdin.
    pub(crate) fn give(&mut self, line: impl AsRef<OsStr>) {
        let stdin = self.stdin.as_mut().expect("stdin is a pipe that is open");
        stdin.write_all(line.as_ref().as_encoded_bytes()).expect("the program reads");
        stdin.write_all(b"\n").expect("the program reads");
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let killed = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        assert!(killed.expect("kill is there").success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the program can be waited for").is_none()
    }

    /// Waits for its end, with its stdin as it is. The lines that were taken already are not among the rest.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                break status;
            }
            if began.elapsed() > LIMIT {
                let _ = self.child.kill();
                let notes: Vec<String> = self.notes.iter().collect();
                panic!("still running after {LIMIT:?}; it said {notes:#?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("the program writes text");
        }
        let text = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect();
        Ran { status, stdout: text(&self.lines), stderr: text(&self.notes) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
