//! The `cel` crate in a process of its own: an expression may overflow its stack, which nobody can catch.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const CHILD: &str = "YAGURA_TEST_SYNTAX_ORACLE";

/// What the oracle says of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepts,
    Refuses,
    /// It panicked or overflowed its stack.
    Dies,
}

/// The child; another is started when one has died.
#[derive(Default)]
pub(crate) struct Oracle(Option<Running>);

struct Running {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// Whether `cel` accepts the expression.
    pub(crate) fn ask(&mut self, expression: &str) -> Answer {
        let running = self.0.get_or_insert_with(Running::start);
        match running.ask(expression) {
            Some(true) => Answer::Accepts,
            Some(false) => Answer::Refuses,
            None => {
                let status = running.child.wait().unwrap();
                assert!(!status.success(), "the oracle ended without an answer");
                self.0 = None;
                Answer::Dies
            }
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let Some(Running {
            mut child, questions, ..
        }) = self.0.take()
        else {
            return;
        };
        // Without questions it ends.
        drop(questions);
        drop(child.wait());
    }
}

impl Running {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "oracle::child", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            questions,
            answers,
        }
    }

    /// One question, one answer; nothing when the child is gone.
    fn ask(&mut self, expression: &str) -> Option<bool> {
        let length = u32::try_from(expression.len()).unwrap().to_be_bytes();
        self.questions.write_all(&length).ok()?;
        self.questions.write_all(expression.as_bytes()).ok()?;
        self.questions.flush().ok()?;
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(answer) = line.trim_end().strip_prefix("accepts ") {
                return Some(answer == "true");
            }
        }
    }
}

/// Runs only in the child: answers until nobody asks.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut questions = std::io::stdin().lock();
    let mut answers = std::io::stdout().lock();
    let mut length = [0; 4];
    while questions.read_exact(&mut length).is_ok() {
        let mut expression = vec![0; u32::from_be_bytes(length) as usize];
        questions.read_exact(&mut expression).unwrap();
        let expression = String::from_utf8(expression).unwrap();
        let accepts = cel::parser::Parser::new().parse(&expression).is_ok();
        writeln!(answers, "\naccepts {accepts}").unwrap();
        answers.flush().unwrap();
    }
}
