//! Tables of whole attempts, and that no order of events makes two decisions.
