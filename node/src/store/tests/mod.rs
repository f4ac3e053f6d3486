//! The store as a whole: against a plain model, across crashes, and against damage.

mod abort;
mod damage;
mod deletion;
mod formats;
mod loss;
mod model;
mod place;
mod size;
