//! `map` and `where`: as written ([`MapSpec`], [`ValueSpec`], [`Condition`]), what a platform makes of them
//! ([`Shape`]), and compiled against the header ([`Plan`]).

mod apply;
mod cast;
mod column;
mod compile;
mod compile_json;
mod filter;
mod literals;
mod moment;
mod object;
mod op;
mod parse;
mod parse_apply;
pub mod plan;
pub mod shape;
pub mod spec;
mod template;
mod value;
mod watch;

pub(crate) use watch::{Frequent, Seen, Sight, Sights};

pub use plan::{Fault, Outcome, Plan, Scratch};
pub use shape::{Cells, Check, Field, Json, Quoting, Rules, Separator, Shape, Unit};
pub use spec::{
    Apply, Condition, Empty, From, Hash, MapSpec, Otherwise, TemplateNeeds, TemplatePart, Test, TimeUnit, Type,
    ValueSpec, ValueTable,
};
