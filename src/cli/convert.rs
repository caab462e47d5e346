//! `listferry convert`: to stdout, or to a file that appears only when it is whole.

use super::output::To;
use super::session::Session;
use clap::Args;
use listferry::{Error, Kind, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct Convert {
    /// The job file
    job: PathBuf,
    /// Where the converted file goes; none or `-`: stdout
    #[arg(short, long = "out-file", env = "LISTFERRY_OUT_FILE", value_name = "FILE")]
    out_file: Option<PathBuf>,
}

impl Convert {
    pub(crate) fn run(self, session: &Session<'_>) -> Result<ExitCode> {
        let job = session.open(&self.job, &[])?;
        let env = session.env();
        let Some(path) = self.out_file.filter(|path| path != Path::new("-")) else {
            let mut out = Stdout(std::io::stdout());
            return Ok(session.report(job.convert(&env, &mut out), To::Stderr));
        };
        let mut file = Replaced::create(&path)?;
        let mut report = job.convert(&env, &mut file.out);
        if report.exit_code == 0
            && let Err(error) = file.finish()
        {
            report.fail(error);
        }
        Ok(session.report(report, To::Stdout))
    }
}

/// stdout. Slabs end with a line, so that its line buffer passes them on whole.
struct Stdout(std::io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().flush()
    }
}

/// A file under a temporary name, which takes the place of the real one at the end and is removed otherwise.
pub(crate) struct Replaced {
    pub(crate) out: BufWriter<File>,
    path: PathBuf,
    /// Until it has its name; none: written in place, since it is a device or a pipe.
    temporary: Option<PathBuf>,
}

impl Replaced {
    pub(crate) fn create(path: &Path) -> Result<Replaced> {
        let failed = |error| Error::io(format!("{} cannot be written", path.display()), error);
        let there = std::fs::metadata(path).ok();
        if there.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            return Err(Error::new(Kind::Local, format!("{} is a directory", path.display())));
        }
        if there.as_ref().is_some_and(|meta| !meta.is_file()) {
            // A device or a pipe is written to, not replaced.
            let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
            return Ok(Replaced {
                out: BufWriter::with_capacity(64 << 10, file),
                path: path.to_owned(),
                temporary: None,
            });
        }
        // Of a link the file that it leads to is replaced.
        let path = if there.is_some() { path.canonicalize().map_err(failed)? } else { path.to_owned() };
        let name = path.file_name().ok_or_else(|| Error::usage(format!("{} is no file name", path.display())))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).open(&temporary).map_err(failed)?;
        Ok(Replaced { out: BufWriter::with_capacity(64 << 10, file), path, temporary: Some(temporary) })
    }

    /// A name in the temporary directory that only this process uses.
    pub(crate) fn temporary_place() -> Result<PathBuf> {
        let dir = std::env::temp_dir().join(format!("listferry-{}", std::process::id()));
        private_dir(&dir).map_err(|error| Error::io(dir.display().to_string(), error))?;
        Ok(dir.join("export"))
    }

    /// Everything is on the disk before the name changes.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let placed = self.out.flush().and_then(|()| {
            let Some(temporary) = &self.temporary else { return Ok(()) };
            self.out.get_ref().sync_all()?;
            std::fs::rename(temporary, &self.path)?;
            self.temporary = None;
            // The rename itself lasts only once the directory is synced; where that cannot be, the file is there anyway.
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let _ = File::open(dir).and_then(|dir| dir.sync_all());
            Ok(())
        });
        placed.map_err(|error| Error::io(format!("{} cannot be written", self.path.display()), error))
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Makes a directory that only its owner can enter; there must be none yet.
pub(crate) fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
