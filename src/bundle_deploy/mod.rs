//! `bundle-deploy`: plan, hold against the policy, apply exactly that plan,
//! read back, record; and the way back.

mod approved;
mod args;
mod by_cli;
mod engine;
mod names;
mod others;
mod owner;
mod policy;
mod run;
mod show;
mod source;
mod tell;

pub use args::{ABOUT, Args, OUTPUTS};
pub use policy::Agreed;
pub use run::{Action, Request, Wanted, run};
