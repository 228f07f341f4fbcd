//! Events from lines of JSON, whatever stands in them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};
use yagura_crds::TestValue;
use yagura_event::{Event, Timestamp, build_recorded_event};

use super::ReplayError;

/// Longest line that is read as an event.
const MAX_LINE: u64 = 1 << 20;
/// Between two events without a time.
const SECOND: i64 = 1_000_000_000;
/// The first bytes of what gzip wrote (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file with events cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there or not allowed.
    #[error("cannot read events from {file}")]
    Open {
        /// What was named.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `-` was named twice.
    #[error("standard input can be read once; name - once")]
    Twice,
}

/// What a line holds.
pub(super) enum Line {
    /// An event.
    Event(Box<Event>),
    /// Something else that agents print: a signal, a loss, a gap.
    Other,
    /// Nothing that can be used, and why.
    Bad(String),
}

/// The lines of one file.
pub(super) struct Lines<'a> {
    name: String,
    line: u64,
    reader: Box<dyn BufRead + 'a>,
    buffer: Vec<u8>,
    /// When the last event was.
    time: Timestamp,
}

impl<'a> Lines<'a> {
    /// Opens a file, or takes standard input.
    pub(super) fn open<R: Read>(path: &Path, stdin: &'a mut Option<R>) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let wrap = |source| OpenError::Open {
            file: path.display().to_string(),
            source,
        };
        let raw: Box<dyn Read + 'a> = if path.as_os_str() == "-" {
            Box::new(stdin.take().ok_or(OpenError::Twice)?)
        } else {
            Box::new(File::open(path).map_err(wrap)?)
        };
        let mut raw = BufReader::with_capacity(1 << 16, raw);
        let reader: Box<dyn BufRead + 'a> = if raw.fill_buf().map_err(wrap)?.starts_with(&GZIP) {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        Ok(Self {
            name,
            line: 0,
            reader,
            buffer: Vec::new(),
            time: Timestamp(-SECOND),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the line that was read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Why reading ended too early.
    pub(super) fn failed(&self, source: io::Error) -> ReplayError {
        ReplayError::Cut {
            file: self.name.clone(),
            line: self.line,
            source,
        }
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.buffer.clear();
            let limit = MAX_LINE + 1;
            let mut limited = self.reader.by_ref().take(limit);
            if limited.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.buffer.len() as u64 == limit && !self.buffer.ends_with(b"\n") {
                self.skip()?;
                return Ok(Some(Line::Bad(format!(
                    "the line is longer than {MAX_LINE} bytes"
                ))));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(self.event().unwrap_or_else(Line::Bad)));
            }
        }
    }

    /// Passes the rest of a line over.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.reader.fill_buf()?;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() || used == 0 {
                return Ok(());
            }
        }
    }

    fn event(&mut self) -> Result<Line, String> {
        let mut object: Map<String, Value> =
            serde_json::from_slice(&self.buffer).map_err(|error| error.to_string())?;
        match object.remove("type").as_ref().map(Value::as_str) {
            None | Some(Some("event")) => {}
            Some(Some("signal" | "loss" | "gap")) => return Ok(Line::Other),
            Some(_) => return Err("its type is none of event, signal, loss and gap".to_owned()),
        }
        let time = match object.remove("time") {
            None => self.time.after(SECOND),
            Some(time) => timestamp(&time).ok_or_else(|| {
                let shown: String = time.to_string().chars().take(60).collect();
                format!("time {shown} is neither RFC 3339 nor a number of nanoseconds")
            })?,
        };
        let tree = TestValue(object).to_tree();
        let event = build_recorded_event(&tree, time).map_err(|error| error.to_string())?;
        self.time = time;
        Ok(Line::Event(Box::new(event)))
    }
}

/// A time as events have it.
pub(crate) fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => number.as_i64().map(Timestamp),
        Value::String(text) => {
            let time: jiff::Timestamp = text.parse().ok()?;
            i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
        }
        _ => None,
    }
}
