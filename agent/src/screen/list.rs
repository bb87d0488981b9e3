//! The list in memory, read anew when its file changes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use gait_common::identity::file::{self, FileError};
use gait_common::identity::{Entity, ListError, Watchlist};

use super::stamp::Stamp;

/// How often the file is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// A list that can be asked.
#[derive(Debug)]
pub struct Loaded {
    /// The list.
    pub watchlist: Watchlist,
    /// Its name in answers and logs.
    pub fingerprint: String,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("failed to read the list {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The file is damaged, or of another kind.
    #[error("the list {} is refused: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: FileError,
    },
    /// Its content contradicts itself.
    #[error("the list {} is refused: {reason}", path.display())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ListError,
    },
}

/// Reads and checks a list. No more is read than a list may have.
///
/// # Errors
/// When the file cannot be read or is no sound list.
fn load(path: &Path) -> Result<Loaded, LoadError> {
    let unreadable = |reason| LoadError::Unreadable { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    // One byte more, so that a file that is too large is refused as that and not as cut short.
    File::open(path)
        .and_then(|file| file.take(file::MAX_SIZE + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    let fingerprint = file::fingerprint(&bytes);
    let data =
        file::read(&bytes).map_err(|reason| LoadError::Refused { path: path.to_owned(), reason })?.data;
    drop(bytes);
    let watchlist =
        Watchlist::new(data).map_err(|reason| LoadError::Unsound { path: path.to_owned(), reason })?;
    Ok(Loaded { watchlist, fingerprint })
}

impl Loaded {
    /// The entity that a source lists under an id.
    pub fn entity(&self, source: &str, id: &str) -> Option<&Entity> {
        let data = self.watchlist.data();
        let of_source = |entity: &&Entity| data.sources[usize::from(entity.source)].name == source;
        data.entities.iter().filter(|entity| entity.id == id).find(of_source)
    }
}

/// A list file, and what was last read of it.
#[derive(Debug)]
pub struct ListFile {
    path: PathBuf,
    current: RwLock<Arc<Loaded>>,
    /// Editions read so far.
    edition: Arc<AtomicU64>,
    watched: Mutex<Watched>,
    /// Somebody asks for the file to be read.
    wanted: AtomicBool,
}

#[derive(Debug)]
struct Watched {
    stamp: Option<Stamp>,
    looked: Instant,
}

impl ListFile {
    /// Reads a list.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        // Before it is read: what changes meanwhile is read again.
        let stamp = Stamp::of(path);
        let loaded = load(path)?;
        Ok(Self {
            path: path.to_owned(),
            current: RwLock::new(Arc::new(loaded)),
            edition: Arc::default(),
            watched: Mutex::new(Watched { stamp, looked: Instant::now() }),
            wanted: AtomicBool::new(false),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The list as last read.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts the editions that were read.
    pub(super) fn edition(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.edition)
    }

    /// Has the next [`refresh`](Self::refresh) read the file in any case.
    pub(super) fn look_now(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Reads the file anew if it has changed, and says whether the list is another one now. A file that is refused leaves
    /// the list as it is, and is reported once.
    pub fn refresh(&self) -> bool {
        // Whoever finds it locked asks the list as it is, rather than wait for another one to be read.
        let Ok(mut watched) = self.watched.try_lock() else { return false };
        let wanted = self.wanted.swap(false, Ordering::Relaxed);
        if watched.looked.elapsed() < LOOK && !wanted {
            return false;
        }
        watched.looked = Instant::now();
        let stamp = Stamp::of(&self.path);
        if stamp == watched.stamp && !wanted {
            return false;
        }
        watched.stamp = stamp;
        match load(&self.path) {
            Ok(loaded) if loaded.fingerprint == self.current().fingerprint => false,
            Ok(loaded) => {
                let count = loaded.watchlist.data().entities.len();
                tracing::info!("read the list {} anew: {count} identities", self.path.display());
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
                self.edition.fetch_add(1, Ordering::Release);
                true
            }
            Err(error) => {
                tracing::error!("{error}; the list that was read before stays in use");
                false
            }
        }
    }
}
