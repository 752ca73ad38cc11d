//! Where spans are kept: in memory, or one JSON line each in a file per day.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::{Date, OffsetDateTime};
use tokio::sync::watch;

use super::Span;

/// Older files are removed when the sink starts: traces of a local stack are of use for days, not for ever.
const KEPT_DAYS: usize = 7;

/// How many of the latest traces a list shows.
const LISTED: usize = 50;

#[derive(Debug)]
pub(super) struct Store {
    dir: Option<PathBuf>,
    spans: Option<Mutex<Vec<Span>>>,
    file: Mutex<Option<(Date, File)>>,
    pub(super) arrivals: watch::Sender<usize>,
}

/// One line of the list of traces.
pub(super) struct Summary {
    pub(super) trace_id: String,
    pub(super) start: String,
    pub(super) name: String,
    pub(super) spans: usize,
}

impl Store {
    pub(super) fn open(dir: Option<&Path>, in_memory: bool) -> io::Result<Self> {
        if let Some(dir) = dir {
            fs::create_dir_all(dir).map_err(|error| named(&error, dir))?;
            let mut files = trace_files(dir)?;
            files.truncate(files.len().saturating_sub(KEPT_DAYS));
            for old in files {
                fs::remove_file(&old).map_err(|error| named(&error, &old))?;
            }
        }
        Ok(Self {
            dir: dir.map(Path::to_owned),
            spans: in_memory.then(Mutex::default),
            file: Mutex::default(),
            arrivals: watch::Sender::new(0),
        })
    }

    pub(super) fn keep(&self, spans: Vec<Span>) -> io::Result<()> {
        let count = spans.len();
        if let Some(dir) = &self.dir {
            self.append(dir, &spans)?;
        }
        if let Some(kept) = &self.spans {
            lock(kept).extend(spans);
        }
        self.arrivals.send_modify(|total| *total += count);
        Ok(())
    }

    /// The spans in memory.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.spans
            .as_ref()
            .map(|spans| lock(spans).clone())
            .unwrap_or_default()
    }

    /// The spans of one trace, from memory or else from the files. Reads files: not for an async thread.
    pub(super) fn trace(&self, trace_id: &str) -> io::Result<Vec<Span>> {
        let mut found = Vec::new();
        self.each(
            |line| line.contains(trace_id),
            |span| {
                if span.trace_id == trace_id {
                    found.push(span);
                }
            },
        )?;
        Ok(found)
    }

    /// The latest traces, newest first. Reads files: not for an async thread.
    pub(super) fn latest(&self) -> io::Result<Vec<Summary>> {
        let mut traces: Vec<Summary> = Vec::new();
        self.each(|_| true, |span| add_to(&mut traces, span))?;
        traces.sort_by(|one, other| other.start.cmp(&one.start));
        traces.truncate(LISTED);
        Ok(traces)
    }

    fn each(&self, wanted: impl Fn(&str) -> bool, mut take: impl FnMut(Span)) -> io::Result<()> {
        if let Some(spans) = &self.spans {
            lock(spans).iter().cloned().for_each(take);
            return Ok(());
        }
        let Some(dir) = &self.dir else { return Ok(()) };
        for path in trace_files(dir)? {
            for line in BufReader::new(File::open(&path)?).lines() {
                let line = line?;
                // A line cut off by a kill is skipped; the ones after it are whole.
                if wanted(&line)
                    && let Ok(span) = serde_json::from_str(&line)
                {
                    take(span);
                }
            }
        }
        Ok(())
    }

    fn append(&self, dir: &Path, spans: &[Span]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(spans.len() * 1024);
        for span in spans {
            serde_json::to_writer(&mut lines, span)?;
            lines.push(b'\n');
        }
        let today = OffsetDateTime::now_utc().date();
        let mut file = lock(&self.file);
        if file.as_ref().is_none_or(|(day, _)| *day != today) {
            let path = dir.join(format!("{today}.jsonl"));
            let opened = OpenOptions::new().create(true).append(true).open(&path);
            *file = Some((today, opened.map_err(|error| named(&error, &path))?));
        }
        match file.as_mut() {
            Some((_, file)) => file.write_all(&lines),
            None => Ok(()),
        }
    }
}

fn add_to(traces: &mut Vec<Summary>, span: Span) {
    let name = format!("{}  {}", span.service, span.name);
    if let Some(trace) = traces
        .iter_mut()
        .rev()
        .find(|trace| trace.trace_id == span.trace_id)
    {
        trace.spans += 1;
        // Children end, and so arrive, before their parents.
        if span.parent.is_none() || span.start < trace.start {
            trace.name = name;
            trace.start = span.start;
        }
        return;
    }
    if traces.len() == LISTED * 2 {
        traces.drain(..LISTED);
    }
    traces.push(Summary {
        trace_id: span.trace_id,
        start: span.start,
        name,
        spans: 1,
    });
}

/// The files by day, oldest first.
fn trace_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    Ok(files)
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
