//! From score maps to regions; matching with the truth; metrics.
