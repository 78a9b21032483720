//! The crew: one task a connection. Each takes letters as they come, and names the next while it hands over the last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::writing::Ready;
use crate::app::Shared;
use crate::channels::{Outgoing, Sent, Session};
use crate::domain::Moment;
use crate::store::Begun;

/// A letter whose attempt is written down.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) letter: Arc<Ready>,
    pub(super) begun: Begun,
}

impl Job {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            envelope_from: &self.letter.envelope_from,
            to: &self.letter.delivery.recipient,
            bytes: &self.letter.bytes,
        }
    }
}

/// A letter that came back.
pub(super) struct Done {
    pub(super) job: Job,
    /// None if no byte of it went out, because we were halted first.
    pub(super) sent: Option<Sent>,
    pub(super) at: Moment,
}

/// The letter that a connection names ahead. It can be taken back while the one before it hangs: no byte of it goes out
/// before its turn.
type Ahead = Arc<Mutex<Option<Job>>>;

fn slot(ahead: &Ahead) -> MutexGuard<'_, Option<Job>> {
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connections, and the letters that wait for them.
pub(super) struct Crew {
    /// None once no more letters come.
    jobs: Option<flume::Sender<Job>>,
    waiting: flume::Receiver<Job>,
    done: mpsc::UnboundedReceiver<Done>,
    tasks: Vec<JoinHandle<()>>,
    ahead: Vec<Ahead>,
    /// Nothing more is begun in this pass. Shared, so that what waits behind a hanging letter is given back.
    halted: Arc<AtomicBool>,
}

impl Crew {
    /// As many connections as there may be; the first goes on with `first`, which is open already.
    pub(super) fn start(app: &Shared, connections: usize, first: Session) -> Self {
        let (jobs, waiting) = flume::unbounded::<Job>();
        let (sender, done) = mpsc::unbounded_channel();
        let halted = Arc::new(AtomicBool::new(false));
        let sessions = std::iter::once(first).chain(std::iter::repeat_with(|| app.outlet.open()));
        let (mut tasks, mut ahead) = (Vec::new(), Vec::new());
        for session in sessions.take(connections.max(1)) {
            let slot = Ahead::default();
            tasks.push(tokio::spawn(connection(
                Shared::clone(app),
                session,
                waiting.clone(),
                Ahead::clone(&slot),
                sender.clone(),
                Arc::clone(&halted),
            )));
            ahead.push(slot);
        }
        Self {
            jobs: Some(jobs),
            waiting,
            done,
            tasks,
            ahead,
            halted,
        }
    }

    pub(super) fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // We hold a receiver ourselves, so somebody always listens.
            let _ = jobs.send(job);
        }
    }

    /// The next letter that comes back. None never comes while letters are out.
    pub(super) async fn done(&mut self) -> Option<Done> {
        self.done.recv().await
    }

    /// A letter that has come back already.
    pub(super) fn done_already(&mut self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Takes back what waits for a connection: all of them may be busy for as long as the relay likes.
    pub(super) fn take_back(&self, at: Moment) -> impl Iterator<Item = Done> + '_ {
        let named = self.ahead.iter().filter_map(|ahead| slot(ahead).take());
        self.waiting.try_iter().chain(named).map(move |job| Done {
            job,
            sent: None,
            at,
        })
    }

    /// Lets the connections say goodbye.
    pub(super) async fn end(&mut self) {
        self.jobs = None;
        for task in self.tasks.drain(..) {
            // A task that panicked has left its letters leased; they come back in doubt.
            let _ = task.await;
        }
    }
}

/// One connection: takes letters one after the other. Once halted it gives them back unbegun.
async fn connection(
    app: Shared,
    mut session: Session,
    jobs: flume::Receiver<Job>,
    ahead: Ahead,
    done: mpsc::UnboundedSender<Done>,
    halted: Arc<AtomicBool>,
) {
    loop {
        let named = slot(&ahead).take();
        let job = match named {
            Some(job) => job,
            None => match jobs.recv_async().await {
                Ok(job) => job,
                Err(flume::RecvError::Disconnected) => break,
            },
        };
        let sent = if halted.load(Ordering::Relaxed) {
            None
        } else {
            let next = jobs.try_recv().ok();
            slot(&ahead).clone_from(&next);
            let sent = session
                .send(job.outgoing(), next.as_ref().map(Job::outgoing))
                .await;
            // At once: the others are not to knock on a door that was just shut.
            if sent.outcome.is_about_the_relay() {
                halted.store(true, Ordering::Relaxed);
            }
            Some(sent)
        };
        let at = app.clock.now();
        if done.send(Done { job, sent, at }).is_err() {
            break;
        }
    }
    session.close().await;
}
