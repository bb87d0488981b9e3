//! `[[functions]]`: whose calls are followed as trees.

use serde::{Deserialize, Serialize};

use crate::functions::pattern::Pattern;
use crate::functions::spec::{Rule, Type};
use crate::functions::usdt::Pair;
use crate::functions::values::Value;

/// Functions of one program or library. There may be several, each a `[[functions]]` of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Functions {
    /// The file: an absolute path in which `*` and `?` stand for text. With `service`, a file that the service has mapped,
    /// such as a library, by path or by name. Files in containers are found by the path they have there.
    pub binary: Option<String>,
    /// A running service: the name of its systemd unit or of its process. Without `binary`, its executable.
    pub service: Option<String>,
    /// Which functions, by globs over their symbols, as the source has them or raw: `ngx_http_*`, `shop::cart::*`.
    pub include: Vec<Pattern>,
    /// Which of those to leave out.
    pub exclude: Vec<Pattern>,
    /// A pair of USDT probes in place of symbols: `python`, or `provider:entry/return`.
    pub usdt: Option<Pair>,
    /// How the return value is read: `i8` to `i64`, `u8` to `u64`. Default: `i32`, as C's `int`.
    pub returns: Option<Type>,
    /// Which return values are successes: `ret >= 0`, `ret == 0`, `ret != 0` or the like.
    pub success: Option<Rule>,
    /// Which of the functions the rule is for, by globs; empty for all. Functions that return nothing (`void`) leave
    /// anything in the register, and would fail by chance.
    pub success_functions: Vec<Pattern>,
    /// Arguments and return values that are counted with the trees.
    pub values: Vec<Value>,
    /// Functions followed, at most. Those beyond it, in order of their names, are left out, and counted.
    pub max_functions: usize,
}

impl Default for Functions {
    fn default() -> Self {
        Self {
            binary: None,
            service: None,
            include: Vec::new(),
            exclude: Vec::new(),
            usdt: None,
            returns: None,
            success: None,
            success_functions: Vec::new(),
            values: Vec::new(),
            max_functions: 512,
        }
    }
}
