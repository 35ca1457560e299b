use crate::{ArchError, Graph, arch};
use std::{fmt, str::FromStr};

/// The architectures, by torchvision's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is its architecture's name")]
pub enum ArchName {
    Resnet18,
    Resnet34,
    Resnet50,
    Vgg16,
    Vgg19,
    Squeezenet1_1,
    MobilenetV2,
}

/// What an architecture's file says about it.
pub(crate) struct Entry {
    /// Torchvision's name.
    pub(crate) text: &'static str,
    /// The file of ImageNet weights that torchvision publishes under <https://download.pytorch.org/models/>; its name
    /// ends in the first eight hexadecimal digits of its SHA-256.
    pub(crate) imagenet_file: &'static str,
    /// Builds the graph.
    pub(crate) graph: fn() -> Graph,
}

/// One line per architecture.
const TABLE: [(ArchName, Entry); 7] = [
    (ArchName::Resnet18, arch::resnet::RESNET18),
    (ArchName::Resnet34, arch::resnet::RESNET34),
    (ArchName::Resnet50, arch::resnet::RESNET50),
    (ArchName::Vgg16, arch::vgg::VGG16),
    (ArchName::Vgg19, arch::vgg::VGG19),
    (ArchName::Squeezenet1_1, arch::squeezenet::SQUEEZENET1_1),
    (ArchName::MobilenetV2, arch::mobilenet::MOBILENET_V2),
];

impl ArchName {
    /// All architectures.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(name, _)| *name)
    }

    /// Torchvision's name, e.g. `resnet18`.
    pub fn as_str(self) -> &'static str {
        self.entry().text
    }

    /// The name of torchvision's file of ImageNet weights, which ends in the start of its SHA-256.
    pub fn imagenet_file(self) -> &'static str {
        self.entry().imagenet_file
    }

    /// The architecture itself.
    pub fn graph(self) -> Graph {
        (self.entry().graph)()
    }

    fn entry(self) -> &'static Entry {
        // The table follows the order of the enum, which a test checks.
        &TABLE[self as usize].1
    }
}

impl fmt::Display for ArchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ArchName {
    type Err = ArchError;

    fn from_str(text: &str) -> Result<Self, ArchError> {
        Self::all().find(|name| name.as_str() == text).ok_or_else(|| ArchError::UnknownName {
            name: text.to_owned(),
            known: Self::all().map(Self::as_str).collect::<Vec<_>>().join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_to_text_and_back_in_the_order_of_the_table() {
        for (i, name) in ArchName::all().enumerate() {
            assert_eq!(name as usize, i);
            assert_eq!(name.to_string().parse(), Ok(name));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "alexnet".parse::<ArchName>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown architecture `alexnet`; the known ones are resnet18, resnet34, resnet50, vgg16, vgg19, \
             squeezenet1_1, mobilenet_v2"
        );
    }

    #[test]
    fn keys_are_unique() {
        for name in ArchName::all() {
            let graph = name.graph();
            let keys: Vec<String> = graph.parameters(10).into_iter().map(|(key, _)| key).collect();
            let unique: std::collections::BTreeSet<&String> = keys.iter().collect();
            assert_eq!(unique.len(), keys.len(), "{name}");
        }
    }
}
