use locam_core::Size;

/// What can be wrong with a question about an architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchError {
    /// No architecture has this name.
    #[error("unknown architecture `{name}`; the known ones are {known}")]
    UnknownName {
        /// As given.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// A layer's window does not fit into what is left of the image.
    #[error(
        "an input of {input} is too small: layer `{layer}` sees {seen}, and its window needs at least \
         {needed} on each side; use a larger image"
    )]
    InputTooSmall {
        /// Size of the network's input.
        input: Size,
        /// The layer's name.
        layer: String,
        /// Size of the layer's input.
        seen: Size,
        /// Smallest side that the layer can take.
        needed: u32,
    },
}
