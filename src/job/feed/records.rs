//! Takes records and runs the job with them.

use super::rows::Rows;
use super::spooler::{BLOCK_BYTES, Spooler};
use crate::error::{Error, Result};
use crate::job::{Env, Job, Report, Source};
use crate::origin::{Content, SpoolFile};
use futures_sink::Sink;
use serde::Serialize;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Takes records from a program in place of the job's source; see [`Job::feed`].
///
/// The records are compressed into a 0600 file in the spool directory (`spool.dir`, `spool.max`) while they come. The
/// feed waits if the disk is slower than the program, so memory stays constant. [`Feed::finish`] then runs the job.
/// Dropping the feed sends nothing and removes the file.
///
/// It is also a [`Sink`] of rows that can be serialised. Closing the sink sends nothing: call [`Feed::finish`].
#[must_use = "a feed sends nothing until `finish`"]
pub struct Feed {
    job: Job,
    env: Env,
    rows: Rows,
    block: Vec<u8>,
    spooler: Spooler,
}

impl Job {
    /// Begins to feed records to the job, which replace its source. The map names the fields of the records: those of a
    /// struct, with JSON Pointers such as `/address/city` into structs in it.
    ///
    /// # Errors
    /// `Usage`: the job cannot be run as it is, for example because a secret is not set. `Local`: the file for the
    /// records cannot be created.
    ///
    /// ```no_run
    /// use listferry::{Env, Job};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Customer {
    ///     customer_id: u64,
    ///     email: Option<String>, // None is an empty value
    /// }
    ///
    /// # async fn push(customers: Vec<Customer>) -> Result<(), listferry::Error> {
    /// let env = Env::default();
    /// let mut feed = Job::open("vip.yaml")?.feed(&env).await?;
    /// for customer in &customers {
    ///     feed.serialize(customer).await?;
    /// }
    /// let report = feed.finish().await.into_result()?;
    /// println!("{} records sent", report.records.written);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn feed(&self, env: &Env) -> Result<Feed> {
        self.check_runnable(env)?;
        let dir = self.config.spool_dir(env)?;
        let spooler = Spooler::start(&dir, self.config.spool.max_bytes)?;
        Ok(Feed { job: self.clone(), env: env.clone(), rows: Rows::default(), block: Vec::new(), spooler })
    }
}

impl Feed {
    /// Adds a row: a struct or a map. `None` is an empty value, a sequence is a list, and floats are written in the
    /// shortest form that reads back equal.
    ///
    /// # Errors
    /// `Usage`: the row cannot be serialised, or the feed has cells; the feed can go on without the row. `Local`, `Data`:
    /// the file cannot be written, or is larger than `spool.max`.
    pub async fn serialize<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<()> {
        self.ready().await?;
        self.rows.object(row, &mut self.block)
    }

    /// Sets the columns of the cells that [`Feed::send`] adds.
    ///
    /// # Errors
    /// `Usage`: the feed has rows already, or no column is named.
    pub fn columns<C: AsRef<[u8]>>(&mut self, columns: impl IntoIterator<Item = C>) -> Result<()> {
        self.rows.columns(columns, &mut self.block)
    }

    /// Adds a row of cells in the order of [`Feed::columns`]; an empty cell is an empty value.
    ///
    /// # Errors
    /// `Usage`: there are no columns, or another number of them; the feed can go on without the row. `Local`, `Data`: as
    /// for [`Feed::serialize`].
    pub async fn send<C: AsRef<[u8]>>(&mut self, record: impl IntoIterator<Item = C> + Send) -> Result<()> {
        self.ready().await?;
        self.rows.cells(record, &mut self.block)
    }

    /// Measures and sends the records, as [`Job::run`] does, and returns the report.
    pub async fn finish(mut self) -> Report {
        let (job, env) = (self.job.clone(), self.env.clone());
        let format = self.rows.format();
        let spooled = async {
            poll_fn(|cx| self.poll_sent(cx)).await?;
            poll_fn(|cx| self.spooler.poll_ready(cx)).await?;
            self.spooler.finish().await
        };
        let fed = match spooled.await {
            Ok(file) => job.with_source(source(file, format)),
            Err(error) => Err(error),
        };
        match fed {
            Ok(job) => job.run(&env).await,
            Err(error) => Report::failed("run", error),
        }
    }

    async fn ready(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_room(cx)).await
    }

    /// Waits until there is room for a row.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.block.len() < BLOCK_BYTES {
            return Poll::Ready(Ok(()));
        }
        self.poll_sent(cx)
    }

    /// Passes the rows on.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.block.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.spooler.poll_ready(cx))?;
        let next = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
        Poll::Ready(self.spooler.send(std::mem::replace(&mut self.block, next)))
    }
}

/// Returns the spooled records as a source. The program wrote them, so their ratio of compression is not suspicious.
fn source(file: SpoolFile, format: &str) -> Source {
    Source::given("feed", Content::Spooled(file)).in_format(format).set("max_expansion", u64::from(u32::MAX))
}

impl<T: Serialize> Sink<T> for Feed {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, row: T) -> Result<()> {
        let feed = &mut *self;
        feed.rows.object(&row, &mut feed.block)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_sent(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_sent(cx)
    }
}
