//! The kinds of errors, which decide exit codes and how runs end.

/// The class of an [`Error`](super::Error); it decides the exit code and the status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A local fault: disk full, source missing or unreadable, or a bug. Exit code 1.
    Local,
    /// The usage, the job file or the environment is wrong. Exit code 2.
    Usage,
    /// The job is already running, or its state cannot be read. Exit code 3.
    Busy,
    /// An earlier run of this job was partly accepted and cannot be continued as things are. Exit code 23.
    Blocked,
    /// The data is at fault: too many rejects, nothing to send, damaged input, over a known limit. Exit code 10.
    Data,
    /// The source differs from what pass one measured. Exit code 10.
    SourceChanged,
    /// The platform accepted the file and reports a failed import or failed rows. Exit code 11.
    ImportFailed,
    /// The platform refused the request: a bad name, an unknown list, over its limits. Exit code 12.
    Refused,
    /// Temporary faults outlasted the attempts, or a quota wait is longer than allowed. Exit code 20.
    Transient,
    /// A call that must not be repeated got no response. Exit code 21.
    InDoubt,
    /// Every part was accepted, but no verdict came in time. Exit code 22.
    Pending,
    /// The credentials or permissions were refused. Exit code 30.
    Credentials,
    /// Stopped by SIGINT. Exit code 130.
    Interrupted,
    /// Stopped by SIGTERM. Exit code 143.
    Terminated,
}

impl Kind {
    /// Returns the process exit code of this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Local => 1,
            Kind::Usage => 2,
            Kind::Busy => 3,
            Kind::Data | Kind::SourceChanged => 10,
            Kind::ImportFailed => 11,
            Kind::Refused => 12,
            Kind::Transient => 20,
            Kind::InDoubt => 21,
            Kind::Pending => 22,
            Kind::Blocked => 23,
            Kind::Credentials => 30,
            Kind::Interrupted => 130,
            Kind::Terminated => 143,
        }
    }

    /// Returns how an error of this kind ends a run. Exit codes and the next run's decision both follow from it.
    #[must_use]
    pub fn ending(self) -> Ending {
        match self {
            Kind::Usage | Kind::Busy | Kind::Blocked => Ending::NotStarted,
            Kind::Data | Kind::SourceChanged | Kind::ImportFailed | Kind::Refused | Kind::Credentials => Ending::Final,
            Kind::Local | Kind::Transient | Kind::InDoubt | Kind::Pending | Kind::Interrupted | Kind::Terminated => {
                Ending::Resumable
            }
        }
    }

    /// All kinds; of several with one exit code the broadest comes first.
    pub(crate) const ALL: [Kind; 14] = [
        Kind::Local,
        Kind::Usage,
        Kind::Busy,
        Kind::Blocked,
        Kind::Data,
        Kind::SourceChanged,
        Kind::ImportFailed,
        Kind::Refused,
        Kind::Transient,
        Kind::InDoubt,
        Kind::Pending,
        Kind::Credentials,
        Kind::Interrupted,
        Kind::Terminated,
    ];

    /// Returns the kind with this exit code, or the broadest one if several share it.
    #[must_use]
    pub fn of_exit_code(code: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.exit_code() == code)
    }

    /// Returns true if the same command may succeed later without any change: a local fault, a job that is running, a
    /// temporary fault, a verdict that is still missing, an interruption. A run continues where it stopped, so nothing
    /// that was accepted is sent again.
    ///
    /// An orchestrator retries these (exit codes 1, 3, 20, 22, 130 and 143) and fails at once with the others.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Kind::Local | Kind::Busy | Kind::Transient | Kind::Pending | Kind::Interrupted | Kind::Terminated => true,
            Kind::Usage | Kind::Blocked | Kind::Data | Kind::SourceChanged | Kind::ImportFailed => false,
            Kind::Refused | Kind::InDoubt | Kind::Credentials => false,
        }
    }

    /// Returns the name used in reports (`error.kind`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Local => "local",
            Kind::Usage => "usage",
            Kind::Busy => "busy",
            Kind::Blocked => "blocked",
            Kind::Data => "data",
            Kind::SourceChanged => "source_changed",
            Kind::ImportFailed => "import_failed",
            Kind::Refused => "refused",
            Kind::Transient => "transient",
            Kind::InDoubt => "in_doubt",
            Kind::Pending => "pending",
            Kind::Credentials => "credentials",
            Kind::Interrupted => "interrupted",
            Kind::Terminated => "terminated",
        }
    }
}

/// How an error ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The run has ended, unless a part was accepted or is in doubt: then it stays open, because the rest can still be
    /// sent.
    Final,
    /// The run stays open if a call may have had an effect: the next run continues it.
    Resumable,
    /// The command did nothing: a run that was open stays open.
    NotStarted,
}
