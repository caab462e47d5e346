//! Work that is compiled once for each instruction set.

/// Work that gains from being compiled for the best instructions; see [`super::Scanner::boost`].
pub trait Boosted {
    /// The result of the work.
    type Output;
    /// Does the work. Should be `#[inline(always)]`, with everything that it calls often, since only inlined code is
    /// compiled again.
    fn run(self) -> Self::Output;
}
