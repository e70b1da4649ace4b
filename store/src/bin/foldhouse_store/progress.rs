use foldhouse_store::{CopyProgress, VerifyProgress};
use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on stderr, on a terminal only.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(crate) fn show(&self, progress: &VerifyProgress) {
        let file = progress.file.display();
        let place = format!("{file} position {}", progress.position);
        self.set(progress.bytes_done, progress.bytes_total, place);
    }

    pub(crate) fn show_copy(&self, progress: &CopyProgress) {
        let place = format!("position {}", progress.position);
        self.set(progress.bytes_done, progress.bytes_total, place);
    }

    fn set(&self, bytes_done: u64, bytes_total: u64, place: String) {
        self.0.set_length(bytes_total);
        self.0.set_position(bytes_done);
        self.0.set_message(place);
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
