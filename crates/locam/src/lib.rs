//! Train on patches, find things on whole images: the public interface of locam.
