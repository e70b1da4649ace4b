use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

use super::file_system::FileSystem;
use super::volume::Volume;

/// A volume in the file tree, until this is dropped.
#[derive(Debug)]
pub(super) struct Mounted {
    point: PathBuf,
    session: Option<BackgroundSession>,
    /// Goes last: nothing may be mounted in it any more.
    _directory: TempDir,
}

impl Mounted {
    /// Mounts the volume somewhere.
    ///
    /// # Errors
    /// This machine does not let us: no `/dev/fuse`, or neither root nor `fusermount3`.
    pub(super) fn new(volume: &Volume) -> std::io::Result<Self> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let point = directory.path().to_owned();
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("foldhouse-power".to_owned()),
            MountOption::NoAtime,
        ];
        let session = fuser::spawn_mount(FileSystem(volume.clone()), &point, &config)?;
        Ok(Self {
            point,
            session: Some(session),
            _directory: directory,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open, and a plain unmount would refuse.
        let detached = Command::new("umount")
            .arg("-l")
            .arg(&self.point)
            .stderr(Stdio::null())
            .status();
        drop(self.session.take());
        if !detached.is_ok_and(|status| status.success()) {
            println!("{} could not be detached", self.point.display());
        }
    }
}

/// Whether volumes can be mounted here; says so if not.
pub(super) fn can_mount() -> bool {
    let volume = Volume::of(super::tree::Tree::default(), Default::default());
    match Mounted::new(&volume) {
        Ok(_) => true,
        Err(error) => {
            println!("SKIPPED: no FUSE file system can be mounted here: {error}");
            false
        }
    }
}
