//! What others see of the quorum: the newest image, and who is told of changes.
//!
//! Invariant: an image is published before its listener hears of it, and the listener has returned before the write that caused
//! it is answered.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Change, Listener};
use crate::metadata::{Delta, Image, Partition};
use crate::model::BrokerId;

/// See the head of this file.
pub struct Published {
    image: ArcSwap<Image>,
    images: watch::Sender<Arc<Image>>,
    listener: Mutex<Option<Listener>>,
    /// Who leads, as far as this node knows. Held while an image is replaced.
    controller: Mutex<BrokerId>,
}

impl Default for Published {
    fn default() -> Published {
        Published {
            image: ArcSwap::default(),
            images: watch::Sender::default(),
            listener: Mutex::default(),
            controller: Mutex::new(Partition::NO_LEADER),
        }
    }
}

impl Published {
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// As [`Published::image`], for a look that is over soon.
    pub fn load(&self) -> Guard<Arc<Image>> {
        self.image.load()
    }

    pub fn images(&self) -> watch::Receiver<Arc<Image>> {
        self.images.subscribe()
    }

    pub fn listen(&self, listener: Listener) {
        *self.listener.lock() = Some(listener);
    }

    /// Publishes a changed copy of the image.
    pub fn change(&self, change: impl FnOnce(&mut Image, &mut Delta)) -> Arc<Image> {
        let controller = self.controller.lock();
        let old = self.image.load_full();
        let (mut image, mut delta) = (Image::clone(&old), Delta::default());
        change(&mut image, &mut delta);
        image.set_controller_id(*controller);
        self.publish(old, image, &delta)
    }

    /// Publishes an image that did not come from the one before: a snapshot's.
    pub fn replace(&self, mut image: Image) {
        let controller = self.controller.lock();
        let old = self.image.load_full();
        image.set_controller_id(*controller);
        let delta = Delta::between(&old, &image);
        self.publish(old, image, &delta);
    }

    fn publish(&self, old: Arc<Image>, image: Image, delta: &Delta) -> Arc<Image> {
        let new = Arc::new(image);
        self.image.store(Arc::clone(&new));
        self.images.send_replace(Arc::clone(&new));
        if let Some(listener) = &*self.listener.lock() {
            listener(Change { old: &old, new: &new, delta });
        }
        new
    }

    /// Has images say from now on who leads; -1 for nobody. No record says it, so the listener does not hear of it.
    pub fn set_controller(&self, id: BrokerId) {
        let mut controller = self.controller.lock();
        if *controller == id {
            return;
        }
        *controller = id;
        let mut image = Image::clone(&self.image.load());
        image.set_controller_id(id);
        let new = Arc::new(image);
        self.image.store(Arc::clone(&new));
        self.images.send_replace(new);
    }
}
