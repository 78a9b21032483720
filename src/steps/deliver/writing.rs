//! Leased deliveries → letters, ahead of need and off the tasks that talk to the relay.

use tokio::sync::mpsc;

use crate::app::Shared;
use crate::store::Delivery;

/// Letters that one core writes in one go: a few milliseconds of work.
const BATCH: usize = 32;

/// A letter that waits to be begun.
pub(super) struct Ready {
    pub(super) delivery: Delivery,
    pub(super) envelope_from: String,
    pub(super) bytes: Vec<u8>,
}

/// What became of a batch: letters, and deliveries whose letter cannot be written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) ready: Vec<Ready>,
    pub(super) unwritable: Vec<(Delivery, anyhow::Error)>,
}

/// Writes letters for whoever holds the other end.
pub(super) struct Writing {
    app: Shared,
    out: mpsc::UnboundedSender<Written>,
}

impl Writing {
    pub(super) fn new(app: Shared) -> (Self, mpsc::UnboundedReceiver<Written>) {
        let (out, written) = mpsc::unbounded_channel();
        (Self { app, out }, written)
    }

    /// Begins to write; each batch comes back when it is done. Texts are read from the store first, once each.
    pub(super) async fn write(&self, deliveries: Vec<Delivery>) -> anyhow::Result<()> {
        for delivery in &deliveries {
            self.app
                .letters
                .prepare(&self.app.store, delivery.template)
                .await?;
        }
        let mut left = deliveries.into_iter();
        loop {
            let batch: Vec<Delivery> = left.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let (app, out) = (Shared::clone(&self.app), self.out.clone());
            tokio::task::spawn_blocking(move || {
                // A pass that has ended does not wait for letters any more.
                let _ = out.send(written(&app, batch));
            });
        }
    }
}

fn written(app: &Shared, batch: Vec<Delivery>) -> Written {
    let mut written = Written::default();
    for delivery in batch {
        match app.letters.write(&delivery) {
            Ok(letter) => written.ready.push(Ready {
                delivery,
                envelope_from: letter.envelope_from.expose().to_owned(),
                bytes: letter.bytes,
            }),
            Err(error) => written.unwritable.push((delivery, error)),
        }
    }
    written
}
