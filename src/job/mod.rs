//! The job: reads the file, runs the steps, accounts, reports.
