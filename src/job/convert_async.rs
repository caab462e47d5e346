//! Converts into an async writer.

use super::Job;
use super::env::Env;
use super::report::Report;
use crate::calls::aside;
use crate::error::Error;
use bytes::Bytes;
use std::io::{self, Write};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Number of blocks that wait for the writer.
const BLOCKS: usize = 4;

impl Job {
    /// Converts the source into an async writer, in one pass. The output is complete only if the report has exit code 0;
    /// the writer is then flushed, and not shut down. Dropping the future stops the conversion.
    ///
    /// ```
    /// use listferry::{Env, Job, Shape, Source, column};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), listferry::Error> {
    /// let reader = &b"email\nA@example.com\n"[..]; // any tokio::io::AsyncRead
    /// let job = Job::builder("people")
    ///     .source(Source::from_async_read("people", reader)?)
    ///     .shape(Shape::csv([column("email").lower()])?)
    ///     .build()?;
    /// let mut writer = Vec::new(); // any tokio::io::AsyncWrite
    /// job.convert_async(&Env::default(), &mut writer).await.into_result()?;
    /// assert_eq!(writer, b"email\na@example.com\n");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn convert_async(&self, env: &Env, mut out: impl AsyncWrite + Send + Unpin) -> Report {
        let (sender, mut blocks) = mpsc::channel(BLOCKS);
        let (job, env) = (self.clone(), env.clone());
        let converting = aside(false, move || job.convert(&env, &mut Blocks(sender)));
        let writing = async {
            let mut written = Ok(());
            // after a failure the conversion ends with its next block
            while let Some(block) = blocks.recv().await {
                written = out.write_all(&block).await;
                if written.is_err() {
                    blocks.close();
                    break;
                }
            }
            drop(blocks);
            match written {
                Ok(()) => out.flush().await,
                failed => failed,
            }
        };
        let (report, written) = tokio::join!(converting, writing);
        let mut report = report.unwrap_or_else(|error| Report::failed("convert", error));
        if let Err(error) = written {
            report.fail(Error::io("the output cannot be written", error));
        }
        report
    }
}

/// Passes blocks to the task that writes them.
struct Blocks(mpsc::Sender<Bytes>);

impl Write for Blocks {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_all(buf).map(|()| buf.len())
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        let block = Bytes::copy_from_slice(buf);
        self.0.blocking_send(block).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the output is closed"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
