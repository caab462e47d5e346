//! `map` and `where`: as written ([`MapSpec`], [`ValueSpec`], [`Condition`]), what a platform makes of them
//! ([`Shape`]), and compiled against the header ([`Plan`]).

mod apply;
mod cast;
mod column;
mod compile;
mod compile_json;
mod filter;
mod frame;
mod literals;
mod mapped;
mod moment;
mod op;
mod output;
mod parse;
mod parse_apply;
mod parse_word;
mod plan;
mod scratch;
mod shape;
mod shape_of;
mod spec;
mod template;
mod value;
mod watch;

#[cfg(feature = "jobs")]
pub(crate) use column::wanted;
pub(crate) use watch::{Frequent, Seen, Sight, Sights};

pub use mapped::{Mapped, column, constant, object, template};
pub use plan::{Outcome, Plan};
pub use scratch::Scratch;
pub use shape::{Cells, Check, Field, Json, Quoting, Rules, Separator, Shape, Unit};
pub use spec::{
    Apply, Condition, Empty, From, Hash, MapSpec, Otherwise, TemplateNeeds, TemplatePart, Test, TimeUnit, Type,
    ValueSpec, ValueTable,
};
