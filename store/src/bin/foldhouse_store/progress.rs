use foldhouse_store::VerifyProgress;
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
        self.0.set_length(progress.bytes_total);
        self.0.set_position(progress.bytes_done);
        self.0.set_message(format!(
            "{} position {}",
            progress.file.display(),
            progress.position
        ));
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
