//! The networks on Burn: forward passes, weights in and out, class activation maps.
