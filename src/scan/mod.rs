//! Finds the structure of a delimited text, 64 bytes at a time. Besides `buffer` the only room with `unsafe`.
//!
//! [`Scanner`] is the interface: it picks an instruction set once and checks what the code below relies on. `class`
//! classifies bytes, `lex` contains the one state machine, `x86` and `neon` the instruction sets, and `naive` the
//! implementation that all are compared with. `careful` adds escapes and comments, in safe code over the same scan.

mod boosted;
mod careful;
mod class;
mod dialect;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "only naive is used there")
)]
mod lex;
mod naive;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod scanner;
mod tape;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use boosted::Boosted;
pub use careful::{Careful, CarefulCarry, ESCAPED_END};
pub use dialect::{Dialect, Survey, count_lines};
pub use scanner::{Isa, Scanner, WINDOW};
pub use tape::{Bits, Carry, Tape, any_bit, bits_from};
