//! Reading: a directory on its way into the store, batch by batch, whatever kind of source it is.
//!
//! A reader is a task of its own that puts what it finds into a [`Sink`]; a step takes the batches out and saves them. At
//! most a few batches are held, so memory does not grow with the directory.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::directory::Summary;

/// How many items are saved at once.
const BATCH: usize = 500;

/// For so long a transaction may be held open for what comes next: shorter than a disk takes to sync a few times.
const BLINK: Duration = Duration::from_millis(20);

/// What a reading came to, once all of it was read. A reader that did not get to its end gives an error in its place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ended {
    /// What was handed on, and what was not.
    pub summary: Summary,
    /// From where the next reading need only read what changed since; none if it has to read everything.
    pub position: Option<String>,
    /// Everything was read, not only what changed.
    pub is_sweep: bool,
}

impl Ended {
    /// All of a source that has no memory of what changed.
    pub fn sweep(summary: Summary) -> Self {
        Self {
            summary,
            position: None,
            is_sweep: true,
        }
    }
}

/// Where a reader puts what it finds.
pub struct Sink<T> {
    sender: mpsc::Sender<Vec<T>>,
    batch: Vec<T>,
}

impl<T> Sink<T> {
    fn new() -> (Self, mpsc::Receiver<Vec<T>>) {
        let (sender, batches) = mpsc::channel(2);
        let batch = Vec::with_capacity(BATCH);
        (Self { sender, batch }, batches)
    }

    fn full(&mut self, item: T) -> Option<Vec<T>> {
        self.batch.push(item);
        (self.batch.len() >= BATCH)
            .then(|| std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH)))
    }

    /// Hands an item on. Break: nobody listens any more; they have their reason, and say so.
    pub async fn put(&mut self, item: T) -> ControlFlow<()> {
        match self.full(item) {
            None => ControlFlow::Continue(()),
            Some(batch) => match self.sender.send(batch).await {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            },
        }
    }

    /// As [`Sink::put`], from a thread that may block.
    pub fn put_blocking(&mut self, item: T) -> ControlFlow<()> {
        match self
            .full(item)
            .map(|batch| self.sender.blocking_send(batch))
        {
            None | Some(Ok(())) => ControlFlow::Continue(()),
            Some(Err(_)) => ControlFlow::Break(()),
        }
    }
}

/// A reading that has begun.
pub struct Reading<T> {
    /// What is read counts together or not at all. Else each item is a fact of its own.
    pub is_whole: bool,
    batches: mpsc::Receiver<Vec<T>>,
    /// What has come and was not asked for yet.
    ahead: Option<Vec<T>>,
    reader: JoinHandle<anyhow::Result<Ended>>,
}

impl<T: Send + 'static> Reading<T> {
    /// By a reader that blocks its thread.
    pub fn blocking(
        read: impl FnOnce(&mut Sink<T>) -> anyhow::Result<Ended> + Send + 'static,
    ) -> Self {
        let (mut sink, batches) = Sink::new();
        let reader = tokio::task::spawn_blocking(move || {
            let ended = read(&mut sink)?;
            let _ = sink.sender.blocking_send(sink.batch);
            Ok(ended)
        });
        Self {
            is_whole: true,
            batches,
            ahead: None,
            reader,
        }
    }

    /// By a reader that waits for a network. It gives the sink back, so that its last batch is handed on.
    pub fn task<F>(read: impl FnOnce(Sink<T>) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<(Sink<T>, Ended)>> + Send + 'static,
    {
        let (sink, batches) = Sink::new();
        let read = read(sink);
        let reader = tokio::spawn(async move {
            let (sink, ended) = read.await?;
            let _ = sink.sender.send(sink.batch).await;
            Ok(ended)
        });
        Self {
            is_whole: false,
            batches,
            ahead: None,
            reader,
        }
    }

    /// What comes next; none at the end, and after an error, which [`Reading::end`] tells.
    pub async fn next(&mut self) -> Option<Vec<T>> {
        match self.ahead.take() {
            Some(batch) => Some(batch),
            None => self.batches.recv().await,
        }
    }

    /// Whether the next batch is here, or comes in the blink of an eye.
    pub async fn has_next(&mut self) -> bool {
        if self.ahead.is_none() {
            let coming = tokio::time::timeout(BLINK, self.batches.recv());
            self.ahead = coming.await.ok().flatten();
        }
        self.ahead.is_some()
    }

    /// What it came to. What was handed on before an error is not all there is.
    pub async fn end(self) -> anyhow::Result<Ended> {
        drop(self.batches);
        self.reader.await.context("the reader's task")?
    }
}
