//! Reads labelled images and annotations as users have them; cuts patches; generates smears.
