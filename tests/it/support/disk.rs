//! A disk that fills up: a small tmpfs, which only root may mount.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Guard, is_root, run, tried};

/// A mounted one. It goes with its guard.
pub struct Disk {
    path: PathBuf,
    _guard: Guard,
}

impl Disk {
    /// One of so many kilobytes; none, and loudly so, where nothing can be mounted.
    pub fn of(kilobytes: u32) -> Option<Self> {
        if !is_root() {
            eprintln!("NOT TESTED: a full disk, for only root may mount one");
            return None;
        }
        let path = tempfile::Builder::new()
            .prefix("tb")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        let shown = path.to_string_lossy().into_owned();
        let guard = Guard::new(r#"umount -l "$1" 2>/dev/null; rmdir "$1""#, &[&shown]);
        let mounted = tried(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
                .arg(&path),
        );
        if let Err(why) = mounted {
            eprintln!("NOT TESTED: a full disk, for nothing can be mounted here: {why}");
            return None;
        }
        Some(Self {
            path,
            _guard: guard,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it larger, or smaller; what is on it stays.
    pub fn resize(&self, kilobytes: u32) {
        run(Command::new("mount")
            .args(["-o", &format!("remount,size={kilobytes}k")])
            .arg(&self.path));
    }

    /// Kilobytes that are taken.
    pub fn used(&self) -> u32 {
        let said = run(Command::new("df")
            .args(["-k", "--output=used"])
            .arg(&self.path));
        said.lines().last().unwrap().trim().parse().unwrap()
    }
}
