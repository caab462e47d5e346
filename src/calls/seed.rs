//! Values drawn once for each run.

/// Values drawn once for a run and kept in the journal, so that the same run sends the same bytes.
#[derive(Clone, Debug)]
pub struct JobSeed {
    /// Id of the run.
    pub run_id: String,
    /// 128 random bits as 32 hex digits.
    pub random: String,
    /// The day on which the run started, in the job's `timezone` (default UTC), as `YYYY-MM-DD`, for `{date}`.
    pub date: String,
}

impl JobSeed {
    /// Fills in `{date}` and `{run}` in a name.
    #[must_use]
    pub fn fill(&self, name: &str) -> String {
        name.replace("{date}", &self.date).replace("{run}", &self.run_id)
    }
}
