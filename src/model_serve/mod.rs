//! `model-serve`: an endpoint follows the alias of production. A new version gets its
//! traffic step by step, and none where it does not stand up to what it is asked.

mod args;
mod judge;
mod ledger;
mod live;
mod mover;
mod probe;
mod ramp;
mod rollback;
mod rollout;
mod run;
mod split;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Action, Request, run};
